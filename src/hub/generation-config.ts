import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { configReader, type FieldReader, type NumberField } from "../core/config-reader.js";
import { quote } from "../core/quote.js";
import { writeFileAtomic } from "./atomic-write.js";
import { formatConfigJson } from "./config-format.js";
import { readJsonObject } from "./json-file.js";

/**
 * How a model generates unless it is told otherwise: the fields of `generation_config.json`, under the names and with the meaning
 * that transformers gives them. An absent field leaves the decision to the caller.
 */
export interface GenerationConfig {
  /** Most tokens of prompt and completion together. */
  readonly max_length?: number;
  /** Most tokens of the completion; goes before `max_length`. */
  readonly max_new_tokens?: number;
  /** Least tokens of prompt and completion together. */
  readonly min_length?: number;
  /** Least tokens of the completion; goes before `min_length`. */
  readonly min_new_tokens?: number;
  /** Texts that end the completion. */
  readonly stop_strings?: string | readonly string[];
  /** Sample instead of taking the most probable token. */
  readonly do_sample?: boolean;
  /** Beams that are searched; 1 is no beam search. */
  readonly num_beams?: number;
  /**
   * When beam search ends: with as many finished candidates as beams (true), when a better one is unlikely (false), or only when it
   * is impossible (`"never"`).
   */
  readonly early_stopping?: boolean | "never";
  /** Exponent of the length that a beam's score is divided by. */
  readonly length_penalty?: number;
  /** Groups of diverse beam search. */
  readonly num_beam_groups?: number;
  /** What a token costs that another group of beams has chosen at the same place. */
  readonly diversity_penalty?: number;
  /** Completions for each prompt. */
  readonly num_return_sequences?: number;
  /** Divisor of the logits; 0 is greedy. */
  readonly temperature?: number;
  /** Sample from this many most probable tokens; 0 is all. */
  readonly top_k?: number;
  /** Sample from the fewest most probable tokens whose probabilities add up to this. */
  readonly top_p?: number;
  /** Sample from tokens at least this probable, relative to the most probable one. */
  readonly min_p?: number;
  /** Logits of tokens that occurred are divided (positive) or multiplied (negative) by this; 1 is none. Keskar et al. 2019. */
  readonly repetition_penalty?: number;
  /** The inverse penalty of tokens that are not in the encoder's input; 1 is none. */
  readonly encoder_repetition_penalty?: number;
  /** No run of this many tokens occurs twice; 0 is off. */
  readonly no_repeat_ngram_size?: number;
  /** No run of this many tokens of the encoder's input is repeated; 0 is off. */
  readonly encoder_no_repeat_ngram_size?: number;
  /** Sequences of tokens that never occur. */
  readonly bad_words_ids?: readonly (readonly number[])[];
  /** Tokens that never occur. */
  readonly suppress_tokens?: readonly number[];
  /** Tokens that never come first. */
  readonly begin_suppress_tokens?: readonly number[];
  /** Normalize the scores again after they were changed. */
  readonly renormalize_logits?: boolean;
  /** Token that comes first after the decoder's start. */
  readonly forced_bos_token_id?: number;
  /** Token, or tokens, that come last when the length is reached. */
  readonly forced_eos_token_id?: number | readonly number[];
  /** Token that begins a sequence. */
  readonly bos_token_id?: number;
  /** Tokens that end a sequence. */
  readonly eos_token_id?: number | readonly number[];
  /** Token that fills up shorter sequences of a batch; −1 in the file is none. */
  readonly pad_token_id?: number;
  /** What an encoder-decoder's decoder begins with. */
  readonly decoder_start_token_id?: number | readonly number[];
}

/** A generation_config.json as it was read. */
export interface GenerationConfigFile {
  readonly config: GenerationConfig;
  /** Fields beyond {@link GenerationConfig}, to be written back. */
  readonly extra: Readonly<Record<string, unknown>>;
  /** One line that names the fields that would change the output and have no effect here. */
  readonly warning?: string;
}

type Key = keyof GenerationConfig;
const int = (min: number) => (c: FieldReader, key: Key) => c.int(key, { min });
const number = (bounds: NumberField<never>) => (c: FieldReader, key: Key) => c.number(key, bounds);
const bool = (c: FieldReader, key: Key) => c.bool(key);
const tokenIds = (c: FieldReader, key: Key) => c.tokenIds(key) ?? [];
const tokenList = (c: FieldReader, key: Key) => c.ints(key, { min: 0 });

