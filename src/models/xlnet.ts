import type { ConfigReader } from "../core/config-reader.js";
import { type Dim, mulDims } from "../core/dim.js";
import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import { addNorm } from "../nn/add-norm.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { feedForward } from "../nn/feed-forward.js";
import { linear } from "../nn/linear.js";
import { clsPooling, lastTokenPooling, meanPooling } from "../nn/pooling.js";
import { distanceVectors, type Relations, relativeAttention } from "../nn/relative-attention.js";
import { range } from "../ops/constant.js";
import { add, equal, less, maximum, minimum, not, sub, where } from "../ops/elementwise.js";
import { takeAlong } from "../ops/gather.js";
import { matmul } from "../ops/matmul.js";
import { max } from "../ops/reduce.js";
import { broadcastTo, concat, expandDims, reshape, slice } from "../ops/shape.js";
import { questionAnswering, tokenClassification } from "./encoder-heads.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";

const summaries = { last: lastTokenPooling, first: clsPooling, mean: meanPooling } as const;

/**
 * XLNet: a bidirectional encoder with relative positions that predicts tokens in an order of chance, each from those before it in that
 * order. Yang et al. 2019; Transformer-XL's attention, Dai et al. 2019. Parity with transformers' `XLNet*`, without the memory of earlier
 * segments: the fields about it change nothing, and neither does `untie_r`, as there.
 */
export interface XlnetConfig {
  readonly vocab_size: number;
  readonly d_model: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly d_inner: number;
  readonly ff_activation: ActivationName;
  /** Whether tokens see both ways, or those before them alone, as Transformer-XL's. */
  readonly attn_type: "bi" | "uni";
  /** Distances beyond it count as it; none does at −1 or 0. */
  readonly clamp_len: number;
  readonly dropout: number;
  readonly layer_norm_eps: number;
  readonly initializer_range: number;
  readonly tie_word_embeddings: boolean;
  readonly pad_token_id: number | null;
  /** What stands for the text: the last token, wherever the padding is; the first place; or the mean of the tokens. */
  readonly summary_type: keyof typeof summaries;
  readonly summary_use_proj: boolean;
  readonly summary_activation: ActivationName | null;
  readonly summary_first_dropout: number;
  readonly summary_last_dropout: number;
  readonly labels: Labels;
}

