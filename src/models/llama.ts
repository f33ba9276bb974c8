import type { ConfigReader } from "../core/config-reader.js";
import { type Module, module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { type ActivationName, activationNames, activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { gatedFeedForward } from "../nn/feed-forward.js";
import { lmHead } from "../nn/lm-head.js";
import { multiHeadedAttention } from "../nn/multi-headed-attention.js";
import { rmsNorm } from "../nn/rms-norm.js";
import { rotaryPositions } from "../nn/rotary-positions.js";
import { add } from "../ops/elementwise.js";
import { features } from "./features.js";
import { defineModel, type ModelFamily, type ModelSizes } from "./model.js";
import { parsePaddingId } from "./padding-id.js";
import { parseRopeParameters, type RopeFields, type RopeParameters } from "./rope-parameters.js";

/**
 * LLaMA 1 to 3, and with the last three fields its kin Mistral, Qwen 2 and Qwen 3: decoder-only, rotary positions, pre-norm by root
 * mean squares, SwiGLU, grouped queries. Touvron et al. 2023; parity with transformers' `LlamaForCausalLM`.
 */
export interface LlamaConfig {
  readonly vocab_size: number;
  /** A token whose vector no text changes. */
  readonly pad_token_id: number | null;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly hidden_act: ActivationName;
  readonly rms_norm_eps: number;
  readonly initializer_range: number;
  readonly attention_dropout: number;
  readonly tie_word_embeddings: boolean;
  readonly rope_parameters: RopeParameters;
  readonly mlp_bias: boolean;
  readonly attention_bias: {
    readonly query: boolean;
    readonly key: boolean;
    readonly value: boolean;
    readonly output: boolean;
  };
  /** RMSNorm of each head's queries and keys (Qwen 3). */
  readonly query_key_norms: boolean;
  /** Tokens that each layer sees; null: all up to its own. */
  readonly windows: readonly (number | null)[];
}

/** What stands for fields that a family's config.json leaves out, as transformers has it. */
export interface LlamaDefaults {
  /** Default as many as queries. */
  readonly keyValueHeads?: number;
  /** Default `hidden_size / num_attention_heads`. */
  readonly headSize?: number;
  /** Default 1e-6. */
  readonly eps?: number;
  readonly positions: number;
  /** Default none. */
  readonly padding?: number;
  /** See {@link RopeFields.part}. */
  readonly part?: RopeFields["part"];
}

/** Reads the fields that LLaMA and its kin share. */
export function parseLlama(
  c: ConfigReader,
  { keyValueHeads, headSize, eps = 1e-6, positions, padding, part }: LlamaDefaults,
): Omit<LlamaConfig, "attention_bias" | "mlp_bias" | "query_key_norms" | "windows"> {
  const size = { min: 1 };
  const [d, heads] = [c.int("hidden_size", size), c.int("num_attention_heads", size)];
  const groups = c.int("num_key_value_heads", { min: 1, default: null }) ?? undefined;
  const given = c.int("head_dim", { min: 1, default: null }) ?? headSize;
  const head_dim = given ?? d / heads;
  const num_key_value_heads = groups ?? (c.raw("num_key_value_heads") === undefined ? keyValueHeads : heads) ?? heads;
  if (given === undefined)
    c.divides({ hidden_size: d, num_attention_heads: heads }, "hidden_size", "num_attention_heads");
  if (heads % num_key_value_heads !== 0)
    c.problem(`num_attention_heads ${heads} is no multiple of num_key_value_heads ${num_key_value_heads}`);
  const vocab_size = c.int("vocab_size", size);
  return {
    vocab_size,
    pad_token_id: parsePaddingId(c, vocab_size, padding),
    hidden_size: d,
    intermediate_size: c.int("intermediate_size", size),
    num_hidden_layers: c.int("num_hidden_layers", size),
    num_attention_heads: heads,
    num_key_value_heads,
    head_dim,
    hidden_act: c.oneOf("hidden_act", activationNames, { default: "silu" }),
    rms_norm_eps: c.number("rms_norm_eps", { above: 0, default: eps }),
    initializer_range: c.number("initializer_range", { min: 0, default: 0.02 }),
    attention_dropout: c.number("attention_dropout", { min: 0, max: 0.999, default: 0 }),
    tie_word_embeddings: c.bool("tie_word_embeddings", { default: false }),
    rope_parameters: parseRopeParameters(c, {
      headSize: Math.trunc(head_dim),
      positions: c.int("max_position_embeddings", { min: 1, default: positions }),
      ...(part ? { part } : {}),
    }),
  };
}

/** One answer for all four projections of an attention. */
export const eachProjection = (bias: boolean) => ({ query: bias, key: bias, value: bias, output: bias });

/** Self-attention of a layer, with rotary positions. */
export function llamaAttention(c: LlamaConfig, layer: number, { interleaved = false } = {}) {
  const { base, rotated, scaling } = c.rope_parameters;
  const window = c.windows[layer];
  const norm = () => rmsNorm(c.head_dim, c.rms_norm_eps);
  return multiHeadedAttention({
    d: c.hidden_size,
    heads: c.num_attention_heads,
    keyValueHeads: c.num_key_value_heads,
    headSize: c.head_dim,
    mask: window ? { window } : "causal",
    bias: c.attention_bias,
    dropout: c.attention_dropout,
    std: c.initializer_range,
    names: ["q_proj", "k_proj", "v_proj", "o_proj"],
    onQueryKey: rotaryPositions(rotated, { base, scaling, interleaved }),
    ...(c.query_key_norms ? { queryKeyNorms: { query: ["q_norm", norm()], key: ["k_norm", norm()] } } : {}),
  });
}

const block = (c: LlamaConfig, layer: number) => {
  const [d, eps] = [c.hidden_size, c.rms_norm_eps];
  return module(
    {
      input_layernorm: rmsNorm(d, eps),
      self_attn: llamaAttention(c, layer),
      post_attention_layernorm: rmsNorm(d, eps),
      mlp: gatedFeedForward(d, c.intermediate_size, activations[c.hidden_act], {
        bias: c.mlp_bias,
        std: c.initializer_range,
      }),
    },
    ({ input_layernorm, self_attn, post_attention_layernorm, mlp }, x: Tensor, ctx: Context) => {
      const y = input_layernorm(x);
      x = add(x, self_attn(y, y, ctx));
      return add(x, mlp(post_attention_layernorm(x)));
    },
  );
};

// biome-ignore lint/suspicious/noExplicitAny: blocks differ in their parameters
type LayerOf = (c: LlamaConfig, layer: number) => Module<any, [x: Tensor, ctx: Context], Tensor>;

/**
 * The model without a head: `ids: [b, t]` → `[b, t, d]`.
 *
 * @param layerOf the block of each layer. Default LLaMA's
 */
export const llamaModel = (c: LlamaConfig, layerOf: LayerOf = block) =>
  module(
    {
      embed_tokens: embedToken(c.vocab_size, c.hidden_size, { std: c.initializer_range, padding: c.pad_token_id }),
      layers: Array.from({ length: c.num_hidden_layers }, (_, layer) => layerOf(c, layer)),
      norm: rmsNorm(c.hidden_size, c.rms_norm_eps),
    },
    ({ embed_tokens, layers, norm }, ids: Tensor, ctx: Context) => {
      let x = embed_tokens(ids); // [b, t, d]
      for (const layer of layers) x = layer(x, ctx);
      return norm(x);
    },
  );

/** With the language-model head: logits `[b, t, v]`. The head is the embedding's transpose where `tie_word_embeddings` is true. */
export const llamaForCausalLm = (c: LlamaConfig, layerOf?: LayerOf) =>
  module(
    {
      model: llamaModel(c, layerOf),
      lm_head: lmHead(c.hidden_size, c.vocab_size, { tied: c.tie_word_embeddings, std: c.initializer_range }),
    },
    ({ model, lm_head }, ids: Tensor, ctx: Context) =>
      lm_head(ctx.scored(model(ids, ctx)), model.params.embed_tokens.weight),
  );

/** The forms that all of them come in, by the name their classes begin with. */
export const llamaArchitectures = (name: string, layerOf?: LayerOf): ModelFamily<LlamaConfig>["architectures"] => ({
  [`${name}ForCausalLM`]: { task: "causal-lm", build: (c) => llamaForCausalLm(c, layerOf) },
  [`${name}Model`]: { task: "features", build: (c) => features(llamaModel(c, layerOf)) },
});

/** A fresh configuration of the fields that all of them share; the head is tied, which suits small vocabularies and models. */
export const freshLlama = ({ vocabSize, contextLength, layers, heads, d, dropout }: ModelSizes) => ({
  attention_dropout: dropout,
  head_dim: d / heads,
  hidden_act: "silu",
  hidden_size: d,
  initializer_range: 0.02,
  intermediate_size: 8 * Math.ceil(d / 3), // three matrices of 8d/3 are as many weights as two of 4d
  max_position_embeddings: contextLength,
  num_attention_heads: heads,
  num_hidden_layers: layers,
  num_key_value_heads: heads,
  rms_norm_eps: 1e-6,
  rope_parameters: { rope_theta: 10000, rope_type: "default" },
  tie_word_embeddings: true,
  vocab_size: vocabSize,
});

/** What all of them share as a family. */
export const llamaFacts: Pick<ModelFamily<LlamaConfig>, "facts" | "checkpoint"> = {
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.rope_parameters.contextLength }),
  checkpoint: { basePrefix: "model.", ignore: [/\.rotary_emb\.inv_freq$/, /^lm_head\.weight$/] },
};

export const llama = defineModel<LlamaConfig>({
  ...llamaFacts,
  modelType: "llama",
  parse(c) {
    const shared = parseLlama(c, { positions: 2048 });
    c.ignore("pretraining_tp"); // how the products were once sliced: the same numbers but for rounding
    return {
      ...shared,
      attention_bias: eachProjection(c.bool("attention_bias", { default: false })),
      mlp_bias: c.bool("mlp_bias", { default: false }),
      query_key_norms: false,
      windows: Array<null>(shared.num_hidden_layers).fill(null),
    };
  },
  architectures: llamaArchitectures("Llama"),
  fresh: (sizes) => ({ ...freshLlama(sizes), attention_bias: false, mlp_bias: false }),
});
