import { causalLanguageModeling } from "../objective.js";
import { evaluationWindows, noExamples, trainingWindows } from "../windows.js";
import type { TrainingTask } from "./task.js";
import { heldPart, readTextData, type TextData, tokenizedText, trains } from "./text-data.js";

/** Next-token prediction on running text. */
export const causalLm: TrainingTask<TextData> = {
  name: "causal-lm",
  head: "causal-lm",
  tokenizer: "bpe",
  uses: ["separator", "end_of_text", "validation_split", "label_smoothing"],
  read: readTextData,
  prepare(data, context) {
    const { settings, where, tokenizer } = context;
    const { context_length: length, seed, label_smoothing: labelSmoothing } = settings;
    const { training, validation } = tokenizedText(data, context, tokenizer.specialTokens.eos);
    return {
      objective: causalLanguageModeling(length, { labelSmoothing }),
      training: trains(settings) ? trainingWindows(training, length, seed, `${where}: training part`) : noExamples,
      validation:
        validation &&
        evaluationWindows(validation, length, settings.eval_windows, ...heldPart(settings, length, where)),
      tokensPerRow: length,
    };
  },
};
