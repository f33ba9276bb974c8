import { type AnyModule, buffer, module, type Param, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import type { Activation } from "./feed-forward.js";
import { layerNorm } from "./layer-norm.js";
import { linear } from "./linear.js";

/** A masked language model's head: sizes, kinds and names. */
export interface MaskedLmHeadOptions {
  /** Model size. */
  readonly d: number;
  /** Number of tokens. */
  readonly vocab: number;
  readonly activation: Activation;
  /** Layer-norm epsilon. */
  readonly eps: number;
  /** Whether the projection to the vocabulary is the embedding's transpose. */
  readonly tied: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly std?: number;
  /**
   * Names on disk. `bias` is that of the tied projection; where it is not called `decoder`'s own, an untied checkpoint has both, and
   * the former takes no part.
   */
  readonly names: { readonly dense: string; readonly norm: string; readonly decoder: string; readonly bias: string };
}

/**
 * Head of a masked language model: `E LayerNorm(act(W x + b)) + c`, with `E` the embedding or a matrix of its own. Devlin et al. 2019.
 * Called with `x: [b, t, d]` and the embedding `[v, d]` → logits `[b, t, v]`.
 */
export function maskedLmHead({ d, vocab, activation, eps, tied, std = 0.02, names }: MaskedLmHeadOptions) {
  const { dense, norm, decoder, bias } = names;
  const alone = (p: Param) => module({ [bias]: p }, (self): Tensor => self[bias]!);
  const spec: Readonly<Record<string, AnyModule>> = {
    [dense]: linear(d, d, { std }),
    [norm]: layerNorm(d, eps),
    ...(tied ? { $bias: alone(param([vocab], "zeros")) } : { [decoder]: linear(d, vocab, { std }) }),
    ...(!tied && bias !== `${decoder}.bias` ? { $bias: alone(buffer([vocab], "zeros")) } : {}),
  };
  return module(spec, (self, x: Tensor, embedding: Tensor): Tensor => {
    const y = self[norm]!(activation(self[dense]!(x))); // [b, t, d]
    return tied ? add(matmul(y, embedding, { transB: true }), self.$bias!()) : self[decoder]!(y);
  });
}
