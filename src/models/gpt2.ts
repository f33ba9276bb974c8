import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { layerNorm } from "../nn/layer-norm.js";
import { conv1d, linear } from "../nn/linear.js";
import { lmHead } from "../nn/lm-head.js";
import { mergeHeads, splitHeads } from "../nn/multi-headed-attention.js";
import { lastTokenPooling } from "../nn/pooling.js";
import { learnedPositions } from "../nn/positions.js";
import { add, cast, equal, not } from "../ops/elementwise.js";
import { split } from "../ops/shape.js";
import { features } from "./features.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";

/** GPT-2: decoder-only, learned positions, pre-norm. Radford et al. 2019; parity with transformers' `GPT2LMHeadModel`. */
export interface Gpt2Config {
  readonly vocab_size: number;
  readonly n_positions: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_inner: number | null;
  readonly activation_function: ActivationName;
  readonly layer_norm_epsilon: number;
  readonly scale_attn_weights: boolean;
  readonly scale_attn_by_inverse_layer_idx: boolean;
  readonly tie_word_embeddings: boolean;
  readonly embd_pdrop: number;
  readonly attn_pdrop: number;
  readonly resid_pdrop: number;
  /** Of a classifier: what fills up shorter rows, and what it tells apart (default two labels). */
  readonly pad_token_id?: number | null;
  readonly labels?: Labels;
}

function parse(c: ConfigReader): Gpt2Config {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0.1 };
  const config: Gpt2Config = {
    vocab_size: c.int("vocab_size", size),
    n_positions: c.int("n_positions", size),
    n_embd: c.int("n_embd", size),
    n_layer: c.int("n_layer", size),
    n_head: c.int("n_head", size),
    n_inner: c.int("n_inner", { min: 1, default: null }),
    activation_function: c.oneOf("activation_function", activationNames, { default: "gelu_new" }),
    layer_norm_epsilon: c.number("layer_norm_epsilon", { above: 0, default: 1e-5 }),
    scale_attn_weights: c.bool("scale_attn_weights", { default: true }),
    scale_attn_by_inverse_layer_idx: c.bool("scale_attn_by_inverse_layer_idx", { default: false }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    embd_pdrop: c.number("embd_pdrop", rate),
    attn_pdrop: c.number("attn_pdrop", rate),
    resid_pdrop: c.number("resid_pdrop", rate),
    pad_token_id: c.int("pad_token_id", { min: 0, default: null }),
    labels: parseLabels(c),
  };
  c.divides(config, "n_embd", "n_head");
  c.expect("add_cross_attention", false);
  // The order of scaling and the summary head of other classes change no number of this one.
  c.ignore(
    "reorder_and_upcast_attn",
    "n_ctx",
    ...["type", "use_proj", "activation", "proj_to_labels", "first_dropout"].map((s) => `summary_${s}`),
  );
  return config;
}

