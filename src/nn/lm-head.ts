import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { matmul } from "../ops/matmul.js";

/**
 * A language model's head: a score for every token, `E x`, with `E` the embedding (Press & Wolf 2017) or a matrix of its own.
 * Called with `x: [b, t, d]` and the embedding `[v, d]` → logits `[b, t, v]`.
 *
 * @param tied whether it is the embedding, and has no parameter
 * @param std standard deviation of the initial weights of its own. Default 0.02
 */
export function lmHead(
  d: number,
  vocab: number,
  { tied, std = 0.02 }: { readonly tied: boolean; readonly std?: number },
) {
  return module(
    { weight: tied ? undefined : param([vocab, d], { normal: std }) },
    ({ weight }, x: Tensor, embedding: Tensor) => matmul(x, weight ?? embedding, { transB: true }),
  );
}
