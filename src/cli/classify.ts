import type { Command } from "commander";
import type { LabelScore } from "../pipeline/index.js";
import { whole } from "./options.js";
import { addVerb, runVerb, scoreBar, under, type VerbFlags } from "./verb.js";

interface Flags extends VerbFlags {
  readonly topK?: number;
  readonly pair?: string;
  readonly truncate?: true;
}

/** `tessera classify`. */
export function addClassify(program: Command): void {
  addVerb(program, "classify", "say which label fits a text, with a model for text classification", "texts")
    .option("--top-k <n>", "labels for each text (default: all of them)", whole("--top-k", { min: 1 }))
    .option("--pair <text>", "a second text, set behind each: for models that judge two, such as whether one follows")
    .option("--truncate", "cut texts longer than the model reads")
    .addHelpText(
      "after",
      `
Examples:
  tessera classify --model my-spam-filter "You have won a prize" "See you at noon"
  tessera classify --model my-spam-filter --top-k 1 --json < mails.txt
  tessera classify --model my-next-sentence --pair "The whale dived." "Ahab lowered the boats."`,
    )
    .action((texts: readonly string[], flags: Flags) =>
      runVerb<"text-classification", readonly LabelScore[]>(
        "text-classification",
        texts,
        flags,
        (classify, some) => {
          const { topK = null, pair, truncate: truncation = false } = flags;
          const given = pair === undefined ? some : some.map((text) => ({ text, pair }));
          return classify(given, { topK, truncation });
        },
        (labels, text) =>
          under(
            text,
            labels.map(({ label, score }) => `${scoreBar(score)} ${label}`),
          ),
      ),
    );
}
