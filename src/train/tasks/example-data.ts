import { TesseraError } from "../../core/errors.js";
import { randomStream } from "../../core/random-stream.js";
import type { EvaluationSet } from "../evaluate.js";
import { type Example, type ExampleFile, readExamples } from "../examples.js";
import type { TrainSettings } from "../settings.js";
import { endlessOrder, shuffled, type TrainingSet } from "../windows.js";
import type { TaskData } from "./task.js";
import { trains } from "./text-data.js";

/** An example and where it stands, for messages. */
export interface LocatedExample {
  readonly example: Example;
  readonly where: string;
}

/** Examples read from data sets. */
export interface ExampleData extends TaskData {
  readonly training: readonly LocatedExample[];
  readonly validation: readonly LocatedExample[];
}

/**
 * Reads the data sets and keeps examples for validation: those of `validation_data`, or a share picked by chance; where the share is
 * all of them, at most `eval_windows` at even distances.
 */
export async function readExampleData(
  settings: TrainSettings,
  textsOf: (example: LocatedExample) => readonly string[],
): Promise<ExampleData> {
  const { data, validation_data, validation: share, seed, eval_windows: most } = settings;
  const located = (files: readonly ExampleFile[]) =>
    files.flatMap(({ path, examples }) =>
      examples.map((example, i): LocatedExample => ({ example, where: `${path}: example ${i + 1}` })),
    );
  const [files, held] = await Promise.all([
    Promise.all(data.map(readExamples)),
    Promise.all(validation_data.map(readExamples)),
  ]);
  const all = located(files);
  let [training, validation] = [all, located(held)];
  if (!trains(settings)) {
    const count = Math.min(all.length, most);
    training = [];
    validation = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
  } else if (held.length === 0 && share > 0) {
    const count = Math.round(all.length * share);
    const chosen = new Set(shuffled(all.length, randomStream(seed, "validation examples")).subarray(0, count));
    training = all.filter((_, i) => !chosen.has(i));
    validation = all.filter((_, i) => chosen.has(i));
    if (training.length === 0 || validation.length === 0)
      throw new TesseraError(
        "data",
        `${data.join(", ")}: too few examples to keep a share for validation, ${all.length} at a share of ${share}`,
      );
  }
  return { files: [...files, ...held], texts: training.flatMap(textsOf), training, validation };
}

/** Writes a prepared example into a row of a batch. */
export type ExampleWriter<T> = (example: T, batch: Parameters<TrainingSet["write"]>[1], row: number) => void;

/** Rows of examples: in training in another order every epoch, in validation as they stand. */
export function exampleRows<T>(
  { training, validation }: { readonly training: readonly T[]; readonly validation: readonly T[] },
  seed: number,
  write: ExampleWriter<T>,
): { readonly training: TrainingSet; readonly validation: EvaluationSet | undefined } {
  const at = endlessOrder(training.length, seed);
  return {
    training: {
      size: training.length,
      write: (position, batch, row) => write(training[at(position)]!, batch, row),
    },
    validation:
      validation.length === 0
        ? undefined
        : { size: validation.length, write: (index, batch, row) => write(validation[index]!, batch, row) },
  };
}
