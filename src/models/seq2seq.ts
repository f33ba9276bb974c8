import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { attentiveRnn } from "../nn/attentive-rnn.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { gru } from "../nn/gru.js";
import { linear } from "../nn/linear.js";
import { bidirectionalSequenceRnn } from "../nn/sequence-rnn.js";
import { tanh } from "../ops/activation.js";
import { maximum } from "../ops/elementwise.js";
import { concat, reshape, slice, split } from "../ops/shape.js";
import { defineModel } from "./model.js";

/**
 * Translation with attention: a bidirectional GRU reads the source, a GRU that attends to it writes the target. Bahdanau et al. 2015,
 * with the cells of torch's `GRU` (Cho et al. 2014, the reset gate after the projection).
 */
export interface Seq2SeqConfig {
  /** Tokens of source and target, which have an embedding each. */
  readonly vocab_size: number;
  readonly embedding_size: number;
  /** Of each direction of the encoder, and of the decoder. */
  readonly hidden_size: number;
  /** Of the space in which the decoder's state and the source are compared. */
  readonly attention_size: number;
  /** Of the layer before the head, the greater of two numbers each. */
  readonly maxout_size: number;
  /** Of the encoder; the decoder has one. */
  readonly encoder_layers: number;
  /** Probability of dropping an element of the embeddings, between the encoder's layers and before the head. */
  readonly dropout: number;
  readonly decoder_start_token_id: number | null;
  readonly pad_token_id: number | null;
}

function parse(c: ConfigReader): Seq2SeqConfig {
  const size = { min: 1 };
  const id = { min: 0, default: null };
  const hidden_size = c.int("hidden_size", size);
  return {
    vocab_size: c.int("vocab_size", size),
    embedding_size: c.int("embedding_size", size),
    hidden_size,
    attention_size: c.int("attention_size", { min: 1, default: hidden_size }),
    maxout_size: c.int("maxout_size", { min: 1, default: hidden_size }),
    encoder_layers: c.int("encoder_layers", { min: 1, default: 1 }),
    dropout: c.number("dropout", { min: 0, max: 0.999, default: 0 }),
    decoder_start_token_id: c.int("decoder_start_token_id", id) ?? c.int("bos_token_id", id),
    pad_token_id: c.int("pad_token_id", id),
  };
}

/** The source, each token with what stands before and after it: `ids: [b, s]` → `[b, s, 2h]`. */
const encoder = (c: Seq2SeqConfig) =>
  module(
    {
      embedding: embedToken(c.vocab_size, c.embedding_size, { std: 0.1 }),
      rnn: bidirectionalSequenceRnn(gru({ input: c.embedding_size, hidden: c.hidden_size }), {
        layers: c.encoder_layers,
        dropout: c.dropout,
      }),
    },
    ({ embedding, rnn }, ids: Tensor, ctx: Context) => rnn(ctx.dropout(embedding(ids), c.dropout), ctx),
  );

/**
 * The target: `ids: [b, t]`, `memory: [b, s, 2h]` → logits `[b, t, v]`. It starts from `tanh(W ←h_1)`, the backward encoder's state at
 * the first token; the head sees the new state, the token and the context, `W_o maxout([s_i; E y_{i−1}; c_i])` (equation 4).
 */
const decoder = (c: Seq2SeqConfig) => {
  const { embedding_size: e, hidden_size: h } = c;
  const fanIn = (n: number) => ({ std: 1 / Math.sqrt(n) });
  return module(
    {
      embedding: embedToken(c.vocab_size, e, { std: 0.1 }),
      initial: linear(h, h, fanIn(h)),
      rnn: attentiveRnn(gru({ input: e + 2 * h, hidden: h }), { memory: 2 * h, attention: c.attention_size }),
      maxout: linear(e + 3 * h, 2 * c.maxout_size, fanIn(e + 3 * h)),
      head: linear(c.maxout_size, c.vocab_size, fanIn(c.maxout_size)),
    },
    ({ embedding, initial, rnn, maxout, head }, ids: Tensor, memory: Tensor, ctx: Context): Tensor => {
      const first = reshape(slice(slice(memory, 1, 0, 1), 2, h), [memory.shape[0]!, h]);
      const y = ctx.dropout(embedding(ids), c.dropout); // [b, t, e]
      const { states, contexts } = rnn(y, memory, tanh(initial(first)), ctx);
      const [left, right] = split(maxout(ctx.scored(concat([states, y, contexts]))), 2);
      return head(ctx.dropout(maximum(left!, right!), c.dropout));
    },
  );
};

/** Both halves; `decode` sees the source through `memory` alone. */
export const seq2SeqModel = (c: Seq2SeqConfig) =>
  module({ encoder: encoder(c), decoder: decoder(c) }, ({ encoder, decoder }) => ({
    encode: (ids: Tensor, ctx: Context): Tensor => encoder(ids, ctx),
    decode: (ids: Tensor, memory: Tensor, ctx: Context): Tensor => decoder(ids, memory, ctx),
  }));

export const seq2seq = defineModel<Seq2SeqConfig>({
  modelType: "seq2seq",
  parse,
  architectures: { Seq2SeqForConditionalGeneration: { task: "seq2seq-lm", build: seq2SeqModel } },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: undefined,
    decoderStart: c.decoder_start_token_id ?? undefined,
    padding: c.pad_token_id ?? undefined,
  }),
  fresh: ({ vocabSize, layers, d, dropout }) => ({
    attention_size: d,
    dropout,
    embedding_size: d,
    encoder_layers: layers,
    hidden_size: d,
    maxout_size: d,
    vocab_size: vocabSize,
  }),
});
