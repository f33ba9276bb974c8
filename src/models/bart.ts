import type { ConfigReader } from "../core/config-reader.js";
import { addDims, type Dim } from "../core/dim.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { type Context, sequenceContext } from "../nn/context.js";
import { linear } from "../nn/linear.js";
import { tanh } from "../ops/activation.js";
import { full, range } from "../ops/constant.js";
import { cast, equal, mul, where } from "../ops/elementwise.js";
import { max, sum } from "../ops/reduce.js";
import { concat, expandDims, slice } from "../ops/shape.js";
import {
  type BartStacks,
  bartCheckpoint,
  bartStacks,
  bartStacksFacts,
  bartStacksForGeneration,
  freshBartStacks,
  parseBartStacks,
} from "./bart-stacks.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";

/**
 * BART: a denoising encoder-decoder, learned positions, post-norm with a norm of the embeddings. Lewis et al. 2020; parity with
 * transformers' `BartForConditionalGeneration`.
 */
export interface BartConfig extends BartStacks {
  readonly classifier_dropout: number;
  readonly labels: Labels;
}

function parse(c: ConfigReader): BartConfig {
  const defaults = { pad_token_id: 1, eos_token_id: 2, start: "eos_token_id" } as const;
  const kin = { static_position_embeddings: false, normalize_embedding: true };
  const labels = parseLabels(c);
  const three = ["LABEL_0", "LABEL_1", "LABEL_2"]; // where a BART's config.json has none, as in natural language inference
  return {
    ...parseBartStacks(c, defaults, kin),
    classifier_dropout: c.number("classifier_dropout", { min: 0, max: 0.999, default: 0 }),
    labels: c.has("id2label") || c.has("num_labels") ? labels : { ...labels, names: three },
  };
}

type Halves = ReturnType<ReturnType<typeof bartStacks>>;

/** The text given to both halves, to the decoder one place later: `ids: [b, t]` → its hidden states `[b, t, d]`. */
function readTwice(c: BartConfig, { encode, decode }: Pick<Halves, "encode" | "decode">, ids: Tensor, ctx: Context) {
  const [batch, length] = ids.shape as [Dim, Dim];
  const start = full([batch, 1], c.decoder_start_token_id, "int64");
  const shifted = concat([start, slice(ids, 1, 0, addDims(length, -1))], 1);
  // The decoder sees what is before a place and nothing of the padding behind it.
  const own = sequenceContext({ batch, length, memoryMask: ctx.attentionMask });
  const { attend, attendTo, positions, keyPositions, attentionMask, memoryMask } = own;
  const after: Context = { ...ctx, attend, attendTo, positions, keyPositions, attentionMask, memoryMask };
  return decode(shifted, encode(ids, ctx), after);
}

/** The vectors of each row's last token of a kind; zeros where it has none. `hidden: [b, t, d]`, `ids: [b, t]` → `[b, d]`. */
function atLast(token: number, hidden: Tensor, ids: Tensor): Tensor {
  const places = expandDims(range(ids.shape[1]!), 0); // [1, t]
  const last = max(where(equal(ids, token), places, -1), { axes: [1], keepDims: true }); // [b, 1]
  return sum(mul(hidden, expandDims(cast(equal(places, last), hidden.dtype), 2)), { axes: [1] });
}

/** Without a head: `last_hidden_state: [b, t, d]` of the decoder, which reads the text one place later. */
export const bartModel = (c: BartConfig) =>
  module(bartStacks(c).spec, ({ shared, encoder, decoder }, ids: Tensor, ctx: Context) => {
    const encode = (ids: Tensor, ctx: Context) => encoder(ids, ctx, shared);
    const decode = (ids: Tensor, memory: Tensor, ctx: Context) => decoder(ids, memory, ctx, shared);
    return { last_hidden_state: readTwice(c, { encode, decode }, ids, ctx) };
  });

const classificationHead = (c: BartConfig) =>
  module(
    {
      dense: linear(c.d_model, c.d_model, { std: c.init_std }),
      out_proj: linear(c.d_model, c.labels.names.length, { std: c.init_std }),
    },
    ({ dense, out_proj }, x: Tensor, ctx: Context) => {
      const drop = (y: Tensor) => ctx.dropout(y, c.classifier_dropout);
      return out_proj(drop(tanh(dense(drop(x)))));
    },
  );

/** Classifies by the decoder's state at each text's last end-of-text token: `logits: [b, n]`. */
export const bartForSequenceClassification = (c: BartConfig) =>
  module(
    { model: bartStacks(c), classification_head: classificationHead(c) },
    ({ model, classification_head }, ids: Tensor, ctx: Context) => ({
      logits: classification_head(atLast(c.eos_token_id, readTwice(c, model(), ids, ctx), ids), ctx),
    }),
  );

export const bart = defineModel<BartConfig>({
  modelType: "bart",
  parse,
  architectures: {
    BartForConditionalGeneration: { task: "seq2seq-lm", build: bartStacksForGeneration },
    BartForSequenceClassification: { task: "sequence-classification", build: bartForSequenceClassification },
    BartModel: { task: "features", build: bartModel },
  },
  pretraining: "denoising",
  facts: (c) => ({ ...bartStacksFacts(c), labels: c.labels }),
  fresh: (sizes) => ({
    ...freshBartStacks(sizes),
    activation_function: "gelu",
    bos_token_id: 0,
    eos_token_id: 2,
    pad_token_id: 1,
    scale_embedding: false,
  }),
  checkpoint: bartCheckpoint,
});