const selfAttention = (c: Gpt2Config, layer: number) => {
  const divisor =
    (c.scale_attn_weights ? Math.sqrt(c.n_embd / c.n_head) : 1) * (c.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  return module(
    {
      c_attn: conv1d(c.n_embd, 3 * c.n_embd),
      c_proj: conv1d(c.n_embd, c.n_embd, { std: 0.02 / Math.sqrt(2 * c.n_layer) }),
    },
    ({ c_attn, c_proj }, x: Tensor, ctx: Context) => {
      const [q, k, v] = split(c_attn(x), 3).map((y) => splitHeads(y, c.n_head)) as [Tensor, Tensor, Tensor]; // 3 × [b, t, h, d]
      const onWeights = c.attn_pdrop > 0 ? (w: Tensor) => ctx.dropout(w, c.attn_pdrop) : undefined;
      const y = ctx.attend(q, k, v, { mask: "causal", scale: 1 / divisor, onWeights }); //                     [b, t, h, d]
      return ctx.dropout(c_proj(mergeHeads(y)), c.resid_pdrop); //                                             [b, t, e]
    },
  );
};

const mlp = (c: Gpt2Config) => {
  const inner = c.n_inner ?? 4 * c.n_embd;
  return module(
    { c_fc: conv1d(c.n_embd, inner), c_proj: conv1d(inner, c.n_embd, { std: 0.02 / Math.sqrt(2 * c.n_layer) }) },
    ({ c_fc, c_proj }, x: Tensor, ctx: Context) =>
      ctx.dropout(c_proj(activations[c.activation_function](c_fc(x))), c.resid_pdrop),
  );
};

const block = (c: Gpt2Config, layer: number) =>
  module(
    {
      ln_1: layerNorm(c.n_embd, c.layer_norm_epsilon),
      attn: selfAttention(c, layer),
      ln_2: layerNorm(c.n_embd, c.layer_norm_epsilon),
      mlp: mlp(c),
    },
    ({ ln_1, attn, ln_2, mlp }, x: Tensor, ctx: Context) => {
      x = add(x, attn(ln_1(x), ctx));
      return add(x, mlp(ln_2(x), ctx));
    },
  );

/** The model without a head: `ids: [b, t]` → `[b, t, e]`. */
export const gpt2Model = (c: Gpt2Config) =>
  module(
    {
      wte: embedToken(c.vocab_size, c.n_embd),
      wpe: learnedPositions(c.n_positions, c.n_embd),
      h: Array.from({ length: c.n_layer }, (_, layer) => block(c, layer)),
      ln_f: layerNorm(c.n_embd, c.layer_norm_epsilon),
    },
    ({ wte, wpe, h, ln_f }, ids: Tensor, ctx: Context) => {
      let x = observe("embeddings", ctx.dropout(add(wte(ids), wpe(ctx.positions)), c.embd_pdrop)); // [b, t, e]
      for (const layer of h) x = layer(x, ctx);
      return ln_f(x);
    },
  );

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose unless `tie_word_embeddings` is false. */
export const gpt2LmHeadModel = (c: Gpt2Config) =>
  module(
    {
      transformer: gpt2Model(c),
      lm_head: lmHead(c.n_embd, c.vocab_size, { tied: c.tie_word_embeddings }),
    },
    ({ transformer, lm_head }, ids: Tensor, ctx: Context) =>
      lm_head(ctx.scored(transformer(ids, ctx)), transformer.params.wte.weight),
  );

/** A label, or several, or a number, for the whole text, of the last token that is no padding: logits `[b, n]`. */
export const gpt2ForSequenceClassification = (c: Gpt2Config) =>
  module(
    { transformer: gpt2Model(c), score: linear(c.n_embd, c.labels?.names.length ?? 2, { bias: false }) },
    ({ transformer, score }, ids: Tensor, ctx: Context) => {
      const { pad_token_id: pad = null } = c;
      const mask = pad === null ? ctx.attentionMask : cast(not(equal(ids, pad)), "int64");
      return { logits: score(lastTokenPooling(transformer(ids, ctx), mask)) };
    },
  );

export const gpt2 = defineModel<Gpt2Config>({
  modelType: "gpt2",
  parse,
  architectures: {
    GPT2LMHeadModel: { task: "causal-lm", build: gpt2LmHeadModel },
    GPT2Model: { task: "features", build: (c) => features(gpt2Model(c)) },
    GPT2ForSequenceClassification: { task: "sequence-classification", build: gpt2ForSequenceClassification },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size,
    contextLength: c.n_positions,
    padding: c.pad_token_id ?? undefined,
    labels: c.labels,
  }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => ({
    activation_function: "gelu_new",
    attn_pdrop: dropout,
    embd_pdrop: dropout,
    layer_norm_epsilon: 1e-5,
    n_embd: d,
    n_head: heads,
    n_inner: null,
    n_layer: layers,
    n_positions: contextLength,
    resid_pdrop: dropout,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  }),
  checkpoint: { basePrefix: "transformer.", ignore: [/\.attn\.(masked_)?bias$/, /^lm_head\.weight$/] },
});
