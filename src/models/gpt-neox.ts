import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { feedForward } from "../nn/feed-forward.js";
import { layerNorm } from "../nn/layer-norm.js";
import { lmHead } from "../nn/lm-head.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { rotaryPositions } from "../nn/rotary-positions.js";
import { add } from "../ops/elementwise.js";
import { features } from "./features.js";
import { defineModel } from "./model.js";
import { parseRopeParameters, type RopeParameters } from "./rope-parameters.js";

/**
 * GPT-NeoX and Pythia: decoder-only, pre-norm, a quarter of each head with rotary positions, attention and feed-forward side by side.
 * Black et al. 2022, Biderman et al. 2023; after transformers' `GPTNeoXForCausalLM`.
 */
export interface GptNeoXConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly hidden_act: ActivationName;
  readonly layer_norm_eps: number;
  readonly initializer_range: number;
  readonly attention_bias: boolean;
  readonly attention_dropout: number;
  readonly hidden_dropout: number;
  readonly use_parallel_residual: boolean;
  readonly tie_word_embeddings: boolean;
  readonly rope_parameters: RopeParameters;
}

function parse(c: ConfigReader): GptNeoXConfig {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0 };
  const sizes = { hidden_size: c.int("hidden_size", size), num_attention_heads: c.int("num_attention_heads", size) };
  c.divides(sizes, "hidden_size", "num_attention_heads");
  c.ignore("classifier_dropout"); // of other classes
  return {
    vocab_size: c.int("vocab_size", size),
    ...sizes,
    num_hidden_layers: c.int("num_hidden_layers", size),
    intermediate_size: c.int("intermediate_size", size),
    hidden_act: c.oneOf("hidden_act", activationNames, { default: "gelu" }),
    layer_norm_eps: c.number("layer_norm_eps", { above: 0, default: 1e-5 }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    attention_bias: c.bool("attention_bias", { default: true }),
    attention_dropout: c.number("attention_dropout", rate),
    hidden_dropout: c.number("hidden_dropout", rate),
    use_parallel_residual: c.bool("use_parallel_residual", { default: true }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: false }),
    rope_parameters: parseRopeParameters(c, {
      headSize: Math.trunc(sizes.hidden_size / sizes.num_attention_heads),
      positions: c.int("max_position_embeddings", { min: 1, default: 2048 }),
      base: "rotary_emb_base",
      part: ["rotary_pct", 0.25],
    }),
  };
}

const block = (c: GptNeoXConfig) => {
  const { hidden_size: d, initializer_range: std, hidden_dropout: rate } = c;
  const { base, rotated, scaling } = c.rope_parameters;
  const attention = multiHeadedAttention({
    d,
    heads: c.num_attention_heads,
    mask: "causal",
    bias: c.attention_bias,
    dropout: c.attention_dropout,
    std,
    names: { fused: "query_key_value", output: "dense" },
    onQueryKey: rotaryPositions(rotated, { base, scaling }),
  });
  return module(
    {
      input_layernorm: layerNorm(d, c.layer_norm_eps),
      post_attention_layernorm: layerNorm(d, c.layer_norm_eps),
      attention,
      mlp: feedForward(d, c.intermediate_size, activations[c.hidden_act], {
        std,
        names: ["dense_h_to_4h", "dense_4h_to_h"],
      }),
    },
    (self, x: Tensor, ctx: Context): Tensor => {
      const y = self.input_layernorm(x);
      const attended = add(x, ctx.dropout(self.attention(y, y, ctx), rate));
      const from = c.use_parallel_residual ? x : attended;
      return add(attended, ctx.dropout(self.mlp(self.post_attention_layernorm(from)), rate));
    },
  );
};

/** The model without a head: `ids: [b, t]` → `[b, t, d]`. */
export const gptNeoXModel = (c: GptNeoXConfig) =>
  module(
    {
      embed_in: embedToken(c.vocab_size, c.hidden_size, { std: c.initializer_range }),
      layers: Array.from({ length: c.num_hidden_layers }, () => block(c)),
      final_layer_norm: layerNorm(c.hidden_size, c.layer_norm_eps),
    },
    ({ embed_in, layers, final_layer_norm }, ids: Tensor, ctx: Context) => {
      let x = ctx.dropout(embed_in(ids), c.hidden_dropout); // [b, t, d]
      for (const layer of layers) x = layer(x, ctx);
      return final_layer_norm(x);
    },
  );

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose where `tie_word_embeddings` is true. */
export const gptNeoXForCausalLm = (c: GptNeoXConfig) =>
  module(
    {
      gpt_neox: gptNeoXModel(c),
      embed_out: lmHead(c.hidden_size, c.vocab_size, { tied: c.tie_word_embeddings, std: c.initializer_range }),
    },
    ({ gpt_neox, embed_out }, ids: Tensor, ctx: Context) =>
      embed_out(ctx.scored(gpt_neox(ids, ctx)), gpt_neox.params.embed_in.weight),
  );

export const gptNeoX = defineModel<GptNeoXConfig>({
  modelType: "gpt_neox",
  parse,
  architectures: {
    GPTNeoXForCausalLM: { task: "causal-lm", build: gptNeoXForCausalLm },
    GPTNeoXModel: { task: "features", build: (c) => features(gptNeoXModel(c)) },
  },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.rope_parameters.contextLength }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => ({
    attention_bias: true,
    attention_dropout: dropout,
    hidden_act: "gelu",
    hidden_dropout: dropout,
    hidden_size: d,
    initializer_range: 0.02,
    intermediate_size: 4 * d,
    layer_norm_eps: 1e-5,
    max_position_embeddings: contextLength,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    rope_parameters: { partial_rotary_factor: 0.25, rope_theta: 10000, rope_type: "default" },
    tie_word_embeddings: false,
    use_parallel_residual: true,
    vocab_size: vocabSize,
  }),
  checkpoint: {
    basePrefix: "gpt_neox.",
    ignore: [/\.attention\.(masked_)?bias$/, /\.rotary_emb\.inv_freq$/, /^embed_out\.weight$/],
  },
});
