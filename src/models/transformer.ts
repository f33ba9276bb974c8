import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedTokenWithPosition } from "../nn/embed-token-with-position.js";
import { transformerBlock, transformerDecoderBlock } from "../nn/transformer-block.js";
import { matmul } from "../ops/matmul.js";
import { defineModel, type EncoderDecoderHalves } from "./model.js";

/**
 * The Transformer: encoder and decoder of post-norm blocks, sinusoidal positions, one embedding for source, target and head. Vaswani et
 * al. 2017. Fields are named as the arguments of torch's `nn.Transformer`, the blocks' parameters as its state dict's.
 */
export interface TransformerConfig {
  readonly vocab_size: number;
  /** Most tokens of a source or a target. */
  readonly max_position_embeddings: number;
  readonly d_model: number;
  readonly nhead: number;
  readonly num_encoder_layers: number;
  readonly num_decoder_layers: number;
  readonly dim_feedforward: number;
  readonly activation: ActivationName;
  /** Of embeddings with their positions, of attention weights and of each layer's result. */
  readonly dropout: number;
  readonly pad_token_id: number | null;
  /** Token that a target begins with. Default `bos_token_id`, else the padding. */
  readonly decoder_start_token_id: number;
}

/** The paper's base model (table 3), on its English-German vocabulary of about 37,000 tokens: 65 million parameters. */
export const TRANSFORMER_BASE: TransformerConfig = {
  vocab_size: 37000,
  max_position_embeddings: 512,
  d_model: 512,
  nhead: 8,
  num_encoder_layers: 6,
  num_decoder_layers: 6,
  dim_feedforward: 2048,
  activation: "relu",
  dropout: 0.1,
  pad_token_id: 0,
  decoder_start_token_id: 1,
};

function parse(c: ConfigReader): TransformerConfig {
  const size = { min: 1 };
  const d_model = c.int("d_model", size);
  const pad_token_id = c.int("pad_token_id", { min: 0, default: null });
  const bos = c.int("bos_token_id", { min: 0, default: null });
  const config: TransformerConfig = {
    vocab_size: c.int("vocab_size", size),
    max_position_embeddings: c.int("max_position_embeddings", size),
    d_model,
    nhead: c.int("nhead", size),
    num_encoder_layers: c.int("num_encoder_layers", size),
    num_decoder_layers: c.int("num_decoder_layers", size),
    dim_feedforward: c.int("dim_feedforward", { min: 1, default: 4 * d_model }),
    activation: c.oneOf("activation", activationNames, { default: "relu" }),
    dropout: c.number("dropout", { min: 0, max: 0.999, default: 0.1 }),
    pad_token_id,
    decoder_start_token_id: c.int("decoder_start_token_id", { min: 0, default: bos ?? pad_token_id ?? 0 }),
  };
  c.divides(config, "d_model", "nhead");
  if (d_model % 2 !== 0) c.problem(`d_model must be even for sines and cosines, got ${d_model}`);
  c.expect("is_encoder_decoder", true);
  c.expect("tie_word_embeddings", true);
  return config;
}

const blockOptions = (c: TransformerConfig) => ({
  d: c.d_model,
  heads: c.nhead,
  dFf: c.dim_feedforward,
  activation: activations[c.activation],
  dropout: c.dropout,
  std: 1 / Math.sqrt(c.d_model),
});

/** TransformerBlockᴺ: `x: [b, s, d]` → `[b, s, d]`. */
const encoder = (c: TransformerConfig) =>
  module(
    { layers: Array.from({ length: c.num_encoder_layers }, () => transformerBlock(blockOptions(c))) },
    ({ layers }, x: Tensor, ctx: Context) =>
      layers.reduce((y, block) => block(y, ctx), observe("embeddings", ctx.dropout(x, c.dropout))),
  );

/** The decoder's blocks, each over its input and the encoder's result: `x: [b, t, d]`, `memory: [b, s, d]` → `[b, t, d]`. */
const decoder = (c: TransformerConfig) =>
  module(
    { layers: Array.from({ length: c.num_decoder_layers }, () => transformerDecoderBlock(blockOptions(c))) },
    ({ layers }, x: Tensor, memory: Tensor, ctx: Context) =>
      layers.reduce((y, block) => block(y, memory, ctx), observe("embeddings", ctx.dropout(x, c.dropout))),
  );

/** p(y | φ(x)): Encoder ∘ EmbedTokenWithPosition; Decoder ∘ EmbedTokenWithPosition, and the embedding's transpose as head. */
export const transformerForConditionalGeneration = (c: TransformerConfig) => {
  const [scale, std] = [Math.sqrt(c.d_model), 1 / Math.sqrt(c.d_model)];
  return module(
    {
      $embed: embedTokenWithPosition(c.vocab_size, c.d_model, c.max_position_embeddings, { scale, std }),
      encoder: encoder(c),
      decoder: decoder(c),
    },
    ({ $embed, encoder, decoder }): EncoderDecoderHalves => ({
      encode: (ids, ctx) => encoder($embed(ids, ctx), ctx),
      decode(ids, memory, ctx) {
        const y = ctx.scored(decoder($embed(ids, ctx), memory, ctx)); // [b, t, d]
        return matmul(y, $embed.params.wte.weight, { transB: true });
      },
    }),
  );
};

export const transformer = defineModel<TransformerConfig>({
  modelType: "transformer",
  parse,
  architectures: {
    TransformerForConditionalGeneration: { task: "seq2seq-lm", build: transformerForConditionalGeneration },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    sourceLength: c.max_position_embeddings,
    decoderStart: c.decoder_start_token_id,
    padding: c.pad_token_id ?? undefined,
  }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => ({
    activation: "relu",
    d_model: d,
    dim_feedforward: 4 * d,
    dropout,
    max_position_embeddings: contextLength,
    nhead: heads,
    num_decoder_layers: layers,
    num_encoder_layers: layers,
    vocab_size: vocabSize,
  }),
});
