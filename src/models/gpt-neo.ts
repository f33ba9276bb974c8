import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { feedForward } from "../nn/feed-forward.js";
import { layerNorm } from "../nn/layer-norm.js";
import { lmHead } from "../nn/lm-head.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { learnedPositions } from "../nn/positions.js";
import { add } from "../ops/elementwise.js";
import { features } from "./features.js";
import { defineModel } from "./model.js";

/**
 * GPT-Neo: decoder-only, pre-norm, learned positions; every other layer sees a window of the last tokens only, and scores are not
 * scaled. Black et al. 2021; parity with transformers' `GPTNeoForCausalLM`.
 */
export interface GptNeoConfig {
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly num_layers: number;
  readonly num_heads: number;
  readonly intermediate_size: number | null;
  readonly activation_function: ActivationName;
  readonly layer_norm_epsilon: number;
  /** What each layer sees, `attention_types` written out. */
  readonly attention_layers: readonly LayerKind[];
  /** Tokens that a local layer sees. */
  readonly window_size: number;
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  readonly embed_dropout: number;
  readonly attention_dropout: number;
  readonly resid_dropout: number;
}

const layerKinds = ["global", "local"] as const;
type LayerKind = (typeof layerKinds)[number];

/** `[[["global", "local"], 2]]` written out: global, local, global, local. Undefined where it is of another form. */
function expandTypes(types: unknown): readonly unknown[] | undefined {
  if (!Array.isArray(types)) return undefined;
  const layers: unknown[] = [];
  for (const group of types as readonly unknown[]) {
    const [kinds, times] = Array.isArray(group) ? (group as readonly unknown[]) : [];
    if (!Array.isArray(kinds) || !Number.isSafeInteger(times) || !(Number(times) <= MOST_LAYERS)) return undefined;
    for (let i = 0; i < Number(times); i++) layers.push(...(kinds as readonly unknown[]));
  }
  return layers;
}

const MOST_LAYERS = 10000; // what nobody builds would be written out all the same

function parseLayers(c: ConfigReader, count: number): readonly LayerKind[] {
  const listed = c.strings("attention_layers", { allowed: layerKinds, default: null }) as readonly LayerKind[] | null;
  const types = c.raw("attention_types") ?? (listed ? undefined : [[["global", "local"], count / 2]]);
  if (types === undefined || types === null) return checked(c, "attention_layers", listed ?? [], count);
  const expanded = expandTypes(types);
  if (!expanded?.every((kind) => layerKinds.includes(kind as LayerKind))) {
    c.problem(`attention_types must be a list of [kinds, times], with kinds of ${layerKinds.join(", ")}`);
    return [];
  }
  if (listed && listed.join() !== expanded.join())
    c.problem(`attention_layers and attention_types disagree (${listed.join(" ")} vs ${expanded.join(" ")})`);
  return checked(c, "attention_types", expanded as readonly LayerKind[], count);
}

function checked(c: ConfigReader, key: string, layers: readonly LayerKind[], count: number): readonly LayerKind[] {
  if (layers.length !== count) c.problem(`${key} is of other layers than num_layers (${layers.length} vs ${count})`);
  return layers;
}

function parse(c: ConfigReader): GptNeoConfig {
  const size = { min: 1 };
  const rate = { min: 0, max: 0.999, default: 0 };
  const num_layers = c.int("num_layers", size);
  const config: GptNeoConfig = {
    vocab_size: c.int("vocab_size", size),
    max_position_embeddings: c.int("max_position_embeddings", size),
    hidden_size: c.int("hidden_size", size),
    num_layers,
    num_heads: c.int("num_heads", size),
    intermediate_size: c.int("intermediate_size", { min: 1, default: null }),
    activation_function: c.oneOf("activation_function", activationNames, { default: "gelu_new" }),
    layer_norm_epsilon: c.number("layer_norm_epsilon", { above: 0, default: 1e-5 }),
    attention_layers: parseLayers(c, num_layers),
    window_size: c.int("window_size", { min: 1, default: 256 }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: true }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    embed_dropout: c.number("embed_dropout", rate),
    attention_dropout: c.number("attention_dropout", rate),
    resid_dropout: c.number("resid_dropout", rate),
  };
  c.divides(config, "hidden_size", "num_heads");
  // Of other classes, and of how the first models were trained.
  c.ignore(
    "classifier_dropout",
    "vocab_parallel_embedding",
    "make_vocab_size_divisible_by",
    ...["type", "use_proj", "activation", "proj_to_labels", "first_dropout"].map((s) => `summary_${s}`),
  );
  return config;
}

