import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { layerNorm } from "../nn/layer-norm.js";
import { linear } from "../nn/linear.js";
import { maskedLmHead } from "../nn/masked-lm-head.js";
import { clsPooling } from "../nn/pooling.js";
import { learnedPositions } from "../nn/positions.js";
import { transformerBlock } from "../nn/transformer-block.js";
import { relu } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { questionAnswering, tokenClassification } from "./encoder-heads.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";
import { parsePaddingId } from "./padding-id.js";

/** DistilBERT: BERT with half its layers, without token types and pooler. Sanh et al. 2019; parity with transformers' `DistilBert*`. */
export interface DistilBertConfig {
  readonly vocab_size: number;
  readonly dim: number;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly hidden_dim: number;
  readonly activation: ActivationName;
  readonly max_position_embeddings: number;
  readonly dropout: number;
  readonly attention_dropout: number;
  readonly qa_dropout: number;
  readonly seq_classif_dropout: number;
  readonly initializer_range: number;
  /** Its vector is not trained; null: there is none. */
  readonly pad_token_id: number | null;
  readonly tie_word_embeddings: boolean;
  readonly labels: Labels;
}

/** Of all its layer norms. */
const EPS = 1e-12;

function parse(c: ConfigReader): DistilBertConfig {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0.1 };
  const vocab_size = c.int("vocab_size", size);
  const config: DistilBertConfig = {
    vocab_size,
    dim: c.int("dim", size),
    n_layers: c.int("n_layers", size),
    n_heads: c.int("n_heads", size),
    hidden_dim: c.int("hidden_dim", size),
    activation: c.oneOf("activation", activationNames, { default: "gelu" }),
    max_position_embeddings: c.int("max_position_embeddings", { min: 1, default: 512 }),
    dropout: c.number("dropout", rate),
    attention_dropout: c.number("attention_dropout", rate),
    qa_dropout: c.number("qa_dropout", rate),
    seq_classif_dropout: c.number("seq_classif_dropout", { ...rate, default: 0.2 }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    pad_token_id: parsePaddingId(c, vocab_size, 0),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    labels: parseLabels(c),
  };
  c.divides(config, "dim", "n_heads");
  // How the positions began, which a checkpoint holds; and a switch of the scripts that distilled it.
  c.ignore("sinusoidal_pos_embds", "tie_weights_");
  return config;
}

const embeddings = (c: DistilBertConfig) => {
  const std = c.initializer_range;
  return module(
    {
      word_embeddings: embedToken(c.vocab_size, c.dim, { std, padding: c.pad_token_id }),
      position_embeddings: learnedPositions(c.max_position_embeddings, c.dim, { std }),
      LayerNorm: layerNorm(c.dim, EPS),
    },
    ({ word_embeddings, position_embeddings, LayerNorm }, ids: Tensor, ctx: Context) =>
      ctx.dropout(LayerNorm(add(word_embeddings(ids), position_embeddings(ctx.positions))), c.dropout), // [b, t, e]
  );
};

const layer = (c: DistilBertConfig) =>
  transformerBlock({
    d: c.dim,
    heads: c.n_heads,
    dFf: c.hidden_dim,
    activation: activations[c.activation],
    dropout: { weights: c.attention_dropout, attention: 0, feedForward: c.dropout },
    eps: EPS,
    std: c.initializer_range,
    names: {
      attention: "attention",
      projections: ["q_lin", "k_lin", "v_lin", "out_lin"],
      attentionNorm: "sa_layer_norm",
      feedForward: ["ffn.lin1", "ffn.lin2"],
      feedForwardNorm: "output_layer_norm",
    },
  });

/** The model without a head: `ids: [b, t]` → `last_hidden_state: [b, t, e]`. */
export const distilBertModel = (c: DistilBertConfig) =>
  module(
    { embeddings: embeddings(c), "transformer.layer": Array.from({ length: c.n_layers }, () => layer(c)) },
    ({ embeddings, "transformer.layer": layers }, ids: Tensor, ctx: Context) => ({
      last_hidden_state: layers.reduce((x, block) => block(x, ctx), embeddings(ids, ctx)),
    }),
  );

/** With the masked language model's head: logits `[b, t, v]`. */
export const distilBertForMaskedLm = (c: DistilBertConfig) =>
  module(
    {
      distilbert: distilBertModel(c),
      $head: maskedLmHead({
        d: c.dim,
        vocab: c.vocab_size,
        activation: activations[c.activation],
        eps: EPS,
        tied: c.tie_word_embeddings,
        std: c.initializer_range,
        names: {
          dense: "vocab_transform",
          norm: "vocab_layer_norm",
          decoder: "vocab_projector",
          bias: "vocab_projector.bias",
        },
      }),
    },
    ({ distilbert, $head }, ids: Tensor, ctx: Context) => ({
      logits: $head(distilbert(ids, ctx).last_hidden_state, distilbert.params.embeddings.word_embeddings.weight),
    }),
  );

/** A label, or several, or a number, for the whole text, of the first token's vector: logits `[b, n]`. */
export const distilBertForSequenceClassification = (c: DistilBertConfig) =>
  module(
    {
      distilbert: distilBertModel(c),
      pre_classifier: linear(c.dim, c.dim, { std: c.initializer_range }),
      classifier: linear(c.dim, c.labels.names.length, { std: c.initializer_range }),
    },
    ({ distilbert, pre_classifier, classifier }, ids: Tensor, ctx: Context) => {
      const x = relu(pre_classifier(clsPooling(distilbert(ids, ctx).last_hidden_state)));
      return { logits: classifier(ctx.dropout(x, c.seq_classif_dropout)) };
    },
  );

const head = (c: DistilBertConfig, dropout: number) => ({ d: c.dim, dropout, std: c.initializer_range });

export const distilbert = defineModel<DistilBertConfig>({
  modelType: "distilbert",
  parse,
  architectures: {
    DistilBertForMaskedLM: { task: "masked-lm", build: distilBertForMaskedLm },
    DistilBertModel: { task: "features", build: distilBertModel },
    DistilBertForSequenceClassification: {
      task: "sequence-classification",
      build: distilBertForSequenceClassification,
    },
    DistilBertForTokenClassification: {
      task: "token-classification",
      build: (c) =>
        tokenClassification("distilbert", distilBertModel(c), { ...head(c, c.dropout), n: c.labels.names.length }),
    },
    DistilBertForQuestionAnswering: {
      task: "question-answering",
      build: (c) => questionAnswering("distilbert", distilBertModel(c), head(c, c.qa_dropout)),
    },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    padding: c.pad_token_id ?? undefined,
    labels: c.labels,
  }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout, padding = 0 }) => ({
    activation: "gelu",
    attention_dropout: dropout,
    dim: d,
    dropout,
    hidden_dim: 4 * d,
    initializer_range: 0.02,
    max_position_embeddings: contextLength,
    n_heads: heads,
    n_layers: layers,
    pad_token_id: padding,
    qa_dropout: dropout,
    seq_classif_dropout: dropout,
    sinusoidal_pos_embds: false,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: {
    basePrefix: "distilbert.",
    ignore: [/(^|\.)embeddings\.position_ids$/, /^vocab_projector\.weight$/],
  },
});
