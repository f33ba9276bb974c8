import type { Command } from "commander";
import type { FilledMask, FillMaskResult } from "../pipeline/index.js";
import { whole } from "./options.js";
import { addVerb, runVerb, scoreBar, under, type VerbFlags } from "./verb.js";

/** `tessera fill-mask`. */
export function addFillMask(program: Command): void {
  addVerb(program, "fill-mask", "say which tokens fit in the place of a text's mask", "texts")
    .option("--top-k <n>", "tokens for each mask", whole("--top-k", { min: 1 }), 5)
    .option("--targets <words>", "only these, with commas between them")
    .option("--truncate", "cut texts longer than the model reads")
    .addHelpText(
      "after",
      `
Examples:
  tessera fill-mask --model my-bert "The captain of the [MASK] is Ahab."
  tessera fill-mask --model my-bert --targets whale,ship "The white [MASK] dived." --json`,
    )
    .action(
      (
        texts: readonly string[],
        flags: VerbFlags & { readonly topK: number; readonly targets?: string; readonly truncate?: true },
      ) => {
        const targets = flags.targets?.split(",").map((word) => word.trim());
        return runVerb<"fill-mask", FillMaskResult>(
          "fill-mask",
          texts,
          flags,
          (fill, some) =>
            fill(some, {
              topK: flags.topK,
              truncation: flags.truncate ?? false,
              ...(targets ? { targets } : {}),
            }),
          (filled, text) => {
            const masks = (Array.isArray(filled[0]) ? filled : [filled]) as readonly (readonly FilledMask[])[];
            const lines = masks.map((tokens) => tokens.map((t) => `${scoreBar(t.score)} ${t.token_str}`));
            return under(
              text,
              lines.flatMap((some, i) => (i === 0 ? some : ["", ...some])),
            );
          },
        );
      },
    );
}
