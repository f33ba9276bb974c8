import type { ConfigReader } from "../core/config-reader.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { Module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import type { Labels } from "./labels.js";

/** A causal language model, p(x_{i+1} | x_{1:i}): called with `ids: [b, t]` int64 and a context → logits `[b, t, v]`. */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
export type CausalLm = Module<any, [ids: Tensor, ctx: Context], Tensor>;

/**
 * A model that reads a whole text, φ(x), and a head on it: called with `ids: [b, t]` int64 and a context → tensors under the names of
 * transformers' outputs, see {@link taskOutputs}.
 */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
export type Encoder = Module<any, [ids: Tensor, ctx: Context], Readonly<Record<string, Tensor>>>;

/** p(y | φ(x)): called without arguments → its two halves, bound to the parameters. */
// biome-ignore lint/suspicious/noExplicitAny: every model has parameters of its own
export type EncoderDecoder = Module<any, [], EncoderDecoderHalves>;

/** The halves of an encoder-decoder. */
export interface EncoderDecoderHalves {
  /** φ(x). `ids: [b, s]` int64, in a context of the source → `[b, s, d]`. */
  encode(ids: Tensor, ctx: Context): Tensor;
  /** `ids: [b, t]` int64 of the target so far, `memory: [b, s, d]`, in a context of the target → logits `[b, t, v]`. */
  decode(ids: Tensor, memory: Tensor, ctx: Context): Tensor;
}

/** What each task's head yields: names, and shapes in `b, t, v` (vocabulary), `d`, `n` (labels). */
export const taskOutputs = {
  features: { last_hidden_state: "[b, t, d]", pooler_output: "[b, d], where the model pools" },
  "masked-lm": { logits: "[b, t, v]" },
  "bidirectional-lm": {
    forward_logits: "[b, t, v], of the token after each",
    backward_logits: "[b, t, v], of the token before each",
  },
  "blank-infilling": { logits: "[b, t, v]" },
  "permutation-lm": { logits: "[b, t, v], or of the n places that are asked for, [b, n, v]" },
  "pre-training": { prediction_logits: "[b, t, v]", seq_relationship_logits: "[b, 2]" },
  "sequence-classification": { logits: "[b, n]" },
  "token-classification": { logits: "[b, t, n]" },
  "question-answering": { start_logits: "[b, t]", end_logits: "[b, t]" },
} as const;

/** What an architecture answers. */
export type Task = "causal-lm" | "seq2seq-lm" | keyof typeof taskOutputs;

/** One way a family is used, as `architectures` of config.json names it: what it answers and how it is built. */
export type Architecture<C> =
  | { readonly task: "causal-lm"; build(config: C): CausalLm }
  | { readonly task: "seq2seq-lm"; build(config: C): EncoderDecoder }
  | { readonly task: keyof typeof taskOutputs; build(config: C): Encoder };

/** Facts that generation, training and reports need of any configuration. */
export interface ModelFacts {
  /** Tokens it knows. */
  readonly vocabSize: number;
  /** Tokens that a source may consist of. Default `vocabSize`. */
  readonly sourceVocabSize?: number | undefined;
  /** Most tokens it sees at once, in its decoder where it has two halves; undefined: no bound. */
  readonly contextLength: number | undefined;
  /** Most tokens of an encoder-decoder's source; undefined: no bound, or no source. */
  readonly sourceLength?: number | undefined;
  /** Token that an encoder-decoder's target begins with. */
  readonly decoderStart?: number | undefined;
  /** Token that fills up shorter rows. */
  readonly padding?: number | undefined;
  /** What a classifier tells apart. */
  readonly labels?: Labels | undefined;
}

/** Sizes for a model that is trained from nothing. */
export interface ModelSizes {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly layers: number;
  readonly heads: number;
  readonly d: number;
  readonly dropout: number;
  /** Token that fills up shorter rows; RoBERTa's positions begin behind it. Default the family's usual one. */
  readonly padding?: number | undefined;
}

/** What a configuration that a paper names leaves open when it is trained from nothing. */
export type PresetSizes = Pick<ModelSizes, "vocabSize" | "contextLength" | "dropout">;

/** A family of models: how its config.json is read, what it can be, how its checkpoint is laid out. */
export interface ModelFamily<C> {
  readonly kind: "family";
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Reads the fields, refusing what is not supported. */
  parse(fields: ConfigReader): C;
  /** By class name; the first is used where config.json names none, and for a fresh model unless a task is asked for. */
  readonly architectures: Readonly<Record<string, Architecture<C>>>;
  /** Configurations that a paper names, by their names there. */
  readonly presets?: {
    readonly configs: Readonly<Record<string, C>>;
    /** The config.json of a fresh model of such a configuration, for a vocabulary and a context of its own. */
    fresh(config: C, sizes: PresetSizes): Readonly<Record<string, unknown>>;
  };
  facts(config: C): ModelFacts;
  /** What it is trained for on running text unless told otherwise, as the trainer calls it. Default: what its heads allow. */
  readonly pretraining?: string;
  /** The config.json of a fresh model of given sizes. */
  fresh(sizes: ModelSizes): Readonly<Record<string, unknown>>;
  /**
   * Fills in what a fresh model takes from its tokenizer, such as the characters of its words (ELMo).
   *
   * @param weights by parameter path; changed in place
   * @param words the text of each token, by id
   */
  fillFromVocabulary?(config: C, weights: ReadonlyMap<string, HostTensor>, words: readonly string[]): void;
  /** How the weights on disk differ from the parameters. */
  readonly checkpoint?: {
    /** A prefix of the bare model's names in a checkpoint with a head, which one without a head lacks: `"transformer."`. */
    readonly basePrefix?: string;
    /** Names on disk that are no parameters: buffers, copies of tied weights. */
    readonly ignore?: readonly RegExp[];
    /** Other names that a parameter may have on disk where its own is missing: what is replaced in its name, and by what. */
    readonly older?: readonly (readonly [part: RegExp, by: string])[];
    /** Fields of config.json that the names on disk decide, because the original's file does not hold them. */
    fields?(names: readonly string[]): Readonly<Record<string, unknown>> | undefined;
  };
}

/** A family of whatever configuration. */
// biome-ignore lint/suspicious/noExplicitAny: each family has a configuration of its own
export type AnyModelFamily = ModelFamily<any>;

/** Declares a family of models. */
export function defineModel<C>(family: Omit<ModelFamily<C>, "kind">): ModelFamily<C> {
  return { kind: "family", ...family };
}
