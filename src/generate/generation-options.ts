import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import type { GenerationConfig } from "../hub/generation-config.js";
import type { BeamSettings } from "./beam-search.js";
import type { LogitsProcessor } from "./logits-processors.js";

/**
 * How a text is continued. Names and meanings are those of Hugging Face's generation configuration, in camel case; what is not given
 * is as the model's `generation_config.json` says, and what that leaves open has the default named here.
 */
export interface GenerationOptions {
  /** Most tokens generated. Default: what `maxLength` leaves, or 256. */
  readonly maxNewTokens?: number;
  /**
   * Most tokens of prompt and completion together, of an encoder-decoder those of its target and the token it starts with;
   * `maxNewTokens` goes before it.
   */
  readonly maxLength?: number;
  /** Least tokens generated: before, no token that ends a text. Default 0. */
  readonly minNewTokens?: number;
  /** Least tokens, counted as `maxLength` counts. Default 0. */
  readonly minLength?: number;
  /**
   * Draw tokens at random instead of taking the most probable. Default: whether a temperature above 0, `topK`, `topP` or `minP` is given
   * here; where neither they nor `numBeams` above 1 are, as the configuration says.
   */
  readonly doSample?: boolean;
  /** Divisor of the logits when drawing; 0 takes the most probable token. Default 1. */
  readonly temperature?: number;
  /** Draw from this many most probable tokens; 0 is all. Default 0. */
  readonly topK?: number;
  /** Draw from the fewest most probable tokens whose probabilities add up to this. Default 1. */
  readonly topP?: number;
  /** Draw from tokens at least this probable relative to the most probable. Default 0. */
  readonly minP?: number;
  /** Equal seeds draw equal texts; row `i` of a batch draws as a single text does with `seed + i`. Default: a random one. */
  readonly seed?: number;
  /** Logits of tokens that occurred are divided (positive) or multiplied (negative) by this. Default 1. */
  readonly repetitionPenalty?: number;
  /** No run of this many tokens occurs twice; 0 is off. Default 0. */
  readonly noRepeatNgramSize?: number;
  /** Logits of the prompt's tokens are multiplied (positive) or divided (negative) by this: above 1 favours them. Default 1. */
  readonly encoderRepetitionPenalty?: number;
  /** No run of this many tokens of the prompt is repeated; 0 is off. Default 0. */
  readonly encoderNoRepeatNgramSize?: number;
  /** Sequences of tokens that never occur. Default none. */
  readonly badWordsIds?: readonly (readonly number[])[];
  /** Tokens that never occur. Default none. */
  readonly suppressTokens?: readonly number[];
  /** Tokens that never come first. Default none. */
  readonly beginSuppressTokens?: readonly number[];
  /** Token that comes after a prompt of one token, or first in an encoder-decoder's target. Default none. */
  readonly forcedBosTokenId?: number;
  /** Tokens one of which comes last when the length is reached. Default none. */
  readonly forcedEosTokenId?: number | readonly number[];
  /** Tokens that end a text. Default: the configuration's; an empty list for none. */
  readonly eosTokenId?: number | readonly number[];
  /** Token that an encoder-decoder's target starts with, or one for each prompt. Default: the configuration's. */
  readonly decoderStartTokenId?: number | readonly number[];
  /** Completions of each prompt: drawn with different numbers, or the best of beam search. Default 1. */
  readonly numReturnSequences?: number;
  /** Texts that beam search follows at the same time; 1 is no beam search, as tokens that are drawn have it. Default 1. */
  readonly numBeams?: number;
  /** Exponent of the length that a beam's log-probability is divided by: above 0 long texts gain. Default 1. */
  readonly lengthPenalty?: number;
  /**
   * When beam search ends: with as many finished texts as beams (true), when a better one is unlikely (false), or only when it is
   * impossible (`"never"`). Default false.
   */
  readonly earlyStopping?: boolean | "never";
  /**
   * Log-probabilities of the generated tokens, and of this many most probable ones in their places; true is 0 of them. They are the
   * model's own: those before any option changed them. Default false.
   */
  readonly logprobs?: boolean | number;
  /** Normalize the scores again after they were changed; of effect in beam search. Default false. */
  readonly renormalizeLogits?: boolean;
  /**
   * What happens when a text reaches the model's context length: it ends (`"stop"`; a longer prompt is an error), or it goes on
   * with its last three quarters read anew (`"slide"`). Default `"stop"`.
   */
  readonly overflow?: "stop" | "slide";
  /** Further changes of the logits, after those of the options above and before the temperature. Default none. */
  readonly logitsProcessors?: readonly LogitsProcessor[];
}

