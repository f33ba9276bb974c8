import { addDims, type Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu } from "../ops/activation.js";
import { concat, slice } from "../ops/shape.js";
import type { Context } from "./context.js";
import type { Activation } from "./feed-forward.js";
import { linear } from "./linear.js";

/**
 * The last `n` elements at each position, `[x_{i−n+1}; …; x_i]`, oldest first; zeros stand for what would be before the start of the text.
 * `x: [b, t, d]` → `[b, t, n·d]`. When decoding, the elements of earlier calls are remembered.
 *
 * @throws TesseraError `argument` for an `n` below 1
 */
export function lastElements(n: number, x: Tensor, ctx: Context): Tensor {
  if (!(Number.isInteger(n) && n > 0))
    throw new TesseraError("argument", `lastElements: n must be a whole number ≥ 1, got ${n}`);
  if (n === 1) return x;
  const [b, t, d] = x.shape as [Dim, Dim, number];
  return ctx.carry("last_elements", { shape: [b, n - 1, d], dtype: x.dtype }, (before) => {
    const known = concat([before, x], 1); // [b, n − 1 + t, d]
    const shifted = Array.from({ length: n }, (_, i) => slice(known, 1, i, addDims(i, t)));
    return [concat(shifted), slice(known, 1, t)];
  });
}

/**
 * FeedForwardSequenceModel: each element from the last `n`, `h_i = W₂ max(W₁ [x_{i−n+1}; …; x_i] + b₁, 0) + b₂`.
 * The block of n-gram networks (Bengio et al. 2003 has another form of it: `models/feed-forward-lm.ts`). `x: [b, t, d]` → `[b, t, d]`.
 *
 * @param n elements seen, with the one at the position itself
 * @param d size of an element
 * @param dFf inner size
 * @param activation default ReLU
 */
export function feedForwardSequenceModel(n: number, d: number, dFf: number, activation: Activation = relu) {
  return module(
    { linear1: linear(n * d, dFf), linear2: linear(dFf, d) },
    ({ linear1, linear2 }, x: Tensor, ctx: Context) => linear2(activation(linear1(lastElements(n, x, ctx)))),
  );
}
