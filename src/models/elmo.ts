import type { ConfigReader } from "../core/config-reader.js";
import { TesseraError } from "../core/errors.js";
import { buffer, module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { characterCnn } from "../nn/character-cnn.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { highway } from "../nn/highway.js";
import { linear } from "../nn/linear.js";
import { lstm } from "../nn/lstm.js";
import { maxOverTime, meanOverTime } from "../nn/pool-over-time.js";
import { scalarMix } from "../nn/scalar-mix.js";
import { runCell } from "../nn/sequence-rnn.js";
import { sentenceCharacters, wordCharacters } from "../nn/word-characters.js";
import { relu, tanh } from "../ops/activation.js";
import { full } from "../ops/constant.js";
import { add, cast } from "../ops/elementwise.js";
import { gather } from "../ops/gather.js";
import { concat, slice, transpose } from "../ops/shape.js";
import { type Labels, parseLabels } from "./labels.js";
import { defineModel } from "./model.js";

/**
 * ELMo: words from their characters, a language model in each direction of projected LSTM layers, a learned mixture of all layers.
 * Peters et al. 2018. Fields as in the options files of the published weights; parameters as AllenNLP's `Elmo` saves them, but
 * `char_ids`, which says the characters of each token and is left out without a `vocab_size`.
 */
export interface ElmoConfig {
  /** Tokens of the tokenizer; null: the model is given characters, `[b, t, c]`, and has no head over words. */
  readonly vocab_size: number | null;
  readonly char_cnn: {
    readonly activation: "relu" | "tanh";
    readonly embedding: { readonly dim: number };
    readonly filters: readonly (readonly [width: number, count: number])[];
    readonly max_characters_per_token: number;
    readonly n_characters: number;
    readonly n_highway: number;
  };
  readonly lstm: {
    /** Bounds of the cells, and of the projected states; null: none. */
    readonly cell_clip: number | null;
    readonly proj_clip: number | null;
    readonly dim: number;
    readonly projection_dim: number;
    readonly n_layers: number;
    readonly use_skip_connections: boolean;
  };
  /** On the input of each layer and before the language model's head. */
  readonly dropout: number;
  /** Each vector of each layer is normalized before the layers are mixed (section 3.2). */
  readonly mix_layer_norm: boolean;
  /** What a classifier sees: the mixture, plain embeddings of that size, learned with the labels, or both, `[x_k; ELMo_k]` (3.3). */
  readonly word_vectors: "elmo" | "plain" | "both";
  /** Before a classifier's pooling, on the words' vectors, and before its projection. */
  readonly classifier_dropout: number;
  readonly pad_token_id: number | null;
  readonly labels: Labels;
}

function parse(c: ConfigReader): ElmoConfig {
  const size = { min: 1 };
  const cnn = c.object("char_cnn");
  const rnn = c.object("lstm");
  const filters = cnn.raw("filters");
  const isPair = (x: unknown): x is [number, number] =>
    Array.isArray(x) && x.length === 2 && x.every((n) => Number.isSafeInteger(n) && n > 0);
  const known = Array.isArray(filters) && filters.length > 0 && filters.every(isPair) ? filters : undefined;
  if (!known) c.problem("char_cnn.filters must be a list of pairs, the width and the number of filters");
  const config: ElmoConfig = {
    vocab_size: c.int("vocab_size", { min: 1, default: null }),
    char_cnn: {
      activation: cnn.oneOf("activation", ["relu", "tanh"], { default: "relu" }),
      embedding: { dim: cnn.object("embedding").int("dim", size) },
      filters: known ?? [],
      max_characters_per_token: cnn.int("max_characters_per_token", { min: 3, default: 50 }),
      n_characters: cnn.int("n_characters", { min: 262, default: 262 }),
      n_highway: cnn.int("n_highway", { min: 0, default: 0 }),
    },
    lstm: {
      cell_clip: rnn.number("cell_clip", { above: 0, default: null }),
      proj_clip: rnn.number("proj_clip", { above: 0, default: null }),
      dim: rnn.int("dim", size),
      projection_dim: rnn.int("projection_dim", size),
      n_layers: rnn.int("n_layers", size),
      use_skip_connections: rnn.bool("use_skip_connections", { default: false }),
    },
    dropout: c.number("dropout", { min: 0, max: 0.999, default: 0.1 }),
    mix_layer_norm: c.bool("mix_layer_norm", { default: false }),
    word_vectors: c.oneOf("word_vectors", ["elmo", "plain", "both"], { default: "elmo" }),
    classifier_dropout: c.number("classifier_dropout", { min: 0, max: 0.999, default: 0.5 }),
    pad_token_id: c.int("pad_token_id", { min: 0, default: null }),
    labels: parseLabels(c),
  };
  const { max_characters_per_token: most } = config.char_cnn;
  for (const [width] of config.char_cnn.filters)
    if (width > most) c.problem(`a filter is wider than max_characters_per_token (${width} vs ${most})`);
  if (config.word_vectors !== "elmo" && config.vocab_size === null)
    c.problem(`word_vectors ${config.word_vectors} needs a table of tokens, vocab_size is missing`);
  c.expect("bidirectional", true);
  c.expect("share_embedding_softmax", false);
  // How the published weights were trained: with a sampled softmax, where the head here is a whole one.
  c.ignore("sample_softmax", "n_negative_samples_batch", "n_tokens_vocab", "n_train_tokens", "n_epochs");
  c.ignore("batch_size", "unroll_steps", "all_clip_norm_val");
  return config;
}

/** A word's vector. `characters: [..., c]` int64 → `[..., p]`. */
const tokenEmbedder = ({ char_cnn: cnn, lstm: { projection_dim } }: ElmoConfig) => {
  const n = cnn.filters.reduce((sum, [, count]) => sum + count, 0);
  return module(
    {
      $cnn: characterCnn({
        characters: cnn.n_characters,
        d: cnn.embedding.dim,
        filters: cnn.filters.map(([width, count]) => ({ width, count })),
        activation: { relu, tanh }[cnn.activation],
      }),
      "_highways._layers": Array.from({ length: cnn.n_highway }, () => highway(n)),
      _projection: linear(n, projection_dim, { std: Math.sqrt(1 / n) }),
    },
    (self, characters: Tensor) =>
      self._projection(self["_highways._layers"].reduce((x, layer) => layer(x), self.$cnn(characters))),
  );
};

/** A projected LSTM layer in one direction. `x: [t, b, p]` → the same, the input added to it where `skip` says so. */
const lstmLayer = ({ lstm: c }: ElmoConfig, reverse: boolean, skip: boolean) => {
  const { dim, projection_dim: p } = c;
  const clip = { cell: c.cell_clip ?? undefined, projection: c.proj_clip ?? undefined };
  const cell = lstm({ input: p, hidden: dim, projection: p, clip });
  const init = { uniform: 1 / Math.sqrt(dim) };
  return module(
    {
      "input_linearity.weight": param([4 * dim, p], init),
      "state_linearity.weight": param([4 * dim, p], init),
      "state_linearity.bias": param([4 * dim], { parts: [0, 1, 0, 0] }), // the forget gate starts out open
      "state_projection.weight": param([p, dim], init),
    },
    (self, x: Tensor, tokens: Tensor | undefined): Tensor => {
      const parameters = {
        weight_ih: self["input_linearity.weight"],
        weight_hh: self["state_linearity.weight"],
        bias_ih: self["state_linearity.bias"],
        bias_hh: full([4 * dim], 0),
        weight_hr: self["state_projection.weight"],
      };
      const [y] = runCell(cell, parameters, x, full([x.shape[1]!, p + dim], 0), { reverse, tokens });
      return skip ? add(y, x) : y;
    },
  );
};

/** What the language model of each direction makes of a sentence, layer by layer, the words themselves first: each `[b, t, p]`. */
interface Layers {
  readonly forward: readonly Tensor[];
  readonly backward: readonly Tensor[];
}

/** Both language models. They share the words' vectors and nothing else, so neither sees what it is to predict. */
const biLm = (c: ElmoConfig) => {
  const stack = (reverse: boolean) =>
    Array.from({ length: c.lstm.n_layers }, (_, i) => lstmLayer(c, reverse, c.lstm.use_skip_connections && i > 0));
  const named = (name: string, layers: ReturnType<typeof stack>) =>
    Object.fromEntries(layers.map((layer, i) => [`${name}_layer_${i}`, layer]));
  const lstms = { ...named("forward", stack(false)), ...named("backward", stack(true)) };
  return module(
    {
      _token_embedder: tokenEmbedder(c),
      _elmo_lstm: module(lstms, (self, name: string, x: Tensor, tokens: Tensor | undefined) => self[name]!(x, tokens)),
    },
    ({ _token_embedder, _elmo_lstm }, characters: Tensor, ctx: Context): Layers => {
      const sentence = sentenceCharacters(characters, ctx.attentionMask);
      const words = transpose(_token_embedder(sentence.characters), [1, 0, 2]); // [t + 2, b, p]
      const inner = (x: Tensor) => transpose(slice(x, 0, 1, -1), [1, 0, 2]); //    [b, t, p]
      const run = (name: string) => {
        const states = [words];
        for (let i = 0; i < c.lstm.n_layers; i++) {
          const x = ctx.dropout(states[i]!, c.dropout);
          states.push(_elmo_lstm(`${name}_layer_${i}`, x, sentence.tokens));
        }
        return states.map(inner);
      };
      return { forward: run("forward"), backward: run("backward") };
    },
  );
};

/** The biLM behind the tokens' characters: what all architectures share, under the names that AllenNLP gives it. */
const base = (c: ElmoConfig) => ({
  char_ids: c.vocab_size === null ? undefined : buffer([c.vocab_size, c.char_cnn.max_characters_per_token], "zeros"),
  _elmo_lstm: biLm(c),
});

/** `ids` as characters `[b, t, c]`: given so, or looked up for tokens `[b, t]`. */
function charactersOf(ids: Tensor, table: Tensor | undefined): Tensor {
  if (ids.rank === 3) return ids;
  if (table) return cast(gather(table, ids), "int64");
  throw wrongAxes("without a vocab_size it is given characters, [b, t, c]", 3, ids);
}

const wrongAxes = (what: string, axes: number, { rank }: Tensor) =>
  new TesseraError("argument", `elmo: ${what}, got ${rank} axes (${axes} vs ${rank})`);

/** Features of words: the mixture of all layers, `last_hidden_state: [b, t, 2p]`. `ids: [b, t]` tokens or `[b, t, c]` characters. */
export const elmoModel = (c: ElmoConfig) =>
  module(
    { ...base(c), scalar_mix_0: scalarMix(c.lstm.n_layers + 1, { normalize: c.mix_layer_norm }) },
    ({ char_ids, _elmo_lstm, scalar_mix_0 }, ids: Tensor, ctx: Context) => {
      const { forward, backward } = _elmo_lstm(charactersOf(ids, char_ids), ctx);
      const layers = forward.map((x, i) => observe(`layers.${i}`, concat([x, backward[i]!])));
      return { last_hidden_state: scalar_mix_0(layers) };
    },
  );

/**
 * The language models: at each position logits of the next token and of the one before, by one head for both,
 * `forward_logits, backward_logits: [b, t, v]`.
 *
 * @throws TesseraError `config` without a `vocab_size`
 */
export const elmoForLanguageModeling = (c: ElmoConfig) => {
  if (c.vocab_size === null)
    throw new TesseraError("config", "elmo: a language model predicts tokens, vocab_size is missing");
  return module(
    { ...base(c), lm_head: linear(c.lstm.projection_dim, c.vocab_size, { std: 1 / Math.sqrt(c.lstm.projection_dim) }) },
    ({ char_ids, _elmo_lstm, lm_head }, ids: Tensor, ctx: Context) => {
      const { forward, backward } = _elmo_lstm(charactersOf(ids, char_ids), ctx);
      const logits = (layers: readonly Tensor[]) => lm_head(ctx.dropout(layers.at(-1)!, c.dropout));
      return { forward_logits: logits(forward), backward_logits: logits(backward) };
    },
  );
};

/** A classifier of texts on words' vectors: their mean and maximum, and a projection. `logits: [b, n]`. */
export const elmoForSequenceClassification = (c: ElmoConfig) => {
  const d = 2 * c.lstm.projection_dim;
  const [plain, mixed] = [c.word_vectors !== "elmo", c.word_vectors !== "plain"];
  return module(
    {
      embedding: plain ? embedToken(c.vocab_size!, d, { std: 0.1 }) : undefined,
      $elmo: mixed ? elmoModel(c) : undefined,
      classifier: linear(2 * d * (Number(plain) + Number(mixed)), c.labels.names.length),
    },
    ({ embedding, $elmo, classifier }, ids: Tensor, ctx: Context) => {
      if (embedding && ids.rank !== 2) throw wrongAxes("plain embeddings are of tokens, [b, t]", 2, ids);
      const vectors = [embedding?.(ids), $elmo?.(ids, ctx).last_hidden_state].flatMap((x) => x ?? []);
      const x = ctx.dropout(concat(vectors), c.classifier_dropout); // [b, t, d], both kinds [b, t, 2d]
      const pooled = concat([meanOverTime(x, ctx.attentionMask), maxOverTime(x, ctx.attentionMask)]);
      return { logits: classifier(ctx.dropout(pooled, c.classifier_dropout)) };
    },
  );
};

export const elmo = defineModel<ElmoConfig>({
  modelType: "elmo",
  parse,
  architectures: {
    ElmoForLanguageModeling: { task: "bidirectional-lm", build: elmoForLanguageModeling },
    ElmoModel: { task: "features", build: elmoModel },
    ElmoForSequenceClassification: { task: "sequence-classification", build: elmoForSequenceClassification },
  },
  facts: (c) => ({
    vocabSize: c.vocab_size ?? c.char_cnn.n_characters,
    contextLength: undefined,
    padding: c.pad_token_id ?? undefined,
    labels: c.labels,
  }),
  fresh: ({ vocabSize, layers, d, dropout }) => ({
    char_cnn: {
      activation: "relu",
      embedding: { dim: 16 },
      filters: [1, 1, 2, 4, 8, 16, 32].map((share, i) => [i + 1, Math.max(1, Math.round((share * d) / 64))]),
      max_characters_per_token: 20,
      n_characters: 262,
      n_highway: 2,
    },
    classifier_dropout: Math.max(dropout, 0.5),
    dropout,
    lstm: {
      cell_clip: 3,
      dim: 2 * d,
      n_layers: layers,
      proj_clip: 3,
      projection_dim: Math.ceil(d / 2),
      use_skip_connections: true,
    },
    vocab_size: vocabSize,
  }),
  fillFromVocabulary({ char_cnn: { max_characters_per_token: length } }, weights, words) {
    const { data } = weights.get("char_ids") ?? {};
    for (const [id, word] of words.entries()) data?.set(wordCharacters(word, length) as never, id * length);
  },
});
