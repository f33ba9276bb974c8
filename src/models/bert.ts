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
import { transformerBlock } from "../nn/transformer-block.js";
import { tanh } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { slice } from "../ops/shape.js";
import { questionAnswering, tokenClassification } from "./encoder-heads.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel, type ModelSizes } from "./model.js";
import { parsePaddingId } from "./padding-id.js";

/** BERT: bidirectional encoder, token types, learned positions, post-norm. Devlin et al. 2019; parity with transformers' `Bert*`. */
export interface BertConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly hidden_act: ActivationName;
  readonly hidden_dropout_prob: number;
  readonly attention_probs_dropout_prob: number;
  readonly classifier_dropout: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly layer_norm_eps: number;
  readonly initializer_range: number;
  /** Its vector is not trained; null: there is none. */
  readonly pad_token_id: number | null;
  readonly tie_word_embeddings: boolean;
  /** Whether the model without a head pools. Not in transformers' files, where it is an argument. */
  readonly add_pooling_layer: boolean;
  readonly labels: Labels;
}

/** Reads the fields of BERT and of those that came from it. @param padding the padding id where the file says nothing of one */
export function parseBert(c: ConfigReader, padding = 0): BertConfig {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0.1 };
  const hidden_dropout_prob = c.number("hidden_dropout_prob", rate);
  const vocab_size = c.int("vocab_size", size);
  const config: BertConfig = {
    vocab_size,
    hidden_size: c.int("hidden_size", size),
    num_hidden_layers: c.int("num_hidden_layers", size),
    num_attention_heads: c.int("num_attention_heads", size),
    intermediate_size: c.int("intermediate_size", size),
    hidden_act: c.oneOf("hidden_act", activationNames, { default: "gelu" }),
    hidden_dropout_prob,
    attention_probs_dropout_prob: c.number("attention_probs_dropout_prob", rate),
    classifier_dropout: c.number("classifier_dropout", { ...rate, default: hidden_dropout_prob }),
    max_position_embeddings: c.int("max_position_embeddings", { min: 1, default: 512 }),
    type_vocab_size: c.int("type_vocab_size", { min: 1, default: 2 }),
    layer_norm_eps: c.number("layer_norm_eps", { above: 0, default: 1e-12 }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    pad_token_id: parsePaddingId(c, vocab_size, padding),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    add_pooling_layer: c.bool("add_pooling_layer", { default: true }),
    labels: parseLabels(c),
  };
  c.divides(config, "hidden_size", "num_attention_heads");
  c.expect("is_decoder", false);
  c.expect("position_embedding_type", "absolute");
  c.expect("add_cross_attention", false);
  // Of the first, TensorFlow release; nothing reads them.
  c.ignore(
    "directionality",
    ...["fc_size", "num_attention_heads", "num_fc_layers", "size_per_head", "type"].map((s) => `pooler_${s}`),
  );
  return config;
}

/** Where tokens stand: their positions, `[b, t]` or `[1, t]`, and the one that padding gets, if it has its own. */
export interface EncoderPositions {
  readonly of: (ids: Tensor, ctx: Context) => Tensor;
  readonly padding?: number;
}

const embeddings = (c: BertConfig, positions: EncoderPositions) => {
  const std = c.initializer_range;
  return module(
    {
      word_embeddings: embedToken(c.vocab_size, c.hidden_size, { std, padding: c.pad_token_id }),
      position_embeddings: embedToken(c.max_position_embeddings, c.hidden_size, { std, padding: positions.padding }),
      token_type_embeddings: embedToken(c.type_vocab_size, c.hidden_size, { std }),
      LayerNorm: layerNorm(c.hidden_size, c.layer_norm_eps),
    },
    ({ word_embeddings, position_embeddings, token_type_embeddings: types, LayerNorm }, ids: Tensor, ctx: Context) => {
      const type = ctx.segments ? types(ctx.segments) : slice(types.params.weight, 0, 0, 1); // [b, t, e] or [1, e]
      const x = add(add(word_embeddings(ids), type), position_embeddings(positions.of(ids, ctx)));
      return ctx.dropout(LayerNorm(x), c.hidden_dropout_prob);
    },
  );
};