function parse(c: ConfigReader): XlnetConfig {
  const size = { min: 1 };
  const rate = (value: number) => ({ min: 0, max: 0.999, default: value });
  const config: XlnetConfig = {
    vocab_size: c.int("vocab_size", size),
    d_model: c.int("d_model", size),
    n_layer: c.int("n_layer", size),
    n_head: c.int("n_head", size),
    d_inner: c.int("d_inner", size),
    ff_activation: c.oneOf("ff_activation", activationNames, { default: "gelu" }),
    attn_type: c.oneOf("attn_type", ["bi", "uni"], { default: "bi" }),
    clamp_len: c.int("clamp_len", { min: -1, default: -1 }),
    dropout: c.number("dropout", rate(0.1)),
    layer_norm_eps: c.number("layer_norm_eps", { above: 0, default: 1e-12 }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    pad_token_id: c.raw("pad_token_id") === null ? null : c.int("pad_token_id", { min: 0, default: 5 }),
    summary_type: c.oneOf("summary_type", ["last", "first", "mean"], { default: "last" }),
    summary_use_proj: c.bool("summary_use_proj", { default: true }),
    summary_activation:
      c.raw("summary_activation") === null ? null : c.oneOf("summary_activation", activationNames, { default: "tanh" }),
    summary_first_dropout: c.number("summary_first_dropout", rate(0)),
    summary_last_dropout: c.number("summary_last_dropout", rate(0.1)),
    labels: parseLabels(c),
  };
  const { d_model: d, n_head: heads } = config;
  const headSize = c.int("d_head", { min: 1, default: d / heads });
  c.divides(config, "d_model", "n_head");
  if (d % heads === 0 && headSize !== d / heads) c.problem(`d_head ${headSize} is not d_model / n_head (${d / heads})`);
  if (d % 2 !== 0) c.problem(`d_model must be even, got ${d}`);
  c.expect("bi_data", false);
  c.expect("summary_proj_to_labels", false);
  if (config.attn_type === "uni") c.expect("same_length", false);
  c.ignore("same_length", "untie_r", "mem_len", "reuse_len", "use_mems_eval", "use_mems_train");
  c.ignore("start_n_top", "end_n_top"); // of a search for answers
  return config;
}

/** An order in which tokens are predicted: what a model is called with behind the context. */
export interface Permutation {
  /** Whether a token may not see another, `[b, i, j]`: bool `[b, t, t]`. Default: it may. Its own content it always does. */
  readonly hidden?: Tensor | undefined;
  /** Places of the tokens to predict, each from what it may see: int64 `[b, n]`. Default: all, and each has seen its content. */
  readonly targets?: Tensor | undefined;
}

const UNSEEN = -1e30; // the original's: a query that sees nothing looks everywhere alike

/**
 * What all layers know of queries and keys. The query stream (section 2.3) is `n` more queries behind the `t` tokens: each stands at its
 * target, is of its segment and sees what it sees, but is no key, so that nobody sees it.
 */
function relationsOf(c: XlnetConfig, ids: Tensor, ctx: Context, { hidden, targets }: Permutation): Relations {
  const [b, t] = ids.shape as [Dim, Dim];
  const length = add(max(range(t)), 1);
  const back = sub(length, range(mulDims(2, t))); // t … 1 − t
  const clamped = c.clamp_len > 0 ? minimum(maximum(back, -c.clamp_len), c.clamp_len) : back;

  const [query, key] = [reshape(range(t), [1, t, 1]), reshape(range(t), [1, 1, t])];
  const unseen = [
    ctx.attentionMask && equal(expandDims(ctx.attentionMask, 1), 0),
    hidden,
    c.attn_type === "uni" ? less(query, key) : undefined,
  ].flatMap((which) => (which ? [where(which, UNSEEN, 0)] : []));
  const rows = targets && broadcastTo(expandDims(targets, 2), [b, targets.shape[1]!, t]);
  /** Rows of the tokens, and of the targets behind them. */
  const both = (tokens: Tensor, all: Tensor) => (rows ? concat([tokens, takeAlong(all, rows, 1)], 1) : tokens);
  let bias: Tensor | undefined;
  if (unseen.length > 0) {
    const all = broadcastTo(unseen.reduce(minimum), [b, t, t]);
    bias = expandDims(both(where(equal(query, key), 0, all), all), 1);
  }
  const segments = ctx.segments && broadcastTo(expandDims(ctx.segments, 2), [b, t, t]);
  return {
    distances: ctx.dropout(distanceVectors(clamped, c.d_model), c.dropout), // the same for all rows of a batch
    rows: rows && add(sub(key, rows), length),
    apart: segments && expandDims(not(equal(both(segments, segments), expandDims(ctx.segments!, 1))), 1),
    bias,
  };
}

const layer = (c: XlnetConfig) => {
  const { d_model: d, n_head: heads, dropout, initializer_range: std, layer_norm_eps: eps } = c;
  return module(
    {
      rel_attn: relativeAttention({ d, heads, dropout, std }),
      "rel_attn.layer_norm": addNorm(d, { eps }),
      ff: feedForward(d, c.d_inner, activations[c.ff_activation], { names: ["layer_1", "layer_2"], std }),
      "ff.layer_norm": addNorm(d, { eps }),
    },
    (self, x: Tensor, t: Dim, ctx: Context, relations: Relations): Tensor => {
      const attend = (y: Tensor) => self.rel_attn(y, slice(y, 1, 0, t), ctx, relations);
      x = self["rel_attn.layer_norm"]((y) => ctx.dropout(attend(y), dropout), x); // [b, t + n, e]
      const onInner = (h: Tensor) => ctx.dropout(h, dropout);
      return self["ff.layer_norm"]((y) => ctx.dropout(self.ff(y, onInner), dropout), x);
    },
  );
};

/** The model without a head: `ids: [b, t]` → `last_hidden_state: [b, t, e]`, or of a {@link Permutation}'s targets alone, `[b, n, e]`. */
export const xlnetModel = (c: XlnetConfig) =>
  module(
    {
      word_embedding: embedToken(c.vocab_size, c.d_model, { std: c.initializer_range }),
      mask_emb: param([1, 1, c.d_model], { normal: c.initializer_range }),
      layer: Array.from({ length: c.n_layer }, () => layer(c)),
    },
    ({ word_embedding, mask_emb, layer }, ids: Tensor, ctx: Context, permutation: Permutation = {}) => {
      const [b, t] = ids.shape as [Dim, Dim];
      const { targets } = permutation;
      const content = word_embedding(ids);
      const query = targets && broadcastTo(mask_emb, [b, targets.shape[1]!, c.d_model]);
      let x = query ? concat([content, query], 1) : content; // [b, t + n, e]
      x = observe("embeddings", ctx.dropout(x, c.dropout));
      const relations = relationsOf(c, ids, ctx, permutation);
      for (const block of layer) x = block(x, t, ctx, relations);
      return { last_hidden_state: ctx.dropout(targets ? slice(x, 1, t) : x, c.dropout) };
    },
  );

/** With the language model's head: logits `[b, t, v]`, or of a {@link Permutation}'s targets, `[b, n, v]`. */
export const xlnetLmHeadModel = (c: XlnetConfig) => {
  const size = [c.vocab_size, c.d_model] as const;
  return module(
    {
      transformer: xlnetModel(c),
      lm_loss: module(
        {
          weight: c.tie_word_embeddings ? undefined : param(size, { normal: c.initializer_range }),
          bias: param([c.vocab_size], "zeros"),
        },
        ({ weight, bias }, x: Tensor, embedding: Tensor) => add(matmul(x, weight ?? embedding, { transB: true }), bias),
      ),
    },
    ({ transformer, lm_loss }, ids: Tensor, ctx: Context, permutation: Permutation = {}) => ({
      logits: lm_loss(transformer(ids, ctx, permutation).last_hidden_state, transformer.params.word_embedding.weight),
    }),
  );
};

/** A label, or several, or a number, for the whole text, of a summary `dropout(act(W x + b))` of one token or all: logits `[b, n]`. */
export const xlnetForSequenceClassification = (c: XlnetConfig) => {
  const std = c.initializer_range;
  return module(
    {
      transformer: xlnetModel(c),
      "sequence_summary.summary": c.summary_use_proj ? linear(c.d_model, c.d_model, { std }) : undefined,
      logits_proj: linear(c.d_model, c.labels.names.length, { std }),
    },
    ({ transformer, "sequence_summary.summary": project, logits_proj }, ids: Tensor, ctx: Context) => {
      const pooled = summaries[c.summary_type](transformer(ids, ctx).last_hidden_state, ctx.attentionMask); // [b, e]
      const x = ctx.dropout(pooled, c.summary_first_dropout);
      const summary = activations[c.summary_activation ?? "linear"](project ? project(x) : x);
      return { logits: logits_proj(ctx.dropout(summary, c.summary_last_dropout)) };
    },
  );
};

const head = (c: XlnetConfig) => ({ d: c.d_model, dropout: 0, std: c.initializer_range });

export const xlnet = defineModel<XlnetConfig>({
  modelType: "xlnet",
  parse,
  architectures: {
    XLNetLMHeadModel: { task: "permutation-lm", build: xlnetLmHeadModel },
    XLNetModel: { task: "features", build: xlnetModel },
    XLNetForSequenceClassification: { task: "sequence-classification", build: xlnetForSequenceClassification },
    XLNetForTokenClassification: {
      task: "token-classification",
      build: (c) => tokenClassification("transformer", xlnetModel(c), { ...head(c), n: c.labels.names.length }),
    },
    XLNetForQuestionAnsweringSimple: {
      task: "question-answering",
      build: (c) => questionAnswering("transformer", xlnetModel(c), head(c)),
    },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: undefined,
    padding: c.pad_token_id ?? undefined,
    labels: c.labels,
  }),
  fresh: ({ vocabSize, layers, heads, d, dropout, padding = 5 }) => ({
    attn_type: "bi",
    bi_data: false,
    clamp_len: -1,
    d_head: d / heads,
    d_inner: 4 * d,
    d_model: d,
    dropout,
    ff_activation: "gelu",
    initializer_range: 0.02,
    layer_norm_eps: 1e-12,
    n_head: heads,
    n_layer: layers,
    pad_token_id: padding,
    summary_activation: "tanh",
    summary_last_dropout: dropout,
    summary_type: "last",
    summary_use_proj: true,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: { basePrefix: "transformer.", ignore: [/^lm_loss\.weight$/] },
});
