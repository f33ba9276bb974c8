import type { Tensor } from "../core/tensor.js";
import { constant } from "../ops/constant.js";
import { abs, add, cast, div, equal, exp, log, maximum, mul, neg, not, sub, where } from "../ops/elementwise.js";
import { takeAlong } from "../ops/gather.js";
import { logSoftmax } from "../ops/normalize.js";
import { mean, sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";

/** How a cross-entropy is taken. */
export interface CrossEntropyOptions {
  /** Labels of this value do not count. Default −100. */
  readonly ignoreIndex?: number;
  /** Weight ε of the uniform distribution in the target, `(1 − ε)·onehot + ε/v`. Szegedy et al. 2016. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Mean over the counted labels of `−log softmax(logits)[label]`, in nats; 0 when none counts.
 * `logits: [..., v]`, `labels: [...]` int64 → scalar.
 */
export function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  { ignoreIndex = -100, labelSmoothing = 0 }: CrossEntropyOptions = {},
): Tensor {
  const logProbabilities = logSoftmax(logits);
  const counted = not(equal(labels, ignoreIndex));
  const safe = where(counted, labels, constant([0], [], "int64"));
  let losses = neg(reshape(takeAlong(logProbabilities, reshape(safe, [...labels.shape, 1])), labels.shape));
  if (labelSmoothing > 0)
    losses = add(mul(losses, 1 - labelSmoothing), mul(mean(logProbabilities, { axes: [-1] }), -labelSmoothing));
  const count = maximum(sum(cast(counted, logits.dtype)), 1);
  return div(sum(where(counted, losses, 0)), count);
}

/**
 * Mean of `−y log σ(x) − (1 − y) log(1 − σ(x))` over all elements, in nats: of labels of which any number may hold.
 * `logits, targets: [...]` float32, targets in 0 … 1 → scalar.
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  // max(x, 0) − x y + log(1 + e^−|x|), which no large logit overflows
  return mean(add(sub(maximum(logits, 0), mul(logits, targets)), log(add(exp(neg(abs(logits))), 1))));
}

/** Mean of `(x − y)²` over all elements. `x, targets: [...]` float32 → scalar. */
export function meanSquaredError(x: Tensor, targets: Tensor): Tensor {
  const difference = sub(x, targets);
  return mean(mul(difference, difference));
}