/** Options with every default filled in. */
export interface GenerationSettings {
  readonly maxNewTokens: number | undefined;
  readonly maxLength: number | undefined;
  readonly minNewTokens: number;
  readonly minLength: number;
  /** Drawn at random, with what shapes the distribution; undefined takes the most probable token. */
  readonly sampling:
    | {
        readonly temperature: number;
        readonly topK: number;
        readonly topP: number;
        readonly minP: number;
        readonly seed: number;
      }
    | undefined;
  readonly repetitionPenalty: number;
  readonly encoderRepetitionPenalty: number;
  readonly noRepeatNgramSize: number;
  readonly encoderNoRepeatNgramSize: number;
  readonly badWordsIds: readonly (readonly number[])[];
  readonly suppressTokens: readonly number[];
  readonly beginSuppressTokens: readonly number[];
  readonly forcedBosTokenId: number | undefined;
  readonly forcedEosTokenId: readonly number[];
  readonly eosTokenId: readonly number[];
  readonly decoderStart: readonly number[];
  readonly numReturnSequences: number;
  /** How many of the most probable tokens are named with each; undefined: no log-probabilities. */
  readonly logprobs: number | undefined;
  /** Undefined: no beam search. */
  readonly beams: BeamSettings | undefined;
  readonly renormalizeLogits: boolean;
  readonly overflow: "stop" | "slide";
  readonly logitsProcessors: readonly LogitsProcessor[];
}

const list = (ids: number | readonly number[] | undefined): readonly number[] =>
  ids === undefined ? [] : typeof ids === "number" ? [ids] : ids;

/** The options that shape what is drawn, of those that are given. */
const shapingOf = (options: GenerationOptions) =>
  (["temperature", "topK", "topP", "minP"] as const).filter((name) => options[name] !== undefined);

/** How tokens are chosen: whether they are drawn, at which temperature, and by how many beams they are searched for. */
export function tokenChoice(
  config: GenerationConfig,
  options: GenerationOptions,
): { readonly temperature: number; readonly numBeams: number; readonly sampling: boolean } {
  const temperature = options.temperature ?? config.temperature ?? 1;
  // What the call asks for, drawing or beams, goes before the other in the configuration.
  const draws = options.doSample ?? (shapingOf(options).length > 0 ? true : undefined);
  const numBeams = options.numBeams ?? (draws && temperature > 0 ? 1 : (config.num_beams ?? 1));
  const doSample = draws ?? ((options.numBeams ?? 1) === 1 && (config.do_sample ?? false));
  return { temperature, numBeams, sampling: doSample && temperature > 0 };
}

/**
 * Options over a configuration over the defaults.
 *
 * @param vocabSize token ids in the options must be below it
 * @throws TesseraError `argument` naming an unknown option or a value outside its range, `unsupported` for what is not there yet
 */
