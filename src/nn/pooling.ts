import type { Dim } from "../core/dim.js";
import type { Tensor } from "../core/tensor.js";
import { range } from "../ops/constant.js";
import { cast, div, maximum, mul, sqrt } from "../ops/elementwise.js";
import { takeAlong } from "../ops/gather.js";
import { max, mean, sum } from "../ops/reduce.js";
import { broadcastTo, reshape, slice } from "../ops/shape.js";

/**
 * Mean of the tokens' vectors, padding left out: a text's embedding. Reimers & Gurevych 2019, section 3.
 * `hidden: [b, t, d]` → `[b, d]`; a row of padding alone gives zeros.
 *
 * @param attentionMask 1 for tokens, 0 for padding, `[b, t]` int64; undefined: no padding
 */
export function meanPooling(hidden: Tensor, attentionMask: Tensor | undefined): Tensor {
  if (!attentionMask) return mean(hidden, { axes: [1] });
  const [b, t] = attentionMask.shape as [Dim, Dim];
  const weights = reshape(cast(attentionMask, hidden.dtype), [b, t, 1]);
  return div(sum(mul(hidden, weights), { axes: [1] }), maximum(sum(weights, { axes: [1] }), 1e-9));
}

/** The first token's vector (BERT's `[CLS]`). `hidden: [b, t, d]` → `[b, d]`. */
export function clsPooling(hidden: Tensor): Tensor {
  const [b, , d] = hidden.shape as [Dim, Dim, number];
  return reshape(slice(hidden, 1, 0, 1), [b, d]);
}

/**
 * The last token's vector, of rows padded at either end: in a causal model the one that has seen the whole text.
 * `hidden: [b, t, d]` → `[b, d]`.
 *
 * @param mask 1 for tokens, 0 for padding, `[b, t]` int64; undefined: no padding
 */
export function lastTokenPooling(hidden: Tensor, mask: Tensor | undefined): Tensor {
  const [b, t, d] = hidden.shape as [Dim, Dim, number];
  const at = mask ? mul(range(t), mask) : broadcastTo(range(t), [b, t]);
  const last = reshape(max(at, { axes: [1] }), [b, 1, 1]);
  return reshape(takeAlong(hidden, broadcastTo(last, [b, 1, d]), 1), [b, d]);
}

/** Each vector to Euclidean length 1: `x / max(‖x‖, 1e-12)`. `[..., d]` → `[..., d]`. */
export function normalize(x: Tensor): Tensor {
  return div(x, sqrt(maximum(sum(mul(x, x), { axes: [-1], keepDims: true }), 1e-24)));
}