const layer = (c: BertConfig) =>
  transformerBlock({
    d: c.hidden_size,
    heads: c.num_attention_heads,
    dFf: c.intermediate_size,
    activation: activations[c.hidden_act],
    dropout: {
      weights: c.attention_probs_dropout_prob,
      attention: c.hidden_dropout_prob,
      feedForward: c.hidden_dropout_prob,
    },
    eps: c.layer_norm_eps,
    std: c.initializer_range,
    names: {
      attention: "attention",
      projections: ["self.query", "self.key", "self.value", "output.dense"],
      attentionNorm: "attention.output.LayerNorm",
      feedForward: ["intermediate.dense", "output.dense"],
      feedForwardNorm: "output.LayerNorm",
    },
  });

/**
 * The model without a head: `ids: [b, t]` → `last_hidden_state: [b, t, e]`, and `pooler_output: [b, e]` where it pools.
 *
 * @param options.pooler whether it pools. Default as the configuration says
 * @param options.positions default the context's
 */
export const bertModel = (
  c: BertConfig,
  {
    pooler = c.add_pooling_layer,
    positions = { of: (_, ctx) => ctx.positions },
  }: { readonly pooler?: boolean; readonly positions?: EncoderPositions } = {},
) =>
  module(
    {
      embeddings: embeddings(c, positions),
      "encoder.layer": Array.from({ length: c.num_hidden_layers }, () => layer(c)),
      "pooler.dense": pooler ? linear(c.hidden_size, c.hidden_size, { std: c.initializer_range }) : undefined,
    },
    ({ embeddings, "encoder.layer": layers, "pooler.dense": dense }, ids: Tensor, ctx: Context) => {
      let x = embeddings(ids, ctx); // [b, t, e]
      for (const block of layers) x = block(x, ctx);
      return { last_hidden_state: x, ...(dense ? { pooler_output: tanh(dense(clsPooling(x))) } : {}) };
    },
  );

const predictions = (c: BertConfig) =>
  maskedLmHead({
    d: c.hidden_size,
    vocab: c.vocab_size,
    activation: activations[c.hidden_act],
    eps: c.layer_norm_eps,
    tied: c.tie_word_embeddings,
    std: c.initializer_range,
    names: { dense: "transform.dense", norm: "transform.LayerNorm", decoder: "decoder", bias: "bias" },
  });

/** With the masked language model's head: logits `[b, t, v]`. */
export const bertForMaskedLm = (c: BertConfig) =>
  module(
    { bert: bertModel(c, { pooler: false }), "cls.predictions": predictions(c) },
    ({ bert, "cls.predictions": head }, ids: Tensor, ctx: Context) => ({
      logits: head(bert(ids, ctx).last_hidden_state, bert.params.embeddings.word_embeddings.weight),
    }),
  );

/** With both heads of its pre-training: masked tokens, and whether the second segment follows the first (label 0) or not (1). */
export const bertForPreTraining = (c: BertConfig) =>
  module(
    {
      bert: bertModel(c, { pooler: true }),
      "cls.predictions": predictions(c),
      "cls.seq_relationship": linear(c.hidden_size, 2, { std: c.initializer_range }),
    },
    ({ bert, "cls.predictions": head, "cls.seq_relationship": follows }, ids: Tensor, ctx: Context) => {
      const { last_hidden_state, pooler_output } = bert(ids, ctx);
      return {
        prediction_logits: head(last_hidden_state, bert.params.embeddings.word_embeddings.weight),
        seq_relationship_logits: follows(pooler_output!),
      };
    },
  );

/** Whether the second segment follows the first (label 0) or not (1): logits `[b, 2]`. */
const bertForNextSentencePrediction = (c: BertConfig) =>
  module(
    {
      bert: bertModel(c, { pooler: true }),
      "cls.seq_relationship": linear(c.hidden_size, 2, { std: c.initializer_range }),
    },
    ({ bert, "cls.seq_relationship": follows }, ids: Tensor, ctx: Context) => ({
      logits: follows(bert(ids, ctx).pooler_output!),
    }),
  );

