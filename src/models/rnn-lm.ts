import type { ConfigReader } from "../core/config-reader.js";
import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { gru } from "../nn/gru.js";
import { lstm } from "../nn/lstm.js";
import { sequenceRnn } from "../nn/sequence-rnn.js";
import { simpleRnn } from "../nn/simple-rnn.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { defineModel } from "./model.js";

/**
 * A recurrent language model: embedding, recurrent layers, output projection. Mikolov et al. 2010 (simple cells),
 * Zaremba et al. 2014 (LSTM, and where dropout acts).
 */
export interface RnnLmConfig {
  readonly vocab_size: number;
  readonly embedding_size: number;
  readonly hidden_size: number;
  readonly num_layers: number;
  readonly cell: keyof typeof cells;
  /** Probability of dropping an element of the embeddings, between layers and before the head. */
  readonly dropout: number;
  /** Use the embedding as the head's weight (Press & Wolf 2017); the two sizes must then be equal. */
  readonly tie_word_embeddings: boolean;
}

const cells = { simple: simpleRnn, lstm, gru };

function parse(c: ConfigReader): RnnLmConfig {
  const size = { min: 1 };
  const config: RnnLmConfig = {
    vocab_size: c.int("vocab_size", size),
    embedding_size: c.int("embedding_size", size),
    hidden_size: c.int("hidden_size", size),
    num_layers: c.int("num_layers", { min: 1, default: 1 }),
    cell: c.oneOf("cell", ["simple", "lstm", "gru"], { default: "lstm" }),
    dropout: c.number("dropout", { min: 0, max: 0.999, default: 0 }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: false }),
  };
  if (config.tie_word_embeddings && config.embedding_size !== config.hidden_size)
    c.problem(
      `tie_word_embeddings needs embedding_size and hidden_size to be equal (${config.embedding_size} vs ${config.hidden_size})`,
    );
  return config;
}

/** The output projection; a tied one has a bias of its own and the embedding's weight. `x: [b, t, h]` → `[b, t, v]`. */
const outputHead = ({ vocab_size, hidden_size, tie_word_embeddings }: RnnLmConfig) =>
  module(
    {
      weight: tie_word_embeddings
        ? undefined
        : param([vocab_size, hidden_size], { uniform: 1 / Math.sqrt(hidden_size) }),
      bias: param([vocab_size], "zeros"),
    },
    ({ weight, bias }, x: Tensor, embedding: Tensor) => add(matmul(x, weight ?? embedding, { transB: true }), bias),
  );

/** Logits `[b, t, v]` of the token after each position. */
export const rnnLanguageModel = (c: RnnLmConfig) => {
  const cell = cells[c.cell]({ input: c.embedding_size, hidden: c.hidden_size });
  return module(
    {
      embedding: embedToken(c.vocab_size, c.embedding_size, { std: 0.1 }),
      rnn: sequenceRnn(cell, { layers: c.num_layers, dropout: c.dropout }),
      head: outputHead(c),
    },
    ({ embedding, rnn, head }, ids: Tensor, ctx: Context): Tensor => {
      const x = rnn(ctx.dropout(embedding(ids), c.dropout), ctx); // [b, t, h]
      return head(ctx.scored(ctx.dropout(x, c.dropout)), embedding.params.weight);
    },
  );
};

export const rnnLm = defineModel<RnnLmConfig>({
  modelType: "rnn-lm",
  parse,
  architectures: { RnnLM: { task: "causal-lm", build: rnnLanguageModel } },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: undefined }),
  fresh: ({ vocabSize, layers, d, dropout }) => ({
    cell: "lstm",
    dropout,
    embedding_size: d,
    hidden_size: d,
    num_layers: layers,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: { ignore: [/^head\.weight$/] },
});
