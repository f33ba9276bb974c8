import type { ConfigReader } from "../core/config-reader.js";
import { type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { type Activation, feedForward, gatedFeedForward } from "../nn/feed-forward.js";
import { linear } from "../nn/linear.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { relativePositionBias } from "../nn/positions.js";
import { rmsNorm } from "../nn/rms-norm.js";
import type { AttentionMask } from "../ops/attention.js";
import { add, mul } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { defineModel, type EncoderDecoderHalves } from "./model.js";

/**
 * T5: encoder-decoder, pre-norm without means, relative positions as biases of the scores, which one parameter serves in all layers
 * of a stack. Raffel et al. 2020; version 1.1 and Flan with a gated feed-forward (Shazeer 2020) and a head of its own; parity with
 * transformers' `T5ForConditionalGeneration`.
 */
export interface T5Config {
  readonly vocab_size: number;
  readonly d_model: number;
  /** Size of a head; the heads together need not be `d_model`. */
  readonly d_kv: number;
  readonly d_ff: number;
  readonly num_layers: number;
  readonly num_decoder_layers: number;
  readonly num_heads: number;
  readonly relative_attention_num_buckets: number;
  readonly relative_attention_max_distance: number;
  readonly dropout_rate: number;
  readonly layer_norm_epsilon: number;
  readonly initializer_factor: number;
  readonly dense_act_fn: ActivationName;
  readonly is_gated_act: boolean;
  /** Whether the head is the embedding's transpose. */
  readonly tie_word_embeddings: boolean;
  /** Whether what goes into the head is divided by `√d_model`. */
  readonly scale_decoder_outputs: boolean;
  readonly pad_token_id: number;
  readonly decoder_start_token_id: number;
}

function parse(c: ConfigReader): T5Config {
  const size = { min: 1 };
  const num_layers = c.int("num_layers", { min: 1, default: 6 });
  const projection = c.string("feed_forward_proj", { default: "relu" });
  const [, gated, activation] = /^(gated-)?([^-]+)$/.exec(projection) ?? [];
  const named = activationNames.find((name) => name === (projection === "gated-gelu" ? "gelu_new" : activation));
  if (!named)
    c.problem(
      `feed_forward_proj must be an activation or "gated-" and one, got ${JSON.stringify(projection)}`,
      "unsupported",
    );
  const tied = c.bool("tie_word_embeddings", { default: true });
  const pad_token_id = c.int("pad_token_id", { min: 0, default: 0 });
  const config: T5Config = {
    vocab_size: c.int("vocab_size", size),
    d_model: c.int("d_model", size),
    d_kv: c.int("d_kv", { min: 1, default: 64 }),
    d_ff: c.int("d_ff", size),
    num_layers,
    num_decoder_layers: c.int("num_decoder_layers", { min: 1, default: num_layers }),
    num_heads: c.int("num_heads", size),
    relative_attention_num_buckets: c.int("relative_attention_num_buckets", { min: 4, default: 32 }),
    relative_attention_max_distance: c.int("relative_attention_max_distance", { min: 2, default: 128 }),
    dropout_rate: c.number("dropout_rate", { min: 0, max: 0.999, default: 0.1 }),
    layer_norm_epsilon: c.number("layer_norm_epsilon", { above: 0, default: 1e-6 }),
    initializer_factor: c.number("initializer_factor", { above: 0, default: 1 }),
    dense_act_fn: c.oneOf("dense_act_fn", activationNames, { default: named ?? "relu" }),
    is_gated_act: c.bool("is_gated_act", { default: gated !== undefined }),
    // Version 5 of transformers always writes that it is tied, and ties only what is not on disk.
    tie_word_embeddings: !c.bool("has_lm_head", { default: !tied }),
    // In files of older versions the tie says this, too.
    scale_decoder_outputs: c.bool("scale_decoder_outputs", { default: tied }),
    pad_token_id,
    decoder_start_token_id: c.int("decoder_start_token_id", { min: 0, default: pad_token_id }),
  };
  const [buckets, distance] = [config.relative_attention_num_buckets, config.relative_attention_max_distance];
  if (distance <= Math.floor(buckets / 2))
    c.problem(`relative_attention_max_distance ${distance} must be more than half of the ${buckets} buckets`);
  c.expect("is_decoder", false);
  c.expect("tie_encoder_decoder", false);
  // A length that nothing depends on, and the dropout of a head that is not this one's.
  c.ignore("is_encoder_decoder", "n_positions", "classifier_dropout");
  return config;
}

const attention = (c: T5Config, mask: AttentionMask) =>
  multiHeadedAttention({
    d: c.d_model,
    heads: c.num_heads,
    headSize: c.d_kv,
    mask,
    bias: false,
    scale: 1, // what others divide by stands in the queries' initial weights
    dropout: c.dropout_rate,
    names: ["q", "k", "v", "o"],
    std: {
      query: c.initializer_factor / Math.sqrt(c.d_model * c.d_kv),
      key: c.initializer_factor / Math.sqrt(c.d_model),
      value: c.initializer_factor / Math.sqrt(c.d_model),
      output: c.initializer_factor / Math.sqrt(c.num_heads * c.d_kv),
    },
  });

const norm = (c: T5Config) => rmsNorm(c.d_model, c.layer_norm_epsilon);

const selfAttention = (c: T5Config, mask: AttentionMask) =>
  module(
    { SelfAttention: attention(c, mask), layer_norm: norm(c) },
    ({ SelfAttention, layer_norm }, x: Tensor, ctx: Context, bias: Tensor) => {
      const y = layer_norm(x);
      return add(x, ctx.dropout(SelfAttention(y, y, ctx, { bias }), c.dropout_rate));
    },
  );

const crossAttention = (c: T5Config) =>
  module(
    { EncDecAttention: attention(c, "none"), layer_norm: norm(c) },
    ({ EncDecAttention, layer_norm }, x: Tensor, memory: Tensor, ctx: Context) =>
      add(x, ctx.dropout(EncDecAttention(layer_norm(x), memory, ctx), c.dropout_rate)),
  );

const mlp = (c: T5Config) => {
  const std = [c.initializer_factor / Math.sqrt(c.d_model), c.initializer_factor / Math.sqrt(c.d_ff)] as const;
  const activation = activations[c.dense_act_fn];
  // biome-ignore lint/suspicious/noExplicitAny: two projections, or three
  const dense: Module<any, [x: Tensor, onInner?: Activation], Tensor> = c.is_gated_act
    ? gatedFeedForward(c.d_model, c.d_ff, activation, { std, names: ["wi_0", "wi_1", "wo"] })
    : feedForward(c.d_model, c.d_ff, activation, { std, bias: false, names: ["wi", "wo"] });
  return module({ DenseReluDense: dense, layer_norm: norm(c) }, (self, x: Tensor, ctx: Context) => {
    const drop = (y: Tensor) => ctx.dropout(y, c.dropout_rate);
    return add(x, drop(self.DenseReluDense(self.layer_norm(x), drop)));
  });
};

const encoderBlock = (c: T5Config) =>
  module({ "layer.0": selfAttention(c, "none"), "layer.1": mlp(c) }, (self, x: Tensor, ctx: Context, bias: Tensor) =>
    self["layer.1"](self["layer.0"](x, ctx, bias), ctx),
  );

const decoderBlock = (c: T5Config) =>
  module(
    { "layer.0": selfAttention(c, "causal"), "layer.1": crossAttention(c), "layer.2": mlp(c) },
    (self, x: Tensor, memory: Tensor, ctx: Context, bias: Tensor) =>
      self["layer.2"](self["layer.1"](self["layer.0"](x, ctx, bias), memory, ctx), ctx),
  );

/** The first layer's on disk, and every layer's. */
const RELATIVE = "block.0.layer.0.SelfAttention.relative_attention_bias";

const relativeBias = (c: T5Config, bidirectional: boolean) =>
  relativePositionBias(c.num_heads, {
    buckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    bidirectional,
    std: c.initializer_factor / Math.sqrt(c.d_model),
  });

/** `x: [b, s, d]` of the embedding → `[b, s, d]`. */
const encoder = (c: T5Config) =>
  module(
    {
      block: Array.from({ length: c.num_layers }, () => encoderBlock(c)),
      [RELATIVE]: relativeBias(c, true),
      final_layer_norm: norm(c),
    },
    ({ block, [RELATIVE]: relative, final_layer_norm }, x: Tensor, ctx: Context) => {
      x = observe("embeddings", ctx.dropout(x, c.dropout_rate));
      const bias = relative(ctx.positions, ctx.keyPositions); // [b, h, s, s]
      for (const layer of block) x = layer(x, ctx, bias);
      return ctx.dropout(final_layer_norm(x), c.dropout_rate);
    },
  );

/** `x: [b, t, d]` of the embedding, `memory: [b, s, d]` → `[b, t, d]`. */
const decoder = (c: T5Config) =>
  module(
    {
      block: Array.from({ length: c.num_decoder_layers }, () => decoderBlock(c)),
      [RELATIVE]: relativeBias(c, false),
      final_layer_norm: norm(c),
    },
    ({ block, [RELATIVE]: relative, final_layer_norm }, x: Tensor, memory: Tensor, ctx: Context) => {
      x = observe("embeddings", ctx.dropout(x, c.dropout_rate));
      const bias = relative(ctx.positions, ctx.keyPositions); // [b, h, t, s]
      for (const layer of block) x = layer(x, memory, ctx, bias);
      return ctx.dropout(final_layer_norm(x), c.dropout_rate);
    },
  );

const shared = (c: T5Config) => embedToken(c.vocab_size, c.d_model, { std: c.initializer_factor });

/** With the language-model head, which is the embedding's transpose unless `tie_word_embeddings` is false. */
export const t5ForConditionalGeneration = (c: T5Config) =>
  module(
    {
      shared: shared(c),
      encoder: encoder(c),
      decoder: decoder(c),
      lm_head: c.tie_word_embeddings
        ? undefined
        : linear(c.d_model, c.vocab_size, { bias: false, std: c.initializer_factor / Math.sqrt(c.d_model) }),
    },
    ({ shared, encoder, decoder, lm_head }): EncoderDecoderHalves => ({
      encode: (ids, ctx) => encoder(shared(ids), ctx),
      decode(ids, memory, ctx) {
        const y = ctx.scored(decoder(shared(ids), memory, ctx)); // [b, t, d]
        const x = c.scale_decoder_outputs ? mul(y, 1 / Math.sqrt(c.d_model)) : y;
        return lm_head ? lm_head(x) : matmul(x, shared.params.weight, { transB: true });
      },
    }),
  );

/** The encoder alone: `ids: [b, t]` → `last_hidden_state: [b, t, d]`. */
export const t5EncoderModel = (c: T5Config) =>
  module({ shared: shared(c), encoder: encoder(c) }, ({ shared, encoder }, ids: Tensor, ctx: Context) => ({
    last_hidden_state: encoder(shared(ids), ctx),
  }));

export const t5 = defineModel<T5Config>({
  modelType: "t5",
  parse,
  architectures: {
    T5ForConditionalGeneration: { task: "seq2seq-lm", build: t5ForConditionalGeneration },
    T5EncoderModel: { task: "features", build: t5EncoderModel },
  },
  pretraining: "span-corruption",
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: undefined,
    sourceLength: undefined,
    decoderStart: c.decoder_start_token_id,
    padding: c.pad_token_id,
  }),
  fresh: ({ vocabSize, layers, heads, d, dropout }) => ({
    d_ff: 4 * d,
    d_kv: Math.ceil(d / heads),
    d_model: d,
    dropout_rate: dropout,
    eos_token_id: 1,
    feed_forward_proj: "gated-gelu",
    layer_norm_epsilon: 1e-6,
    num_decoder_layers: layers,
    num_heads: heads,
    num_layers: layers,
    pad_token_id: 0,
    relative_attention_max_distance: 128,
    relative_attention_num_buckets: 32,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: {
    ignore: [/^(en|de)coder\.embed_tokens\.weight$/, /EncDecAttention\.relative_attention_bias\.weight$/],
    older: [[/^shared\./, "decoder.embed_tokens."]],
    fields: (names) => ({ has_lm_head: names.includes("lm_head.weight") }),
  },
});