/** A label, or several, or a number, for the whole text: logits `[b, n]`. */
export const bertForSequenceClassification = (c: BertConfig) =>
  module(
    {
      bert: bertModel(c, { pooler: true }),
      classifier: linear(c.hidden_size, c.labels.names.length, { std: c.initializer_range }),
    },
    ({ bert, classifier }, ids: Tensor, ctx: Context) => ({
      logits: classifier(ctx.dropout(bert(ids, ctx).pooler_output!, c.classifier_dropout)),
    }),
  );

/** Heads on the single tokens, of this family and of those that came from it. @param base what the encoder is called on disk */
export const tokenHeads = <C extends BertConfig>(base: string, body: (c: C) => ReturnType<typeof bertModel>) =>
  ({
    classification: {
      task: "token-classification",
      build: (c: C) =>
        tokenClassification(base, body(c), {
          d: c.hidden_size,
          n: c.labels.names.length,
          dropout: c.classifier_dropout,
          std: c.initializer_range,
        }),
    },
    answering: {
      task: "question-answering",
      build: (c: C) => questionAnswering(base, body(c), { d: c.hidden_size, dropout: 0, std: c.initializer_range }),
    },
  }) as const;

const onTokens = tokenHeads("bert", (c: BertConfig) => bertModel(c, { pooler: false }));

/** The config.json of a fresh model. */
export const freshBert = ({ vocabSize, contextLength, layers, heads, d, dropout, padding = 0 }: ModelSizes) => ({
  attention_probs_dropout_prob: dropout,
  classifier_dropout: null,
  hidden_act: "gelu",
  hidden_dropout_prob: dropout,
  hidden_size: d,
  initializer_range: 0.02,
  intermediate_size: 4 * d,
  layer_norm_eps: 1e-12,
  max_position_embeddings: contextLength,
  num_attention_heads: heads,
  num_hidden_layers: layers,
  pad_token_id: padding,
  tie_word_embeddings: true,
  type_vocab_size: 2,
  vocab_size: vocabSize,
});

/** Of every checkpoint: buffers that older releases wrote, names that TensorFlow's had, and whether there is a pooler. */
export const bertNames = {
  ignore: [/(^|\.)embeddings\.(position|token_type)_ids$/],
  older: [
    [/\.LayerNorm\.weight$/, ".LayerNorm.gamma"],
    [/\.LayerNorm\.bias$/, ".LayerNorm.beta"],
  ],
  fields: (names: readonly string[]) =>
    names.some((name) => name.includes("pooler.")) ? undefined : { add_pooling_layer: false },
} as const;

export const bert = defineModel<BertConfig>({
  modelType: "bert",
  parse: (c) => parseBert(c),
  architectures: {
    BertForMaskedLM: { task: "masked-lm", build: bertForMaskedLm },
    BertModel: { task: "features", build: (c) => bertModel(c) },
    BertForPreTraining: { task: "pre-training", build: bertForPreTraining },
    BertForSequenceClassification: { task: "sequence-classification", build: bertForSequenceClassification },
    BertForNextSentencePrediction: { task: "sequence-classification", build: bertForNextSentencePrediction },
    BertForTokenClassification: onTokens.classification,
    BertForQuestionAnswering: onTokens.answering,
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    padding: c.pad_token_id ?? undefined,
    labels: c.labels,
  }),
  fresh: freshBert,
  checkpoint: {
    basePrefix: "bert.",
    ignore: [...bertNames.ignore, /^cls\.predictions\.decoder\.(weight|bias)$/],
    older: [
      ...bertNames.older,
      [/^cls\.predictions\.bias$/, "cls.predictions.decoder.bias"],
      [/^cls\.predictions\.decoder\.bias$/, "cls.predictions.bias"],
    ],
    fields: bertNames.fields,
  },
});