export function resolveOptions(
  config: GenerationConfig,
  options: GenerationOptions,
  vocabSize: number,
): GenerationSettings {
  for (const [name, value] of Object.entries(options)) checkOption(name, value, vocabSize);
  for (const [name, off] of Object.entries(unsupported)) {
    const value = config[name as keyof GenerationConfig];
    if (value !== undefined && value !== off)
      throw new TesseraError(
        "unsupported",
        `generate: ${name} ${value} of the generation configuration is not supported (${off} expected)`,
      );
  }
  const shaping = shapingOf(options);
  if (options.doSample === false && shaping.some((name) => name !== "temperature" || options.temperature !== 0))
    throw new TesseraError(
      "argument",
      `generate: ${shaping.join(", ")} shapes what is drawn, and doSample is false. Leave one of them out`,
    );
  const { temperature, numBeams, sampling } = tokenChoice(config, options);
  const logprobs = options.logprobs === false ? undefined : options.logprobs === true ? 0 : options.logprobs;
  const numReturnSequences = options.numReturnSequences ?? config.num_return_sequences ?? 1;
  if (numBeams > 1 && sampling)
    throw new TesseraError(
      "unsupported",
      `generate: beam search does not draw tokens, numBeams is ${numBeams} beside doSample. Set one of them only`,
    );
  if (numBeams > 1 && numReturnSequences > numBeams)
    throw new TesseraError(
      "argument",
      `generate: beam search finds as many texts as beams, numReturnSequences is above numBeams (${numReturnSequences} vs ${numBeams})`,
    );
  if (numBeams === 1 && numReturnSequences > 1 && !sampling)
    throw new TesseraError(
      "argument",
      `generate: ${numReturnSequences} completions of the most probable tokens would be the same one. Set doSample or numBeams`,
    );
  const forBeams = (["lengthPenalty", "earlyStopping"] as const).filter((name) => options[name] !== undefined);
  if (numBeams === 1 && forBeams.length > 0)
    throw new TesseraError("argument", `generate: ${forBeams.join(", ")} shapes beam search, and numBeams is 1`);

  // Of each pair the first goes before the second, wherever it is set.
  const maxNewTokens = options.maxNewTokens ?? (options.maxLength === undefined ? config.max_new_tokens : undefined);
  const minNewTokens = options.minNewTokens ?? (options.minLength === undefined ? config.min_new_tokens : undefined);
  for (const [least, most] of [
    ["minNewTokens", "maxNewTokens"],
    ["minLength", "maxLength"],
  ] as const)
    if ((options[least] ?? 0) > (options[most] ?? Number.POSITIVE_INFINITY))
      throw new TesseraError("argument", `generate: ${least} is above ${most}, ${options[least]} vs ${options[most]}`);
  return {
    maxNewTokens,
    maxLength: options.maxLength ?? config.max_length,
    minNewTokens: minNewTokens ?? 0,
    minLength: minNewTokens === undefined ? (options.minLength ?? config.min_length ?? 0) : 0,
    sampling: sampling
      ? {
          temperature,
          topK: options.topK ?? config.top_k ?? 0,
          topP: options.topP ?? config.top_p ?? 1,
          minP: options.minP ?? config.min_p ?? 0,
          seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
        }
      : undefined,
    repetitionPenalty: options.repetitionPenalty ?? config.repetition_penalty ?? 1,
    encoderRepetitionPenalty: options.encoderRepetitionPenalty ?? config.encoder_repetition_penalty ?? 1,
    noRepeatNgramSize: options.noRepeatNgramSize ?? config.no_repeat_ngram_size ?? 0,
    encoderNoRepeatNgramSize: options.encoderNoRepeatNgramSize ?? config.encoder_no_repeat_ngram_size ?? 0,
    badWordsIds: options.badWordsIds ?? config.bad_words_ids ?? [],
    suppressTokens: options.suppressTokens ?? config.suppress_tokens ?? [],
    beginSuppressTokens: options.beginSuppressTokens ?? config.begin_suppress_tokens ?? [],
    forcedBosTokenId: options.forcedBosTokenId ?? config.forced_bos_token_id,
    forcedEosTokenId: list(options.forcedEosTokenId ?? config.forced_eos_token_id),
    eosTokenId: list(options.eosTokenId ?? config.eos_token_id),
    decoderStart: list(options.decoderStartTokenId ?? config.decoder_start_token_id),
    numReturnSequences,
    logprobs,
    beams:
      numBeams > 1
        ? {
            numBeams,
            lengthPenalty: options.lengthPenalty ?? config.length_penalty ?? 1,
            earlyStopping: options.earlyStopping ?? config.early_stopping ?? false,
            logprobs,
          }
        : undefined,
    renormalizeLogits: options.renormalizeLogits ?? config.renormalize_logits ?? false,
    overflow: options.overflow ?? "stop",
    logitsProcessors: options.logitsProcessors ?? [],
  };
}

