import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { gather } from "../ops/gather.js";

/**
 * EmbedToken: `V^L → ℝ^{d×L}`, each token's learned vector. `ids: [b, t]` int64 → `[b, t, d]`.
 *
 * @param vocab number of tokens
 * @param d size of a vector
 * @param std standard deviation of the initial vectors. Default 0.02
 * @param padding a token whose vector no text changes, as torch's `padding_idx`; a head tied to the table does. Default none
 */
export function embedToken(
  vocab: number,
  d: number,
  { std = 0.02, padding }: { readonly std?: number; readonly padding?: number | null | undefined } = {},
) {
  return module({ weight: param([vocab, d], { normal: std }) }, ({ weight }, ids: Tensor) =>
    gather(weight, ids, { frozenRow: padding ?? undefined }),
  );
}
