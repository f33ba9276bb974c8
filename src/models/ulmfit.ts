import type { ConfigReader } from "../core/config-reader.js";
import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import type { Context } from "../nn/context.js";
import { layerNorm } from "../nn/layer-norm.js";
import { linear } from "../nn/linear.js";
import { lstm } from "../nn/lstm.js";
import { maxOverTime, meanOverTime } from "../nn/pool-over-time.js";
import { embeddingDropout, lockedDropout, weightDrop } from "../nn/recurrent-dropout.js";
import { sequenceRnn } from "../nn/sequence-rnn.js";
import { relu } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { concat, reshape, slice } from "../ops/shape.js";
import { features } from "./features.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";

/**
 * ULMFiT's AWD-LSTM: LSTM layers with dropped hidden-to-hidden weights, locked dropout and whole words dropped. Merity et al. 2018;
 * Howard & Ruder 2018. Fields and parameters as fastai's `AWD_LSTM`, rates those of its language model unless given. A fresh embedding is
 * N(0, 1) where fastai has ±0.1, from which three small layers need ten times the steps to see more than the frequencies of words.
 */
export interface AwdLstmConfig {
  readonly vocab_size: number;
  readonly emb_sz: number;
  readonly n_hid: number;
  readonly n_layers: number;
  readonly pad_token: number | null;
  readonly tie_weights: boolean;
  readonly out_bias: boolean;
  /** Rates of dropout: before the head, between layers, of the embeddings, of words, of hidden-to-hidden weights. */
  readonly output_p: number;
  readonly hidden_p: number;
  readonly input_p: number;
  readonly embed_p: number;
  readonly weight_p: number;
  /** Sizes of the classifier's hidden layers, and the rate of dropout before the projection of each and before the last. */
  readonly lin_ftrs: readonly number[];
  readonly ps: number;
  readonly labels: Labels;
}

function parse(c: ConfigReader): AwdLstmConfig {
  const size = { min: 1 };
  const rate = (rate: number) => ({ min: 0, max: 0.999, default: rate });
  c.expect("bidir", false);
  return {
    vocab_size: c.int("vocab_size", size),
    emb_sz: c.int("emb_sz", { min: 1, default: 400 }),
    n_hid: c.int("n_hid", { min: 1, default: 1152 }),
    n_layers: c.int("n_layers", { min: 1, default: 3 }),
    pad_token: c.int("pad_token", { min: 0, default: null }) ?? c.int("pad_token_id", { min: 0, default: null }),
    tie_weights: c.bool("tie_weights", { default: true }),
    out_bias: c.bool("out_bias", { default: true }),
    output_p: c.number("output_p", rate(0.1)),
    hidden_p: c.number("hidden_p", rate(0.15)),
    input_p: c.number("input_p", rate(0.25)),
    embed_p: c.number("embed_p", rate(0.02)),
    weight_p: c.number("weight_p", rate(0.2)),
    lin_ftrs: c.ints("lin_ftrs", { min: 1, default: [50] }),
    ps: c.number("ps", rate(0.1)),
    labels: parseLabels(c),
  };
}

/** The layers without a head: `ids: [b, t]` → `[b, t, e]`. The last is of the embedding's size, so that the head can be tied to it. */
const awdLstm = (c: AwdLstmConfig) => {
  const layer = (_: unknown, i: number) => {
    const [input, hidden] = [i === 0 ? c.emb_sz : c.n_hid, i === c.n_layers - 1 ? c.emb_sz : c.n_hid];
    return weightDrop(sequenceRnn(lstm({ input, hidden })), c.weight_p);
  };
  return module(
    {
      encoder: module(
        { weight: param([c.vocab_size, c.emb_sz], { normal: 1 }) },
        ({ weight }, ids: Tensor, ctx: Context) => embeddingDropout(weight, ids, c.embed_p, ctx, c.pad_token),
      ),
      rnns: Array.from({ length: c.n_layers }, layer),
    },
    ({ encoder, rnns }, ids: Tensor, ctx: Context): Tensor => {
      const x = observe("embeddings", lockedDropout(encoder(ids, ctx), c.input_p, ctx)); // [b, t, e]
      return rnns.reduce((x, rnn, i) => rnn(i === 0 ? x : lockedDropout(x, c.hidden_p, ctx), ctx), x);
    },
  );
};

