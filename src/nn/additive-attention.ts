import type { Dim } from "../core/dim.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { tanh } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { softmax } from "../ops/normalize.js";
import { expandDims, reshape } from "../ops/shape.js";
import { linear } from "./linear.js";

/** What an additive attention is called with beside queries and keys. */
export interface AdditiveAttentionInputs {
  /** What is averaged, `[b, s, e]`. Default: the keys. */
  readonly values?: Tensor;
  /** Added to the scores, `[b, t, s]` or broadcast to it: a large negative number hides a key. Default: none. */
  readonly bias?: Tensor | undefined;
  /** Applied to the projected keys `[b, s, a]`, to keep them from one call to the next. Default: nothing. */
  readonly onKeys?: (keys: Tensor) => Tensor;
}

/**
 * Additive attention: scores `v · tanh(W_q q_i + W_k k_j)`, their softmax over the keys, and the values averaged by it.
 * Bahdanau et al. 2015, section 3.1 and appendix A.1.2.
 * `q: [b, t, d]`, `k: [b, s, dKey]` → `context: [b, t, e]` and `weights: [b, t, s]`.
 *
 * @param d size of a query
 * @param dAttention size of the space in which queries and keys are added
 * @param dKey size of a key. Default `d`
 * @example const { context } = additiveAttention(512, 256)(params, decoderState, encoderStates);
 */
export function additiveAttention(d: number, dAttention: number, dKey = d) {
  const projection = (nIn: number, nOut: number) => linear(nIn, nOut, { bias: false, std: 1 / Math.sqrt(nIn) });
  return module(
    { Wq: projection(d, dAttention), Wk: projection(dKey, dAttention), v: projection(dAttention, 1) },
    (
      { Wq, Wk, v },
      q: Tensor,
      k: Tensor,
      { values = k, bias, onKeys = (keys) => keys }: AdditiveAttentionInputs = {},
    ) => {
      const [b, t] = q.shape as [Dim, Dim, number];
      const s = k.shape[1]!;
      const sums = tanh(add(expandDims(Wq(q), 2), expandDims(onKeys(Wk(k)), 1))); // [b, t, s, a]
      const scores = reshape(v(sums), [b, t, s]);
      const weights = observe("attention_weights", softmax(bias ? add(scores, bias) : scores));
      return { context: matmul(weights, values), weights };
    },
  );
}
