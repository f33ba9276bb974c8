import type { Command } from "commander";
import type { Pooling } from "../pipeline/index.js";
import { choice } from "./options.js";
import { addVerb, runVerb, type VerbFlags } from "./verb.js";

interface Flags extends VerbFlags {
  readonly pool: Pooling;
  readonly normalize?: true;
  readonly truncate?: true;
}

/** `tessera embed`. */
export function addEmbed(program: Command): void {
  addVerb(program, "embed", "turn texts into vectors", "texts")
    .option(
      "--pool <how>",
      "mean of the tokens' vectors, the first token's (cls), or the last token's",
      choice("--pool", "mean", "cls", "last"),
      "mean",
    )
    .option("--normalize", "vectors of length 1, whose products are cosines")
    .option("--truncate", "cut texts longer than the model reads")
    .addHelpText(
      "after",
      `
Examples:
  tessera embed --model my-bert --normalize --json < sentences.txt > vectors.jsonl
  tessera embed --model my-bert --pool cls "The whale dived."
  tessera embed --model my-llama --pool last "The whale dived."`,
    )
    .action((texts: readonly string[], flags: Flags) => {
      const { pool, normalize = false, truncate = false } = flags;
      return runVerb<"feature-extraction", readonly number[]>(
        "feature-extraction",
        texts,
        flags,
        (embed, some) => embed(some, { pooling: pool, normalize, truncation: truncate }),
        (vector, text) =>
          `${text}\n  [${vector.slice(0, 6).map(shown).join(", ")}${vector.length > 6 ? ", …" : ""}] ${vector.length} numbers`,
      );
    });
}

const shown = (x: number) => x.toFixed(4);
