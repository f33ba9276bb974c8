import type { HostTensor } from "../core/host-tensor.js";
import type { AnyModule } from "../core/module.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { type Context, type SequenceContextOptions, sequenceContext } from "../nn/context.js";
import { type CrossEntropyOptions, crossEntropy } from "../nn/losses.js";
import { constant } from "../ops/constant.js";
import { add, cast, equal, not } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";

/** What an objective yields for some rows. */
export interface ObjectiveValue {
  /** Mean loss over what counts in these rows, scalar. */
  readonly loss: Tensor;
  /** How many losses the mean is over, scalar: rows that are processed apart weigh as they would together. */
  readonly count: Tensor;
  /** What metrics are computed from, rows first. */
  readonly outputs?: Readonly<Record<string, Tensor>>;
}

/** Makes the context of sequences; dropout acts in it while training. Each call within a trace draws masks of its own. */
export type ContextFactory = (options: Omit<SequenceContextOptions, "dropoutKey">) => Context;

/** What a model is trained for: which tensors a batch has, and the loss they give. */
export interface Objective<M extends AnyModule = AnyModule> {
  /** The tensors of a batch of so many rows, by name; rows are the first axis. */
  batch(rows: number): Readonly<Record<string, Aval>>;
  /** Traces the loss of a batch. */
  // biome-ignore lint/suspicious/noExplicitAny: a module's own tree of parameters
  loss(module: M, params: any, batch: Readonly<Record<string, Tensor>>, context: ContextFactory): ObjectiveValue;
  /** Makes a row of a batch count for nothing: it fills up a batch that is not full. */
  leaveOut(batch: Readonly<Record<string, HostTensor>>, row: number): void;
}

/**
 * Next-token prediction: mean of `−log p(labels[i] | inputs[0 … i])`. `inputs, labels: [b, t]` int64; labels are the inputs one place
 * further, and those of −100 do not count.
 *
 * @param length tokens of a row
 */
export function causalLanguageModeling(
  length: number,
  options: Omit<CrossEntropyOptions, "ignoreIndex"> = {},
): Objective {
  return {
    batch: (rows) => ({
      inputs: { dtype: "int64", shape: [rows, length] },
      labels: { dtype: "int64", shape: [rows, length] },
    }),
    loss(module, params, { inputs, labels }, context) {
      const logits: Tensor = module(params, inputs!, context({ batch: inputs!.shape[0]!, length })); // [b, t, v]
      return {
        loss: crossEntropy(logits, labels!, options),
        count: countLabels(labels!),
      };
    },
    leaveOut: ({ labels }, row) => void labels!.data.fill(BigInt(ignored) as never, row * length, (row + 1) * length),
  };
}

/** The label that does not count. */
export const ignored = -100;

/** How many labels count, scalar float32. */
export const countLabels = (labels: Tensor): Tensor => sum(cast(not(equal(labels, ignored)), "float32"));

/** The factory of contexts for one trace. @param dropoutKey int32 `[2]`; without it dropout does not act */
export function contexts(dropoutKey?: Tensor): ContextFactory {
  let made = 0;
  return (options) => {
    const key = dropoutKey && made > 0 ? add(dropoutKey, constant([0, made], [2], "int32")) : dropoutKey;
    made++;
    return sequenceContext({ ...options, dropoutKey: key });
  };
}