const block = (c: GptNeoConfig, kind: LayerKind) =>
  module(
    {
      ln_1: layerNorm(c.hidden_size, c.layer_norm_epsilon),
      "attn.attention": multiHeadedAttention({
        d: c.hidden_size,
        heads: c.num_heads,
        mask: kind === "local" ? { window: c.window_size, unseen: "hidden once" } : "causal",
        scale: 1,
        std: c.initializer_range,
        dropout: c.attention_dropout,
        bias: { query: false, key: false, value: false, output: true },
      }),
      ln_2: layerNorm(c.hidden_size, c.layer_norm_epsilon),
      mlp: feedForward(c.hidden_size, c.intermediate_size ?? 4 * c.hidden_size, activations[c.activation_function], {
        names: ["c_fc", "c_proj"],
        std: c.initializer_range,
      }),
    },
    ({ ln_1, "attn.attention": attention, ln_2, mlp }, x: Tensor, ctx: Context) => {
      const y = ln_1(x);
      x = add(x, ctx.dropout(attention(y, y, ctx), c.resid_dropout));
      return add(x, ctx.dropout(mlp(ln_2(x)), c.resid_dropout));
    },
  );

/** The model without a head: `ids: [b, t]` → `[b, t, d]`. */
export const gptNeoModel = (c: GptNeoConfig) =>
  module(
    {
      wte: embedToken(c.vocab_size, c.hidden_size, { std: c.initializer_range }),
      wpe: learnedPositions(c.max_position_embeddings, c.hidden_size, { std: c.initializer_range }),
      h: c.attention_layers.map((kind) => block(c, kind)),
      ln_f: layerNorm(c.hidden_size, c.layer_norm_epsilon),
    },
    ({ wte, wpe, h, ln_f }, ids: Tensor, ctx: Context) => {
      let x = observe("embeddings", ctx.dropout(add(wte(ids), wpe(ctx.positions)), c.embed_dropout)); // [b, t, d]
      for (const layer of h) x = layer(x, ctx);
      return ln_f(x);
    },
  );

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose unless `tie_word_embeddings` is false. */
export const gptNeoForCausalLm = (c: GptNeoConfig) =>
  module(
    {
      transformer: gptNeoModel(c),
      lm_head: lmHead(c.hidden_size, c.vocab_size, { tied: c.tie_word_embeddings, std: c.initializer_range }),
    },
    ({ transformer, lm_head }, ids: Tensor, ctx: Context) =>
      lm_head(ctx.scored(transformer(ids, ctx)), transformer.params.wte.weight),
  );

export const gptNeo = defineModel<GptNeoConfig>({
  modelType: "gpt_neo",
  parse,
  architectures: {
    GPTNeoForCausalLM: { task: "causal-lm", build: gptNeoForCausalLm },
    GPTNeoModel: { task: "features", build: (c) => features(gptNeoModel(c)) },
  },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.max_position_embeddings }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => {
    const attention_layers = Array.from({ length: layers }, (_, i) => layerKinds[i % 2]!);
    return {
      activation_function: "gelu_new",
      attention_dropout: dropout,
      attention_layers,
      attention_types: [[attention_layers, 1]],
      embed_dropout: dropout,
      hidden_size: d,
      intermediate_size: null,
      layer_norm_epsilon: 1e-5,
      max_position_embeddings: contextLength,
      num_heads: heads,
      num_layers: layers,
      resid_dropout: dropout,
      tie_word_embeddings: true,
      vocab_size: vocabSize,
      window_size: Math.max(1, Math.floor(contextLength / 4)),
    };
  },
  checkpoint: { basePrefix: "transformer.", ignore: [/\.attn\.attention\.(masked_)?bias$/, /^lm_head\.weight$/] },
});
