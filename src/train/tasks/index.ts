import { TesseraError } from "../../core/errors.js";
import { bidirectionalLm } from "./bidirectional-lm.js";
import { blankInfilling } from "./blank-infilling.js";
import { causalLm } from "./causal-lm.js";
import { denoising } from "./denoising.js";
import { maskedLm } from "./masked-lm.js";
import { preTraining } from "./pre-training.js";
import { questionAnswering } from "./question-answering.js";
import { sequenceClassification } from "./sequence-classification.js";
import { spanCorruption } from "./span-corruption.js";
import type { TrainingTask } from "./task.js";
import { textToText } from "./text-to-text.js";
import { tokenClassification } from "./token-classification.js";

export * from "./task.js";

/** Everything a model can be trained for. Of those for the same head, the first is what it is trained for unless told otherwise. */
export const trainingTasks: readonly TrainingTask[] = [
  causalLm,
  maskedLm,
  bidirectionalLm,
  preTraining,
  sequenceClassification,
  tokenClassification,
  questionAnswering,
  textToText,
  spanCorruption,
  denoising,
  blankInfilling,
];

/** The task of a name. @throws TesseraError `config` naming the known ones */
export function taskOf(name: string): TrainingTask {
  const task = trainingTasks.find((known) => known.name === name);
  if (!task)
    throw new TesseraError(
      "config",
      `task: there is no task ${JSON.stringify(name)} (${trainingTasks.map(({ name }) => name).join(", ")})`,
    );
  return task;
}
