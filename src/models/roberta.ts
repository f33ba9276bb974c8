import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { linear } from "../nn/linear.js";
import { maskedLmHead } from "../nn/masked-lm-head.js";
import { clsPooling } from "../nn/pooling.js";
import { tokenPositions } from "../nn/positions.js";
import { gelu, tanh } from "../ops/activation.js";
import { add, cast, equal, not } from "../ops/elementwise.js";
import { type BertConfig, bertModel, bertNames, freshBert, parseBert, tokenHeads } from "./bert.js";
import { defineModel } from "./model.js";

/** Positions count from behind the padding, so that there is always one. */
interface RobertaConfig extends BertConfig {
  readonly pad_token_id: number;
}

/**
 * RoBERTa: BERT without a second segment, whose positions count from behind the padding id. Liu et al. 2019. XLM-RoBERTa is the same
 * (Conneau et al. 2020). Parity with transformers' `Roberta*` and `XLMRoberta*`.
 */
const robertaModel = (c: RobertaConfig, options: { readonly pooler?: boolean } = {}) =>
  bertModel(c, {
    ...options,
    positions: {
      padding: c.pad_token_id,
      of: (ids) => add(tokenPositions(cast(not(equal(ids, c.pad_token_id)), "int64")), c.pad_token_id + 1), // [b, t]
    },
  });

/** With the masked language model's head: logits `[b, t, v]`. */
export const robertaForMaskedLm = (c: RobertaConfig) =>
  module(
    {
      roberta: robertaModel(c, { pooler: false }),
      lm_head: maskedLmHead({
        d: c.hidden_size,
        vocab: c.vocab_size,
        activation: gelu, // whatever hidden_act is
        eps: c.layer_norm_eps,
        tied: c.tie_word_embeddings,
        std: c.initializer_range,
        names: { dense: "dense", norm: "layer_norm", decoder: "decoder", bias: "bias" },
      }),
    },
    ({ roberta, lm_head }, ids: Tensor, ctx: Context) => ({
      logits: lm_head(roberta(ids, ctx).last_hidden_state, roberta.params.embeddings.word_embeddings.weight),
    }),
  );

/** A label, or several, or a number, for the whole text, of the first token's vector: logits `[b, n]`. */
export const robertaForSequenceClassification = (c: RobertaConfig) =>
  module(
    {
      roberta: robertaModel(c, { pooler: false }),
      "classifier.dense": linear(c.hidden_size, c.hidden_size, { std: c.initializer_range }),
      "classifier.out_proj": linear(c.hidden_size, c.labels.names.length, { std: c.initializer_range }),
    },
    ({ roberta, "classifier.dense": dense, "classifier.out_proj": out }, ids: Tensor, ctx: Context) => {
      const x = ctx.dropout(clsPooling(roberta(ids, ctx).last_hidden_state), c.classifier_dropout);
      return { logits: out(ctx.dropout(tanh(dense(x)), c.classifier_dropout)) };
    },
  );

const onTokens = tokenHeads("roberta", (c: RobertaConfig) => robertaModel(c, { pooler: false }));

/** @param name what the classes' names begin with */
const robertaFamily = (modelType: string, name: string) =>
  defineModel<RobertaConfig>({
    modelType,
    parse(c) {
      const config = parseBert(c, 1);
      const pad_token_id = c.int("pad_token_id", { min: 0, default: 1 });
      if (c.raw("pad_token_id") === null)
        c.problem("pad_token_id must be a token, since positions count from behind it, got null");
      if (config.max_position_embeddings < pad_token_id + 2)
        c.problem(
          `max_position_embeddings leaves no position behind pad_token_id (${config.max_position_embeddings} vs ${pad_token_id})`,
        );
      return { ...config, pad_token_id };
    },
    architectures: {
      [`${name}ForMaskedLM`]: { task: "masked-lm", build: robertaForMaskedLm },
      [`${name}Model`]: { task: "features", build: (c) => robertaModel(c) },
      [`${name}ForSequenceClassification`]: {
        task: "sequence-classification",
        build: robertaForSequenceClassification,
      },
      [`${name}ForTokenClassification`]: onTokens.classification,
      [`${name}ForQuestionAnswering`]: onTokens.answering,
    },
    facts: (c) => ({
      vocabSize: c.vocab_size,
      contextLength: c.max_position_embeddings - c.pad_token_id - 1,
      padding: c.pad_token_id,
      labels: c.labels,
    }),
    fresh: (sizes) => ({
      ...freshBert(sizes),
      max_position_embeddings: sizes.contextLength + (sizes.padding ?? 1) + 1,
      pad_token_id: sizes.padding ?? 1,
      type_vocab_size: 1,
    }),
    checkpoint: {
      basePrefix: "roberta.",
      ignore: [...bertNames.ignore, /^lm_head\.decoder\.(weight|bias)$/],
      older: [
        ...bertNames.older,
        [/^lm_head\.bias$/, "lm_head.decoder.bias"],
        [/^lm_head\.decoder\.bias$/, "lm_head.bias"],
      ],
      fields: bertNames.fields,
    },
  });

export const roberta = robertaFamily("roberta", "Roberta");
export const xlmRoberta = robertaFamily("xlm-roberta", "XLMRoberta");
