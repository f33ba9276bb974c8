import type { ConfigReader } from "../core/config-reader.js";
import { type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { feedForward } from "../nn/feed-forward.js";
import { layerDrop } from "../nn/layer-drop.js";
import { layerNorm, plainLayerNorm } from "../nn/layer-norm.js";
import { linear } from "../nn/linear.js";
import { lmHead } from "../nn/lm-head.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { learnedPositions, tokenPositions } from "../nn/positions.js";
import { add } from "../ops/elementwise.js";
import { features } from "./features.js";
import { defineModel } from "./model.js";
import { parsePaddingId } from "./padding-id.js";

/**
 * OPT: decoder-only, learned positions counted over tokens. Pre-norm in all sizes but 350M, which is post-norm and embeds into a
 * smaller space. Zhang et al. 2022; parity with transformers' `OPTForCausalLM`.
 */
export interface OptConfig {
  readonly vocab_size: number;
  /** A token whose vector no text changes. */
  readonly pad_token_id: number | null;
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly ffn_dim: number;
  /** Size of the embeddings; where it is not `hidden_size` they are projected, in and out. */
  readonly word_embed_proj_dim: number | null;
  readonly activation_function: ActivationName;
  /** Pre-norm; else post-norm. */
  readonly do_layer_norm_before: boolean;
  /** Leaves out the norm after the last layer, which only pre-norm has. */
  readonly _remove_final_layer_norm: boolean;
  /** Whether norms are scaled and shifted by learned vectors. */
  readonly layer_norm_elementwise_affine: boolean;
  readonly enable_bias: boolean;
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the initial weights. */
  readonly init_std: number;
  readonly dropout: number;
  readonly attention_dropout: number;
  /** Probability of leaving a whole layer out while training. */
  readonly layerdrop: number;
}

function parse(c: ConfigReader): OptConfig {
  const size = { min: 1 };
  const rate = (standard: number) => ({ min: 0, max: 0.999, default: standard });
  const vocab_size = c.int("vocab_size", size);
  const config: OptConfig = {
    vocab_size,
    pad_token_id: parsePaddingId(c, vocab_size, 1),
    max_position_embeddings: c.int("max_position_embeddings", size),
    hidden_size: c.int("hidden_size", size),
    num_hidden_layers: c.int("num_hidden_layers", size),
    num_attention_heads: c.int("num_attention_heads", size),
    ffn_dim: c.int("ffn_dim", size),
    word_embed_proj_dim: c.int("word_embed_proj_dim", { min: 1, default: null }),
    activation_function: c.oneOf("activation_function", activationNames, { default: "relu" }),
    do_layer_norm_before: c.bool("do_layer_norm_before", { default: true }),
    _remove_final_layer_norm: c.bool("_remove_final_layer_norm", { default: false }),
    layer_norm_elementwise_affine: c.bool("layer_norm_elementwise_affine", { default: true }),
    enable_bias: c.bool("enable_bias", { default: true }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    init_std: c.number("init_std", { min: 0, default: 0.02 }),
    dropout: c.number("dropout", rate(0.1)),
    attention_dropout: c.number("attention_dropout", rate(0)),
    layerdrop: c.number("layerdrop", rate(0)),
  };
  c.divides(config, "hidden_size", "num_attention_heads");
  c.ignore("activation_dropout"); // the original reads it nowhere
  return config;
}

// biome-ignore lint/suspicious/noExplicitAny: with parameters or without
const norm = (c: OptConfig): Module<any, [x: Tensor], Tensor> =>
  c.layer_norm_elementwise_affine ? layerNorm(c.hidden_size) : plainLayerNorm();

const block = (c: OptConfig) =>
  module(
    {
      self_attn: multiHeadedAttention({
        d: c.hidden_size,
        heads: c.num_attention_heads,
        mask: "causal",
        dropout: c.attention_dropout,
        bias: c.enable_bias,
        std: c.init_std,
      }),
      self_attn_layer_norm: norm(c),
      $feedForward: feedForward(c.hidden_size, c.ffn_dim, activations[c.activation_function], {
        bias: c.enable_bias,
        names: ["fc1", "fc2"],
        std: c.init_std,
      }),
      final_layer_norm: norm(c),
    },
    ({ self_attn, self_attn_layer_norm, $feedForward, final_layer_norm }, x: Tensor, ctx: Context) => {
      const around = (normalize: (x: Tensor) => Tensor, f: (x: Tensor) => Tensor, x: Tensor) => {
        const way = (y: Tensor) => ctx.dropout(f(y), c.dropout);
        return c.do_layer_norm_before ? add(x, way(normalize(x))) : normalize(add(x, way(x)));
      };
      x = around(self_attn_layer_norm, (y) => self_attn(y, y, ctx), x);
      return around(final_layer_norm, $feedForward, x);
    },
  );

/** The decoder: `ids: [b, t]` → `[b, t, e]`, in the space of the embeddings. */
const decoder = (c: OptConfig) => {
  const e = c.word_embed_proj_dim ?? c.hidden_size;
  const projected = e !== c.hidden_size;
  return module(
    {
      embed_tokens: embedToken(c.vocab_size, e, { std: c.init_std, padding: c.pad_token_id }),
      embed_positions: learnedPositions(c.max_position_embeddings, c.hidden_size, { offset: 2, std: c.init_std }),
      project_in: projected ? linear(e, c.hidden_size, { bias: false, std: c.init_std }) : undefined,
      layers: Array.from({ length: c.num_hidden_layers }, () => block(c)),
      final_layer_norm: c.do_layer_norm_before && !c._remove_final_layer_norm ? norm(c) : undefined,
      project_out: projected ? linear(c.hidden_size, e, { bias: false, std: c.init_std }) : undefined,
    },
    (m, ids: Tensor, ctx: Context): Tensor => {
      const tokens = m.embed_tokens(ids);
      const positions = ctx.attentionMask ? tokenPositions(ctx.attentionMask) : ctx.positions;
      let x = add(m.project_in ? m.project_in(tokens) : tokens, m.embed_positions(positions)); // [b, t, d]
      x = observe("embeddings", x);
      for (const layer of m.layers) x = layerDrop((y) => layer(y, ctx), x, c.layerdrop, ctx);
      if (m.final_layer_norm) x = m.final_layer_norm(x);
      return m.project_out ? m.project_out(x) : x;
    },
  );
};

/** The model without a head: `ids: [b, t]` → `[b, t, e]`. */
export const optModel = (c: OptConfig) =>
  module({ decoder: decoder(c) }, ({ decoder }, ids: Tensor, ctx: Context) => decoder(ids, ctx));

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose unless `tie_word_embeddings` is false. */
export const optForCausalLm = (c: OptConfig) =>
  module(
    {
      model: optModel(c),
      lm_head: lmHead(c.word_embed_proj_dim ?? c.hidden_size, c.vocab_size, {
        tied: c.tie_word_embeddings,
        std: c.init_std,
      }),
    },
    ({ model, lm_head }, ids: Tensor, ctx: Context) =>
      lm_head(ctx.scored(model(ids, ctx)), model.params.decoder.embed_tokens.weight),
  );

export const opt = defineModel<OptConfig>({
  modelType: "opt",
  parse,
  architectures: {
    OPTForCausalLM: { task: "causal-lm", build: optForCausalLm },
    OPTModel: { task: "features", build: (c) => features(optModel(c)) },
  },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.max_position_embeddings }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout, padding = null }) => ({
    activation_function: "relu",
    attention_dropout: dropout,
    do_layer_norm_before: true,
    dropout,
    enable_bias: true,
    ffn_dim: 4 * d,
    hidden_size: d,
    layer_norm_elementwise_affine: true,
    layerdrop: 0,
    max_position_embeddings: contextLength,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    pad_token_id: padding,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
    word_embed_proj_dim: d,
  }),
  checkpoint: { basePrefix: "model.", ignore: [/^lm_head\.weight$/] },
});
