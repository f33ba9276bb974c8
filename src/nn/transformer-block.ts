import { type AnyModule, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu } from "../ops/activation.js";
import type { AttentionMask } from "../ops/attention.js";
import { addNorm } from "./add-norm.js";
import type { Context } from "./context.js";
import { type Activation, feedForward } from "./feed-forward.js";
import { type MultiHeadedAttentionOptions, multiHeadedAttention } from "./multi-headed-attention.js";

/** A Transformer block's sizes and kinds. */
export interface TransformerBlockOptions {
  /** Model size. */
  readonly d: number;
  /** Attention heads. */
  readonly heads: number;
  /** Size of a head. Default `d / heads`. */
  readonly headSize?: number;
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

/** One dropout rate for each place: attention weights, the attention's result, the feed-forward's, and inside it (default 0). */
export interface TransformerBlockDropout {
  readonly weights: number;
  readonly attention: number;
  readonly feedForward: number;
  readonly inner?: number;
}

const ratesOf = (dropout: number | TransformerBlockDropout) =>
  typeof dropout === "number"
    ? { weights: dropout, attention: dropout, feedForward: dropout, inner: 0 }
    : { inner: 0, ...dropout };

/** What a block can be told besides. */
export interface TransformerEncoderBlockOptions extends Omit<TransformerBlockOptions, "dropout"> {
  /** Or one rate for each place. */
  readonly dropout?: number | TransformerBlockDropout;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly std?: number;
  /** How its parts are called on disk. Default torch's `TransformerEncoderLayer`. */
  readonly names?: TransformerBlockNames;
}

/** Names on disk of the parts of a block. */
export interface TransformerBlockNames {
  readonly attention: string;
  readonly projections: NonNullable<MultiHeadedAttentionOptions["names"]>;
  readonly attentionNorm: string;
  readonly feedForward: readonly [up: string, down: string];
  readonly feedForwardNorm: string;
}

const torchNames: TransformerBlockNames = {
  attention: "self_attn",
  projections: "packed",
  attentionNorm: "norm1",
  feedForward: ["linear1", "linear2"],
  feedForwardNorm: "norm2",
};

/**
 * TransformerBlock = AddNorm(FeedForward, AddNorm(SelfAttention, x)). Vaswani et al. 2017, section 3.1; parameters are named as
 * torch's `TransformerEncoderLayer` names them. `x: [b, t, d]` → `[b, t, d]`.
 */
export function transformerBlock(options: TransformerEncoderBlockOptions) {
  const { d, heads, dFf = 4 * d, activation = relu, norm = "post", mask = "none", dropout = 0, eps = 1e-5 } = options;
  const { std = 0.02, names = torchNames, headSize = d / heads } = options;
  const rates = ratesOf(dropout);
  const spec: Readonly<Record<string, AnyModule>> = {
    [names.attention]: multiHeadedAttention({
      d,
      heads,
      headSize,
      mask,
      dropout: rates.weights,
      names: names.projections,
      std,
    }),
    [names.attentionNorm]: addNorm(d, { norm, eps }),
    $feedForward: feedForward(d, dFf, activation, { names: names.feedForward, std }),
    [names.feedForwardNorm]: addNorm(d, { norm, eps }),
  };
  return module(spec, (self, x: Tensor, ctx: Context): Tensor => {
    const [attention, norm1, norm2] = [names.attention, names.attentionNorm, names.feedForwardNorm].map(
      (n) => self[n]!,
    );
    x = norm1!((y: Tensor) => ctx.dropout(attention!(y, y, ctx), rates.attention), x);
    const onInner = (h: Tensor) => ctx.dropout(h, rates.inner);
    return norm2!((y: Tensor) => ctx.dropout(self.$feedForward!(y, onInner), rates.feedForward), x);
  });
}

/** How a decoder's block is told to be. */
export interface TransformerDecoderBlockOptions extends Omit<TransformerEncoderBlockOptions, "names"> {
  /** How its parts are called on disk. Default torch's `TransformerDecoderLayer`. */
  readonly names?: TransformerBlockNames & { readonly cross: string; readonly crossNorm: string };
}

const torchDecoderNames = { ...torchNames, cross: "multihead_attn", crossNorm: "norm2", feedForwardNorm: "norm3" };

/**
 * A decoder's block over an encoder's result: AddNorm(FeedForward, AddNorm(CrossAttention, AddNorm(SelfAttention, x))).
 * Vaswani et al. 2017, section 3.1; named as torch's `TransformerDecoderLayer`. `x: [b, t, d]`, `memory: [b, s, d]` → `[b, t, d]`.
 */
export function transformerDecoderBlock(options: TransformerDecoderBlockOptions) {
  const { d, heads, dFf = 4 * d, activation = relu, norm = "post", mask = "causal", dropout = 0, eps = 1e-5 } = options;
  const { std = 0.02, names = torchDecoderNames, headSize = d / heads } = options;
  const rates = ratesOf(dropout);
  const attention = { d, heads, headSize, dropout: rates.weights, names: names.projections, std };
  const spec: Readonly<Record<string, AnyModule>> = {
    [names.attention]: multiHeadedAttention({ ...attention, mask }),
    [names.attentionNorm]: addNorm(d, { norm, eps }),
    [names.cross]: multiHeadedAttention(attention),
    [names.crossNorm]: addNorm(d, { norm, eps }),
    $feedForward: feedForward(d, dFf, activation, { names: names.feedForward, std }),
    [names.feedForwardNorm]: addNorm(d, { norm, eps }),
  };
  return module(spec, (self, x: Tensor, memory: Tensor, ctx: Context): Tensor => {
    const { [names.attention]: own, [names.cross]: cross, $feedForward: feedForward } = self;
    const norms = [names.attentionNorm, names.crossNorm, names.feedForwardNorm].map((name) => self[name]!);
    const onInner = (h: Tensor) => ctx.dropout(h, rates.inner);
    x = norms[0]!((y: Tensor) => ctx.dropout(own!(y, y, ctx), rates.attention), x);
    x = norms[1]!((y: Tensor) => ctx.dropout(cross!(y, memory, ctx), rates.attention), x);
    return norms[2]!((y: Tensor) => ctx.dropout(feedForward!(y, onInner), rates.feedForward), x);
  });
}