const fields = {
  max_length: int(1),
  max_new_tokens: int(1),
  min_length: int(0),
  min_new_tokens: int(0),
  stop_strings: (c, key) => (Array.isArray(c.raw(key)) ? c.strings(key) : c.string(key)),
  do_sample: bool,
  num_beams: int(1),
  early_stopping: (c, key) => (c.raw(key) === "never" ? "never" : c.bool(key)),
  length_penalty: number({}),
  num_beam_groups: int(1),
  diversity_penalty: number({ min: 0 }),
  num_return_sequences: int(1),
  temperature: number({ min: 0 }),
  top_k: int(0),
  top_p: number({ min: 0, max: 1 }),
  min_p: number({ min: 0, max: 1 }),
  repetition_penalty: number({ above: 0 }),
  encoder_repetition_penalty: number({ above: 0 }),
  no_repeat_ngram_size: int(0),
  encoder_no_repeat_ngram_size: int(0),
  bad_words_ids: readBadWords,
  suppress_tokens: tokenList,
  begin_suppress_tokens: tokenList,
  renormalize_logits: bool,
  forced_bos_token_id: int(0),
  forced_eos_token_id: tokenIds,
  bos_token_id: int(0),
  eos_token_id: tokenIds,
  pad_token_id: int(0),
  decoder_start_token_id: tokenIds,
} satisfies { [K in Key]-?: (c: FieldReader, key: Key) => NonNullable<GenerationConfig[K]> };

/** Settings that the library does not have, each with the values that mean "off". All others that are unknown change nothing. */
const inert: Readonly<Record<string, readonly unknown[]>> = {
  typical_p: [1],
  top_h: [],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  penalty_alpha: [0],
  guidance_scale: [1],
  dola_layers: [],
  sequence_bias: [],
  constraints: [],
  force_words_ids: [],
  exponential_decay_length_penalty: [],
  watermarking_config: [],
  token_healing: [false],
  remove_invalid_values: [false],
  max_time: [],
  use_mtp: [false],
  prompt_lookup_num_tokens: [],
  assistant_early_exit: [],
};

/**
 * The settings in the object of a generation_config.json. Null counts as absent.
 *
 * @param where how messages name it: the file's path
 * @throws TesseraError `config` naming every field with a value that makes no sense
 */
export function parseGenerationConfig(raw: Readonly<Record<string, unknown>>, where: string): GenerationConfigFile {
  const reader = configReader(raw, where);
  const config: Record<string, unknown> = {};
  const isNone = (key: string) => key === "pad_token_id" && raw[key] === -1; // as LLaMA's first checkpoints have it
  for (const key of Object.keys(fields) as Key[])
    if (reader.has(key) && !isNone(key)) config[key] = fields[key](reader, key);
  reader.done();
  const extra = Object.fromEntries(Object.entries(raw).filter(([key]) => !Object.hasOwn(fields, key) || isNone(key)));
  const active = Object.entries(extra).filter(
    ([key, value]) => value !== null && Object.hasOwn(inert, key) && !inert[key]!.includes(value),
  );
  if (active.length === 0) return { config, extra };
  const list = active.map(([key, value]) => `${key} ${quote(value)}`).join(", ");
  return { config, extra, warning: `${where}: settings that are not supported have no effect, ${list}` };
}

/**
 * Reads `generation_config.json` of a model folder; without one, nothing is set.
 *
 * @throws TesseraError `io` or `config`, as {@link parseGenerationConfig}
 */
export function readGenerationConfig(folder: string): GenerationConfigFile {
  const path = join(folder, "generation_config.json");
  if (!existsSync(path)) return { config: {}, extra: {} };
  return parseGenerationConfig(readJsonObject(path, { maxBytes: 2 ** 24 }), path);
}

/**
 * Writes `generation_config.json` of a model folder, atomically and in transformers' form. Without any setting there is no such file
 * afterwards: an empty one would tell transformers that no token ends a text, whatever config.json says.
 *
 * @param extra further fields, such as those of {@link GenerationConfigFile.extra}; default none
 * @throws TesseraError `io` when it cannot be written
 */
export function writeGenerationConfig(
  folder: string,
  config: GenerationConfig,
  extra: Readonly<Record<string, unknown>> = {},
): void {
  const path = join(folder, "generation_config.json");
  const settings = { ...extra, ...config };
  if (Object.keys(settings).length === 0) rmSync(path, { force: true });
  else writeFileAtomic(path, formatConfigJson(settings));
}

function readBadWords(c: FieldReader, key: Key): readonly (readonly number[])[] {
  const value = c.raw(key);
  const isIds = (item: unknown) =>
    Array.isArray(item) && item.length > 0 && item.every((id) => Number.isSafeInteger(id) && id >= 0);
  if (Array.isArray(value) && value.every(isIds)) return value;
  c.problem(`${key} must be a list of lists of token ids, got ${quote(value)}`);
  return [];
}
