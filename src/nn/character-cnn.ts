import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { gather } from "../ops/gather.js";
import { matmul } from "../ops/matmul.js";
import { max } from "../ops/reduce.js";
import { concat, reshape, slice, transpose } from "../ops/shape.js";
import type { Activation } from "./feed-forward.js";

/** What a character CNN is made of. */
export interface CharacterCnnOptions {
  /** Number of characters it knows. */
  readonly characters: number;
  /** Size of a character's vector. */
  readonly d: number;
  /** How many filters there are of each width, in characters. */
  readonly filters: readonly { readonly width: number; readonly count: number }[];
  /** After the maximum. Default ReLU. */
  readonly activation?: Activation;
}

/**
 * A word's vector from its characters: filters over windows of neighbouring characters, the maximum of each over the word, an
 * activation. Kim et al. 2016, section 2; parameters as AllenNLP's ELMo has them: `_char_embedding_weights`, `char_conv_0.weight`, …
 * `ids: [..., c]` int64, c at least the greatest width → `[..., n]`, n the number of all filters.
 *
 * @example characterCnn({ characters: 262, d: 16, filters: [{ width: 1, count: 32 }, { width: 2, count: 32 }] })
 */
export function characterCnn({ characters, d, filters, activation = relu }: CharacterCnnOptions) {
  const convolutions = filters.map(({ width, count }, i) => [`char_conv_${i}`, convolution(d, count, width)] as const);
  return module(
    {
      _char_embedding_weights: param([characters, d], { uniform: 1 }),
      $filters: module(Object.fromEntries(convolutions), (self, x: Tensor) =>
        concat(convolutions.map(([name]) => activation(max(self[name]!(x), { axes: [-2] })))),
      ),
    },
    (self, ids: Tensor): Tensor => self.$filters(gather(self._char_embedding_weights, ids)),
  );
}

/** Filters over all windows of `width` elements, with torch's `Conv1d` weights. `x: [..., c, d]` → `[..., c − width + 1, count]`. */
function convolution(d: number, count: number, width: number) {
  return module(
    { weight: param([count, d, width], { normal: Math.sqrt(1 / (width * d)) }), bias: param([count], "zeros") },
    ({ weight, bias }, x: Tensor) => {
      const windows = (x.shape.at(-2) as number) - width + 1;
      const axis = x.rank - 2;
      const unfolded = concat(Array.from({ length: width }, (_, k) => slice(x, axis, k, k + windows))); // [..., c', w·d]
      return add(matmul(unfolded, reshape(transpose(weight, [0, 2, 1]), [count, width * d]), { transB: true }), bias);
    },
  );
}
