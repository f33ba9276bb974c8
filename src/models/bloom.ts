import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { feedForward } from "../nn/feed-forward.js";
import { layerNorm } from "../nn/layer-norm.js";
import { lmHead } from "../nn/lm-head.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { alibiBias } from "../nn/positions.js";
import { gelu } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { features } from "./features.js";
import { defineModel } from "./model.js";

/**
 * BLOOM: decoder-only, pre-norm, with ALiBi in place of positions and a norm after the embedding. Le Scao et al. 2022;
 * parity with transformers' `BloomForCausalLM`.
 */
export interface BloomConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly layer_norm_epsilon: number;
  /** The way around a layer starts after its norm, not before it. */
  readonly apply_residual_connection_post_layernorm: boolean;
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  readonly hidden_dropout: number;
  readonly attention_dropout: number;
}

function parse(c: ConfigReader): BloomConfig {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0 };
  /** A size under the first of its names that is there: the published checkpoints have others than those written today. */
  const sizeOf = (...names: readonly string[]) => {
    c.ignore(...names);
    return c.int(names.find((name) => c.has(name)) ?? names.at(-1)!, size);
  };
  const config: BloomConfig = {
    vocab_size: c.int("vocab_size", size),
    hidden_size: sizeOf("n_embed", "hidden_size"),
    n_layer: sizeOf("num_hidden_layers", "n_layer"),
    n_head: sizeOf("num_attention_heads", "n_head"),
    layer_norm_epsilon: c.number("layer_norm_epsilon", { above: 0, default: 1e-5 }),
    apply_residual_connection_post_layernorm: c.bool("apply_residual_connection_post_layernorm", { default: false }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    hidden_dropout: c.number("hidden_dropout", rate),
    attention_dropout: c.number("attention_dropout", rate),
  };
  c.divides(config, "hidden_size", "n_head");
  const slices = c.int("pretraining_tp", { min: 1, default: 1 });
  if (c.bool("slow_but_exact", { default: false }) && slices > 1)
    c.problem(`slow_but_exact with pretraining_tp ${slices} is not supported: it leaves biases out`, "unsupported");
  // How the original's training computed the same, and fields that nothing reads.
  c.ignore(
    ...["masked_softmax_fusion", "attention_softmax_in_fp32", "bias_dropout_fusion", "skip_bias_add"],
    ...["skip_bias_add_qkv", "offset_alibi", "seq_length", "n_inner", "unk_token_id"],
  );
  return config;
}

const block = (c: BloomConfig) =>
  module(
    {
      input_layernorm: layerNorm(c.hidden_size, c.layer_norm_epsilon),
      self_attention: multiHeadedAttention({
        d: c.hidden_size,
        heads: c.n_head,
        mask: "causal",
        dropout: c.attention_dropout,
        std: c.initializer_range,
        names: { fused: "query_key_value", output: "dense" },
      }),
      post_attention_layernorm: layerNorm(c.hidden_size, c.layer_norm_epsilon),
      mlp: feedForward(c.hidden_size, 4 * c.hidden_size, (x) => gelu(x, "tanh"), {
        names: ["dense_h_to_4h", "dense_4h_to_h"],
        std: c.initializer_range,
      }),
    },
    ({ input_layernorm, self_attention, post_attention_layernorm, mlp }, x: Tensor, alibi: Tensor, ctx: Context) => {
      const around = (normalize: (x: Tensor) => Tensor, f: (x: Tensor) => Tensor, x: Tensor) => {
        const y = normalize(x);
        return add(c.apply_residual_connection_post_layernorm ? y : x, ctx.dropout(f(y), c.hidden_dropout));
      };
      x = around(input_layernorm, (y) => self_attention(y, y, ctx, { bias: alibi }), x);
      return around(post_attention_layernorm, mlp, x);
    },
  );

/** The model without a head: `ids: [b, t]` → `[b, t, d]`. */
export const bloomModel = (c: BloomConfig) =>
  module(
    {
      word_embeddings: embedToken(c.vocab_size, c.hidden_size, { std: c.initializer_range }),
      word_embeddings_layernorm: layerNorm(c.hidden_size, c.layer_norm_epsilon),
      h: Array.from({ length: c.n_layer }, () => block(c)),
      ln_f: layerNorm(c.hidden_size, c.layer_norm_epsilon),
    },
    ({ word_embeddings, word_embeddings_layernorm, h, ln_f }, ids: Tensor, ctx: Context) => {
      const alibi = alibiBias(c.n_head, ctx.keyPositions); // [1, h, 1, s]
      let x = observe("embeddings", word_embeddings_layernorm(word_embeddings(ids))); // [b, t, d]
      for (const layer of h) x = layer(x, alibi, ctx);
      return ln_f(x);
    },
  );

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose unless `tie_word_embeddings` is false. */
export const bloomForCausalLm = (c: BloomConfig) =>
  module(
    {
      transformer: bloomModel(c),
      lm_head: lmHead(c.hidden_size, c.vocab_size, { tied: c.tie_word_embeddings, std: c.initializer_range }),
    },
    ({ transformer, lm_head }, ids: Tensor, ctx: Context) =>
      lm_head(ctx.scored(transformer(ids, ctx)), transformer.params.word_embeddings.weight),
  );

export const bloom = defineModel<BloomConfig>({
  modelType: "bloom",
  parse,
  architectures: {
    BloomForCausalLM: { task: "causal-lm", build: bloomForCausalLm },
    BloomModel: { task: "features", build: (c) => features(bloomModel(c)) },
  },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: undefined }),
  fresh: ({ vocabSize, layers, heads, d, dropout }) => ({
    apply_residual_connection_post_layernorm: false,
    attention_dropout: dropout,
    hidden_dropout: dropout,
    hidden_size: d,
    layer_norm_epsilon: 1e-5,
    n_head: heads,
    n_layer: layers,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: { basePrefix: "transformer.", ignore: [/^lm_head\.weight$/] },
});