/** Fields of the configuration that change the output and are not implemented, with the value that changes nothing. */
const unsupported = {
  num_beam_groups: 1,
  diversity_penalty: 0,
} as const satisfies Partial<Record<keyof GenerationConfig, number>>;

/** Whether a value is right for an option, and what is expected instead. */
interface Check {
  readonly expected: string;
  ok(value: unknown, vocabSize: number): boolean;
}

const whole = (least: number): Check => ({
  expected: `a whole number ≥ ${least}`,
  ok: (v) => Number.isSafeInteger(v) && (v as number) >= least,
});
const between = (low: number, high: number): Check => ({
  expected: `a number in ${low} … ${high}`,
  ok: (v) => typeof v === "number" && v >= low && v <= high,
});
const positive: Check = { expected: "a number above 0", ok: (v) => Number.isFinite(v) && (v as number) > 0 };
const oneOf = (...values: readonly unknown[]): Check => ({
  expected: values.map((v) => JSON.stringify(v)).join(" or "),
  ok: (v) => values.includes(v),
});
const isId = (v: unknown, vocabSize: number) =>
  Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) < vocabSize;
const areIds = (v: unknown, vocabSize: number) => Array.isArray(v) && v.every((id) => isId(id, vocabSize));
const ids: Check = { expected: "token ids of the vocabulary", ok: areIds };
const idOrIds: Check = {
  expected: "a token id of the vocabulary, or a list",
  ok: (v, size) => isId(v, size) || areIds(v, size),
};

const checks: { readonly [K in keyof GenerationOptions]-?: Check } = {
  maxNewTokens: whole(1),
  maxLength: whole(1),
  minNewTokens: whole(0),
  minLength: whole(0),
  doSample: oneOf(true, false),
  temperature: { expected: "a number ≥ 0", ok: (v) => Number.isFinite(v) && (v as number) >= 0 },
  topK: whole(0),
  topP: between(0, 1),
  minP: between(0, 1),
  seed: { expected: "a whole number", ok: Number.isSafeInteger },
  repetitionPenalty: positive,
  encoderRepetitionPenalty: positive,
  noRepeatNgramSize: whole(0),
  encoderNoRepeatNgramSize: whole(0),
  badWordsIds: {
    expected: "lists of token ids of the vocabulary, none empty",
    ok: (v, size) => Array.isArray(v) && v.every((word) => areIds(word, size) && word.length > 0),
  },
  suppressTokens: ids,
  beginSuppressTokens: ids,
  forcedBosTokenId: { expected: "a token id of the vocabulary", ok: isId },
  forcedEosTokenId: idOrIds,
  eosTokenId: idOrIds,
  decoderStartTokenId: idOrIds,
  logprobs: {
    expected: "true, false or a whole number of tokens of the vocabulary",
    ok: (v, size) => typeof v === "boolean" || (Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) <= size),
  },
  numReturnSequences: whole(1),
  numBeams: whole(1),
  lengthPenalty: { expected: "a number", ok: Number.isFinite },
  earlyStopping: oneOf(true, false, "never"),
  renormalizeLogits: oneOf(true, false),
  overflow: oneOf("stop", "slide"),
  logitsProcessors: {
    expected: "a list of functions",
    ok: (v) => Array.isArray(v) && v.every((f) => typeof f === "function"),
  },
};

function checkOption(name: string, value: unknown, vocabSize: number): void {
  if (!Object.hasOwn(checks, name))
    throw new TesseraError(
      "argument",
      `generate: there is no option ${name} (it has ${Object.keys(checks).join(", ")})`,
    );
  const check = checks[name as keyof GenerationOptions];
  if (value !== undefined && !check.ok(value, vocabSize))
    throw new TesseraError(
      "argument",
      `generate: ${name} must be ${check.expected}, got ${typeof value === "number" ? value : quote(value)}`,
    );
}
