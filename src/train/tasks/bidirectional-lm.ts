import { headObjective } from "../head-objective.js";
import { ignored } from "../objective.js";
import type { TrainingTask } from "./task.js";
import { fillInput, fillRow, readTextData, type TextData, tokenizedText, windowRows } from "./text-data.js";

/** A language model in each direction on running text (ELMo, Peters et al. 2018, section 3.1). */
export const bidirectionalLm: TrainingTask<TextData> = {
  name: "bidirectional-lm",
  head: "bidirectional-lm",
  tokenizer: "words",
  uses: ["separator", "end_of_text", "validation_split", "label_smoothing"],
  read: readTextData,
  prepare(data, context) {
    const { context_length: length, label_smoothing: labelSmoothing } = context.settings;
    const rows = windowRows(tokenizedText(data, context), context, length, (window, _, batch, row) => {
      fillInput(batch, row, [...window], 0);
      fillRow(batch, "labels", row, window, ignored);
    });
    const objective = headObjective({ task: "bidirectional-lm", length, labelSmoothing });
    return { objective, ...rows, tokensPerRow: length };
  },
};
