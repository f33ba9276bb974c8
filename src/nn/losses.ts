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
  return meanOf(losses, counted);
}

/**
 * Mean of `−y log σ(x) − (1 − y) log(1 − σ(x))` over the counted elements, in nats: of labels of which any number may hold.
 * `logits, targets: [...]` float32, targets in 0 … 1, or `ignoreIndex` → scalar; 0 when none counts.
 *
 * @param ignoreIndex targets of this value do not count. Default −100
 */
export function binaryCrossEntropy(
  logits: Tensor,
  targets: Tensor,
  { ignoreIndex = -100 }: Pick<CrossEntropyOptions, "ignoreIndex"> = {},
): Tensor {
  // max(x, 0) − x y + log(1 + e^−|x|), which no large logit overflows; the maximum as (x + |x|) / 2, whose slope at 0 is the right one
  const size = abs(logits);
  const losses = add(sub(mul(add(logits, size), 0.5), mul(logits, targets)), log(add(exp(neg(size)), 1)));
  return meanOf(losses, not(equal(targets, ignoreIndex)));
}

/**
 * Mean of `(x − y)²` over the counted elements. `x, targets: [...]` float32 → scalar; 0 when none counts.
 *
 * @param ignoreIndex targets of this value do not count. Default −100
 */
export function meanSquaredError(
  x: Tensor,
  targets: Tensor,
  { ignoreIndex = -100 }: Pick<CrossEntropyOptions, "ignoreIndex"> = {},
): Tensor {
  const difference = sub(x, targets);
  return meanOf(mul(difference, difference), not(equal(targets, ignoreIndex)));
}

function meanOf(losses: Tensor, counted: Tensor): Tensor {
  return div(sum(where(counted, losses, 0)), maximum(sum(cast(counted, losses.dtype)), 1));
}
