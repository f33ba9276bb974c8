import { allocate } from "../../src/core/dtype.js";
import type { HostTensor } from "../../src/core/host-tensor.js";
import { initialize } from "../../src/core/initialize.js";
import { parametersOf } from "../../src/core/module.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { describeModel } from "../../src/pretrained/load-model.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import type { Objective } from "../../src/train/objective.js";
import { trainStep } from "../../src/train/train-step.js";

/** What came of {@link learnRows}. */
export interface Learned {
  readonly losses: readonly number[];
  /** Parameters that the steps did not change. */
  readonly unmoved: readonly string[];
}

/**
 * Trains a fresh model on one batch, over and over.
 *
 * @param given the batch's tensors; `prepare` may fill in weights first
 */
export async function learnRows(
  config: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, readonly number[]>>,
  objective: (model: Omit<LanguageModel, "weights" | "generation" | "generationExtra">) => Objective,
  {
    rows,
    steps,
    learningRate = 0.02,
  }: { readonly rows: number; readonly steps: number; readonly learningRate?: number },
  prepare: (weights: ReadonlyMap<string, HostTensor>) => void = () => {},
): Promise<Learned> {
  const model = describeModel(config, "config.json");
  const weights = initialize(model.module, 1);
  prepare(weights);
  const before = new Map([...weights].map(([path, { data }]) => [path, Array.from(data as Float32Array)]));
  using step = await trainStep(nativeRuntime(), {
    module: model.module,
    weights,
    objective: objective(model),
    batchSize: rows,
    threads: 1,
  });
  for (const [name, { dtype, shape, data }] of Object.entries(step.batch)) {
    const values = given[name];
    if (!values) throw new Error(`no values for ${name}`);
    if (values.length !== data.length) throw new Error(`${name}: ${values.length} values for [${shape.join(", ")}]`);
    const typed = allocate(dtype, data.length);
    for (const [i, value] of values.entries()) typed[i] = dtype === "int64" ? BigInt(value) : value;
    (data as Float32Array).set(typed as Float32Array);
  }
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await step.run(i, learningRate)).loss);
  const unmoved = [...parametersOf(model.module)]
    .filter(([path]) => before.get(path)!.every((x, i) => x === weights.get(path)!.data[i]))
    .map(([path]) => path);
  return { losses, unmoved };
}
