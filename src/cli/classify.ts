import type { Command } from "commander";
import type { LabelScore } from "../pipeline/index.js";
import { whole } from "./options.js";
import { addVerb, runVerb, scoreBar, under, type VerbFlags } from "./verb.js";

/** `tessera classify`. */
export function addClassify(program: Command): void {
  addVerb(program, "classify", "say which label fits a text, with a model for text classification", "texts")
    .option("--top-k <n>", "labels for each text (default: all of them)", whole("--top-k", { min: 1 }))
    .option("--truncate", "cut texts longer than the model reads")
    .addHelpText(
      "after",
      `
Examples:
  tessera classify --model my-spam-filter "You have won a prize" "See you at noon"
  tessera classify --model my-spam-filter --top-k 1 --json < mails.txt`,
    )
    .action((texts: readonly string[], flags: VerbFlags & { readonly topK?: number; readonly truncate?: true }) =>
      runVerb<"text-classification", readonly LabelScore[]>(
        "text-classification",
        texts,
        flags,
        (classify, some) => classify(some, { topK: flags.topK ?? null, truncation: flags.truncate ?? false }),
        (labels, text) =>
          under(
            text,
            labels.map(({ label, score }) => `${scoreBar(score)} ${label}`),
          ),
      ),
    );
}
