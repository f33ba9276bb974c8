import { TesseraError } from "../../core/errors.js";
import type { Task } from "../../models/model.js";
import { isDataSet, readExamples } from "../examples.js";
import { bidirectionalLm } from "./bidirectional-lm.js";
import { blankInfilling } from "./blank-infilling.js";
import { causalLm } from "./causal-lm.js";
import { denoising } from "./denoising.js";
import { maskedLm } from "./masked-lm.js";
import { permutationLm } from "./permutation-lm.js";
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
  permutationLm,
];

/**
 * The task that suits heads and data unless another is asked for: of those that read such data (data sets, or running text) the one the
 * family is pre-trained for, else the first; undefined where no task is for such a head.
 */
export function suitingTask(
  heads: ReadonlySet<Task>,
  pretraining: string | undefined,
  data: readonly string[],
): TrainingTask | undefined {
  const possible = trainingTasks.filter(({ head }) => heads.has(head));
  const suiting = possible.filter(({ uses }) => uses.includes("text_column") === data.every(isDataSet));
  return suiting.find(({ name }) => name === pretraining) ?? suiting[0] ?? possible[0];
}

/**
 * The task for one of the heads whose columns the first data set has, `own` heads first; undefined where there is none.
 *
 * @throws TesseraError as reading the data set does
 */
export async function taskByColumns(
  heads: ReadonlySet<Task>,
  own: Task | undefined,
  data: readonly string[],
): Promise<TrainingTask | undefined> {
  const possible = trainingTasks.filter(({ head, columns }) => heads.has(head) && columns);
  if (possible.length === 0 || !data.every(isDataSet)) return undefined;
  const [first] = (await readExamples(data[0]!)).examples;
  const suiting = possible.filter(({ columns }) => columns!.every((column) => Object.hasOwn(first!, column)));
  return suiting.find(({ head }) => head === own) ?? suiting[0];
}

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