/** Logits `[b, t, v]` of the token after each position. */
export const awdLstmLm = (c: AwdLstmConfig) =>
  module(
    {
      "0": awdLstm(c),
      "1": module(
        {
          "decoder.weight": c.tie_weights ? undefined : param([c.vocab_size, c.emb_sz], { uniform: 0.1 }),
          "decoder.bias": c.out_bias ? param([c.vocab_size], "zeros") : undefined,
        },
        (self, x: Tensor, embedding: Tensor) => {
          const y = matmul(x, self["decoder.weight"] ?? embedding, { transB: true });
          return self["decoder.bias"] ? add(y, self["decoder.bias"]) : y;
        },
      ),
    },
    ({ 0: lstm, 1: head }, ids: Tensor, ctx: Context): Tensor =>
      head(ctx.scored(lockedDropout(lstm(ids, ctx), c.output_p, ctx)), lstm.params.encoder.weight),
  );

/**
 * A classifier of texts by concat pooling: the last hidden state, the maximum and the mean over the tokens, then projections.
 * `logits: [b, n]`. Before each projection the original normalizes over the batch; here every vector is normalized by itself, which
 * needs no running statistics and makes no answer depend on its neighbours, so that the head of fastai's classifiers does not load.
 */
export const awdLstmForSequenceClassification = (c: AwdLstmConfig) => {
  const sizes = [3 * c.emb_sz, ...c.lin_ftrs];
  const layer = (n: number, size: number, rate: number) =>
    module(
      { norm: layerNorm(n), linear: linear(n, size, { bias: false, std: 1 / Math.sqrt(n) }) },
      ({ norm, linear }, x: Tensor, ctx: Context) => linear(ctx.dropout(norm(x), rate)),
    );
  const rate = (i: number) => (i === 0 ? c.output_p : c.ps);
  const hidden = c.lin_ftrs.map((size, i) => [`hidden_${i}`, layer(sizes[i]!, size, rate(i))] as const);
  return module(
    {
      "0": awdLstm(c),
      "1": module(
        {
          $hidden: module(Object.fromEntries(hidden), (self, x: Tensor, ctx: Context) =>
            hidden.reduce((x, [name]) => relu(self[name]!(x, ctx)), x),
          ),
          output: layer(sizes.at(-1)!, c.labels.names.length, rate(hidden.length)),
        },
        ({ $hidden, output }, x: Tensor, ctx: Context) => output($hidden(x, ctx), ctx),
      ),
    },
    ({ 0: lstm, 1: head }, ids: Tensor, ctx: Context) => {
      const x = lstm(ids, ctx); // [b, t, e]
      const last = reshape(slice(x, 1, -1), [x.shape[0]!, c.emb_sz]); // padding leaves it as it is
      const pooled = concat([last, maxOverTime(x, ctx.attentionMask), meanOverTime(x, ctx.attentionMask)]); // [b, 3e]
      return { logits: head(pooled, ctx) };
    },
  );
};

export const ulmfit = defineModel<AwdLstmConfig>({
  modelType: "ulmfit",
  parse,
  architectures: {
    AwdLstmLM: { task: "causal-lm", build: awdLstmLm },
    AwdLstm: { task: "features", build: (c) => features(awdLstm(c)) },
    AwdLstmForSequenceClassification: { task: "sequence-classification", build: awdLstmForSequenceClassification },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: undefined,
    padding: c.pad_token ?? undefined,
    labels: c.labels,
  }),
  fresh: ({ vocabSize, layers, d, dropout }) => ({
    emb_sz: d,
    // The proportions that the paper's rates have to each other, its greatest being the one asked for.
    embed_p: 0.08 * dropout,
    hidden_p: 0.6 * dropout,
    input_p: dropout,
    lin_ftrs: [50],
    n_hid: 3 * d,
    n_layers: layers,
    out_bias: true,
    output_p: 0.4 * dropout,
    tie_weights: true,
    vocab_size: vocabSize,
    weight_p: 0.8 * dropout,
  }),
  checkpoint: {
    basePrefix: "0.", // what fastai saves as an encoder
    ignore: [/(^|\.)encoder_dp\.emb\.weight$/, /^1\.decoder\.weight$/, /\.module\.weight_hh_l0$/],
  },
});
