import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu } from "../ops/activation.js";
import type { AttentionMask } from "../ops/attention.js";
import { addNorm } from "./add-norm.js";
import type { Context } from "./context.js";
import { type Activation, feedForward } from "./feed-forward.js";
import { multiHeadedAttention } from "./multi-headed-attention.js";

/** A Transformer block's sizes and kinds. */
export interface TransformerBlockOptions {
  /** Model size. */
  readonly d: number;
  /** Attention heads. */
  readonly heads: number;
  /** Inner size of the feed-forward. Default `4d`. */
  readonly dFf?: number;
  /** Default ReLU. */
  readonly activation?: Activation;
  /** Where the norms stand: `"post"` the 2017 Transformer, `"pre"` GPT-2. Default `"post"`. */
  readonly norm?: "post" | "pre";
  /** `"none"` in encoders, `"causal"` or banded in decoders. Default `"none"`. */
  readonly mask?: AttentionMask;
  /** Probability of dropping an element of each layer's result, and an attention weight, while training. Default 0. */
  readonly dropout?: number;
  /** Layer-norm epsilon. Default 1e-5. */
  readonly eps?: number;
}

/**
 * TransformerBlock = AddNorm(FeedForward, AddNorm(SelfAttention, x)). Vaswani et al. 2017, section 3.1; parameters are named as
 * torch's `TransformerEncoderLayer` names them. `x: [b, t, d]` → `[b, t, d]`.
 */
export function transformerBlock(options: TransformerBlockOptions) {
  const { d, heads, dFf = 4 * d, activation = relu, norm = "post", mask = "none", dropout = 0, eps = 1e-5 } = options;
  return module(
    {
      self_attn: multiHeadedAttention({ d, heads, mask, dropout, names: "packed" }),
      norm1: addNorm(d, { norm, eps }),
      $feedForward: feedForward(d, dFf, activation),
      norm2: addNorm(d, { norm, eps }),
    },
    ({ self_attn, norm1, $feedForward, norm2 }, x: Tensor, ctx: Context): Tensor => {
      x = norm1((y) => ctx.dropout(self_attn(y, y, ctx), dropout), x);
      return norm2((y) => ctx.dropout($feedForward(y), dropout), x);
    },
  );
}

/**
 * A decoder's block over an encoder's result: AddNorm(FeedForward, AddNorm(CrossAttention, AddNorm(SelfAttention, x))).
 * Vaswani et al. 2017, section 3.1; named as torch's `TransformerDecoderLayer`. `x: [b, t, d]`, `memory: [b, s, d]` → `[b, t, d]`.
 */
export function transformerDecoderBlock(options: TransformerBlockOptions) {
  const { d, heads, dFf = 4 * d, activation = relu, norm = "post", mask = "causal", dropout = 0, eps = 1e-5 } = options;
  return module(
    {
      self_attn: multiHeadedAttention({ d, heads, mask, dropout, names: "packed" }),
      multihead_attn: multiHeadedAttention({ d, heads, dropout, names: "packed" }),
      norm1: addNorm(d, { norm, eps }),
      norm2: addNorm(d, { norm, eps }),
      $feedForward: feedForward(d, dFf, activation),
      norm3: addNorm(d, { norm, eps }),
    },
    (
      { self_attn, multihead_attn, norm1, norm2, $feedForward, norm3 },
      x: Tensor,
      memory: Tensor,
      ctx: Context,
    ): Tensor => {
      x = norm1((y) => ctx.dropout(self_attn(y, y, ctx), dropout), x);
      x = norm2((y) => ctx.dropout(multihead_attn(y, memory, ctx), dropout), x);
      return norm3((y) => ctx.dropout($feedForward(y), dropout), x);
    },
  );
}
