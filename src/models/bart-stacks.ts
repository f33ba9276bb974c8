import type { ConfigReader } from "../core/config-reader.js";
import { buffer, type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { layerDrop } from "../nn/layer-drop.js";
import { layerNorm } from "../nn/layer-norm.js";
import { linear } from "../nn/linear.js";
import { learnedPositions, sinusoidalPositions, tabulatedPositions } from "../nn/positions.js";
import { transformerBlock, transformerDecoderBlock } from "../nn/transformer-block.js";
import { add, mul } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import type { EncoderDecoderHalves, ModelFacts, ModelSizes } from "./model.js";
import { parsePaddingId } from "./padding-id.js";

/** What BART and its kin are made of, post-norm stacks as those of 2017: fields of config.json, and those that tell the kin apart. */
export interface BartStacks {
  readonly vocab_size: number;
  /** Tokens that the decoder knows. */
  readonly decoder_vocab_size: number;
  readonly max_position_embeddings: number;
  readonly d_model: number;
  readonly encoder_layers: number;
  readonly encoder_attention_heads: number;
  readonly encoder_ffn_dim: number;
  readonly encoder_layerdrop: number;
  readonly decoder_layers: number;
  readonly decoder_attention_heads: number;
  readonly decoder_ffn_dim: number;
  readonly decoder_layerdrop: number;
  readonly activation_function: ActivationName;
  readonly dropout: number;
  readonly attention_dropout: number;
  readonly activation_dropout: number;
  readonly init_std: number;
  readonly scale_embedding: boolean;
  /** Whether the head is the decoder's embedding's transpose. */
  readonly tie_word_embeddings: boolean;
  /** Whether the halves have one vocabulary, and on disk an embedding for both. */
  readonly share_encoder_decoder_embeddings: boolean;
  /** Whether each half has an embedding of its own. */
  readonly separate_embeddings: boolean;
  /** Sinusoidal positions, all sines then all cosines; else learned ones. */
  readonly static_position_embeddings: boolean;
  /** Whether the table of sinusoidal positions is on disk, and then taken as it stands there; older Marian files have it. */
  readonly stored_positions: boolean;
  /** A norm of what goes into the first layer. */
  readonly normalize_embedding: boolean;
  /** Its vector is not trained; null: there is none. */
  readonly pad_token_id: number | null;
  readonly eos_token_id: number;
  readonly decoder_start_token_id: number;
}

/** Reads the fields that BART and its kin share. `defaults` are what a kin's absent fields mean, `kin` what it always is. */
export function parseBartStacks(
  c: ConfigReader,
  defaults: {
    readonly pad_token_id: number;
    readonly eos_token_id: number;
    readonly start: "pad_token_id" | "eos_token_id";
  },
  kin: Pick<BartStacks, "static_position_embeddings" | "normalize_embedding">,
): BartStacks {
  const size = { min: 1 };
  const rate = (value: number) => ({ min: 0, max: 0.999, default: value });
  const vocab_size = c.int("vocab_size", size);
  const special = {
    pad_token_id: parsePaddingId(c, vocab_size, defaults.pad_token_id),
    eos_token_id: c.int("eos_token_id", { min: 0, default: defaults.eos_token_id }),
  };
  const tied = c.bool("tie_word_embeddings", { default: true });
  // Of the names on disk, see bartCheckpoint.
  const [head, separate] = [c.bool("has_lm_head", { default: false }), c.bool("has_separate", { default: false })];
  const config: BartStacks = {
    vocab_size,
    decoder_vocab_size: vocab_size,
    max_position_embeddings: c.int("max_position_embeddings", size),
    d_model: c.int("d_model", size),
    encoder_layers: c.int("encoder_layers", size),
    encoder_attention_heads: c.int("encoder_attention_heads", size),
    encoder_ffn_dim: c.int("encoder_ffn_dim", size),
    encoder_layerdrop: c.number("encoder_layerdrop", rate(0)),
    decoder_layers: c.int("decoder_layers", size),
    decoder_attention_heads: c.int("decoder_attention_heads", size),
    decoder_ffn_dim: c.int("decoder_ffn_dim", size),
    decoder_layerdrop: c.number("decoder_layerdrop", rate(0)),
    activation_function: c.oneOf("activation_function", activationNames, { default: "gelu" }),
    dropout: c.number("dropout", rate(0.1)),
    attention_dropout: c.number("attention_dropout", rate(0)),
    activation_dropout: c.number("activation_dropout", rate(0)),
    init_std: c.number("init_std", { above: 0, default: 0.02 }),
    scale_embedding: c.bool("scale_embedding", { default: false }),
    tie_word_embeddings: tied && !head,
    share_encoder_decoder_embeddings: true,
    separate_embeddings: !tied && separate, // tied ones are copies
    stored_positions: c.bool("has_position_embeddings", { default: false }) && kin.static_position_embeddings,
    ...kin,
    ...special,
    decoder_start_token_id: c.int("decoder_start_token_id", {
      min: 0,
      default: special[defaults.start] ?? defaults[defaults.start],
    }),
  };
  for (const side of ["encoder", "decoder"] as const) c.divides(config, "d_model", `${side}_attention_heads`);
  for (const [key, value] of Object.entries(kin)) c.expect(key, value);
  for (const key of ["is_decoder", "normalize_before", "add_final_layer_norm", "add_bias_logits"]) c.expect(key, false);
  // Said twice, of other heads, or of how to generate.
  c.ignore("is_encoder_decoder", "num_hidden_layers", "extra_pos_embeddings", "classif_dropout", "classifier_dropout");
  c.ignore("force_bos_token_to_be_generated");
  return config;
}

const names = {
  attention: "self_attn",
  projections: ["q_proj", "k_proj", "v_proj", "out_proj"],
  attentionNorm: "self_attn_layer_norm",
  cross: "encoder_attn",
  crossNorm: "encoder_attn_layer_norm",
  feedForward: ["fc1", "fc2"],
  feedForwardNorm: "final_layer_norm",
} as const;

const blockOptions = (c: BartStacks, side: "encoder" | "decoder") => ({
  d: c.d_model,
  heads: c[`${side}_attention_heads`],
  dFf: c[`${side}_ffn_dim`],
  activation: activations[c.activation_function],
  std: c.init_std,
  dropout: {
    weights: c.attention_dropout,
    attention: c.dropout,
    feedForward: c.dropout,
    inner: c.activation_dropout,
  },
  names,
});

type Embedding = (ids: Tensor) => Tensor;
// biome-ignore lint/suspicious/noExplicitAny: learned positions have a parameter, sinusoidal ones none
type PositionModule = Module<any, [positions: Tensor], Tensor>;

const tokens = (c: BartStacks, vocab: number) =>
  embedToken(vocab, c.d_model, { std: c.init_std, padding: c.pad_token_id });

/** What goes into a stack's first layer: `ids: [b, t]`, the embedding of both halves if there is one → `[b, t, d]`. */
const embedding = (c: BartStacks, vocab: number) => {
  const positions: PositionModule = c.static_position_embeddings
    ? c.stored_positions
      ? tabulatedPositions(c.max_position_embeddings, c.d_model)
      : sinusoidalPositions(c.max_position_embeddings, c.d_model, { layout: "halves" })
    : learnedPositions(c.max_position_embeddings, c.d_model, { offset: 2, std: c.init_std });
  return module(
    {
      embed_tokens: c.separate_embeddings ? tokens(c, vocab) : undefined,
      embed_positions: positions,
      layernorm_embedding: c.normalize_embedding ? layerNorm(c.d_model) : undefined,
    },
    (self, ids: Tensor, ctx: Context, shared: Embedding | undefined) => {
      const vectors = (self.embed_tokens ?? shared!)(ids);
      const scaled = c.scale_embedding ? mul(vectors, Math.sqrt(c.d_model)) : vectors;
      const x = add(scaled, self.embed_positions(ctx.positions));
      return ctx.dropout(self.layernorm_embedding ? self.layernorm_embedding(x) : x, c.dropout);
    },
  );
};

const encoder = (c: BartStacks) =>
  module(
    {
      $embedding: embedding(c, c.vocab_size),
      layers: Array.from({ length: c.encoder_layers }, () => transformerBlock(blockOptions(c, "encoder"))),
    },
    ({ $embedding, layers }, ids: Tensor, ctx: Context, shared: Embedding | undefined) => {
      let x = observe("embeddings", $embedding(ids, ctx, shared));
      for (const layer of layers) x = layerDrop((y) => layer(y, ctx), x, c.encoder_layerdrop, ctx);
      return x;
    },
  );

const decoder = (c: BartStacks) =>
  module(
    {
      $embedding: embedding(c, c.decoder_vocab_size),
      layers: Array.from({ length: c.decoder_layers }, () => transformerDecoderBlock(blockOptions(c, "decoder"))),
    },
    ({ $embedding, layers }, ids: Tensor, memory: Tensor, ctx: Context, shared: Embedding | undefined) => {
      let x = observe("embeddings", $embedding(ids, ctx, shared));
      for (const layer of layers) x = layerDrop((y) => layer(y, memory, ctx), x, c.decoder_layerdrop, ctx);
      return x;
    },
  );

/** Both stacks without a head; `decode` yields hidden states, `embedding` is the decoder's, `[v, d]`. */
export const bartStacks = (c: BartStacks) =>
  module(
    {
      shared: c.share_encoder_decoder_embeddings ? tokens(c, c.vocab_size) : undefined,
      encoder: encoder(c),
      decoder: decoder(c),
    },
    ({ shared, encoder, decoder }) => ({
      embedding: decoder.params.$embedding.embed_tokens?.weight ?? shared!.params.weight,
      encode: (ids: Tensor, ctx: Context) => encoder(ids, ctx, shared),
      decode: (ids: Tensor, memory: Tensor, ctx: Context) => decoder(ids, memory, ctx, shared),
    }),
  );

/** With the language-model head, the decoder's embedding's transpose unless `tie_word_embeddings` is false, and its fixed bias. */
export const bartStacksForGeneration = (c: BartStacks) =>
  module(
    {
      model: bartStacks(c),
      lm_head: c.tie_word_embeddings
        ? undefined
        : linear(c.d_model, c.decoder_vocab_size, { bias: false, std: c.init_std }),
      final_logits_bias: buffer([1, c.decoder_vocab_size], "zeros"),
    },
    ({ model, lm_head, final_logits_bias }): EncoderDecoderHalves => {
      const { encode, decode, embedding } = model();
      return {
        encode,
        decode(ids, memory, ctx) {
          const x = ctx.scored(decode(ids, memory, ctx)); // [b, t, d]
          return add(lm_head ? lm_head(x) : matmul(x, embedding, { transB: true }), final_logits_bias);
        },
      };
    },
  );

/** What generation needs of any of the kin. */
export const bartStacksFacts = (c: BartStacks): ModelFacts => ({
  vocabSize: c.decoder_vocab_size,
  sourceVocabSize: c.vocab_size,
  contextLength: c.max_position_embeddings,
  sourceLength: c.max_position_embeddings,
  decoderStart: c.decoder_start_token_id,
  padding: c.pad_token_id ?? undefined,
});

/** The fields that a fresh model of any of the kin has. */
export const freshBartStacks = ({ vocabSize, contextLength, layers, heads, d, dropout }: ModelSizes) => ({
  activation_dropout: 0,
  attention_dropout: dropout,
  d_model: d,
  decoder_attention_heads: heads,
  decoder_ffn_dim: 4 * d,
  decoder_layerdrop: 0,
  decoder_layers: layers,
  dropout,
  encoder_attention_heads: heads,
  encoder_ffn_dim: 4 * d,
  encoder_layerdrop: 0,
  encoder_layers: layers,
  max_position_embeddings: contextLength,
  tie_word_embeddings: true,
  vocab_size: vocabSize,
});

/** How the weights of any of the kin lie on disk. */
export const bartCheckpoint = {
  basePrefix: "model.",
  ignore: [/(en|de)coder\.embed_tokens\.weight$/, /(en|de)coder\.version$/],
  // Version 5 of transformers ties only what is not on disk; untied, it writes an embedding for each half, version 4 one for both.
  fields: (names: readonly string[]) => ({
    has_lm_head: names.includes("lm_head.weight"),
    has_position_embeddings: names.some((name) => name.endsWith("encoder.embed_positions.weight")),
    has_separate: names.some((name) => name.endsWith("encoder.embed_tokens.weight")),
  }),
};
