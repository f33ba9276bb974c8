import type { ConfigReader } from "../core/config-reader.js";
import type { Module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";

/** A causal language model, p(x_{i+1} | x_{1:i}): called with `ids: [b, t]` int64 and a context → logits `[b, t, v]`. */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
export type CausalLm = Module<any, [ids: Tensor, ctx: Context], Tensor>;

/** One way a family is used, as `architectures` of config.json names it: what it answers and how it is built. */
export type Architecture<C> = { readonly task: "causal-lm"; build(config: C): CausalLm };

/** Facts that generation, training and reports need of any configuration. */
export interface ModelFacts {
  /** Tokens it knows. */
  readonly vocabSize: number;
  /** Most tokens it sees at once; undefined: no bound. */
  readonly contextLength: number | undefined;
}

/** Sizes for a model that is trained from nothing. */
export interface ModelSizes {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly layers: number;
  readonly heads: number;
  readonly d: number;
  readonly dropout: number;
}

/** A family of models: how its config.json is read, what it can be, how its checkpoint is laid out. */
export interface ModelFamily<C> {
  readonly kind: "family";
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Reads the fields, refusing what is not supported. */
  parse(fields: ConfigReader): C;
  /** By class name; the first is used where config.json names none. */
  readonly architectures: Readonly<Record<string, Architecture<C>>>;
  facts(config: C): ModelFacts;
  /** The config.json of a fresh model of given sizes. */
  fresh(sizes: ModelSizes): Readonly<Record<string, unknown>>;
  /** How the weights on disk differ from the parameters. */
  readonly checkpoint?: {
    /** A prefix that a checkpoint of the bare model lacks: `"transformer."`. */
    readonly basePrefix?: string;
    /** Names on disk that are no parameters: buffers, copies of tied weights. */
    readonly ignore?: readonly RegExp[];
  };
}

/** A family of whatever configuration. */
// biome-ignore lint/suspicious/noExplicitAny: each family has a configuration of its own
export type AnyModelFamily = ModelFamily<any>;

/** Declares a family of models. */
export function defineModel<C>(family: Omit<ModelFamily<C>, "kind">): ModelFamily<C> {
  return { kind: "family", ...family };
}
