import { TesseraError } from "./errors.js";
import { quote } from "./quote.js";

/** Bounds of a number, and what stands for an absent one. JSON's null counts as absent. */
export interface NumberField<D> {
  /** Least value allowed. */
  readonly min?: number;
  /** Greatest value allowed. */
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  /** Value when the field is absent; without one the field is required. */
  readonly default?: D;
}

/** What stands for an absent field; without one the field is required. */
export interface Field<D> {
  readonly default?: D;
}

/**
 * Reads the fields of an object of a model's `config.json` one by one, strictly. A wrong field does not stop it: the problem is
 * noted, some value of the right type is returned, and {@link ConfigReader.done} reports all problems at once.
 */
export interface FieldReader {
  /** A whole number. */
  int<D extends number | null = never>(key: string, field?: NumberField<D>): number | NoInfer<D>;
  /** A finite number. */
  number<D extends number | null = never>(key: string, field?: NumberField<D>): number | NoInfer<D>;
  /** True or false. */
  bool<D extends boolean | null = never>(key: string, field?: Field<D>): boolean | NoInfer<D>;
  /** Text. */
  string<D extends string | null = never>(key: string, field?: Field<D>): string | NoInfer<D>;
  /** One of a few texts; any other is unsupported. */
  oneOf<const T extends string, D extends T | null = never>(
    key: string,
    allowed: readonly T[],
    field?: Field<D>,
  ): T | NoInfer<D>;
  /** A list of whole numbers. */
  ints<D extends readonly number[] | null = never>(key: string, field?: NumberField<D>): readonly number[] | NoInfer<D>;
  /** A list of finite numbers. */
  numbers<D extends readonly number[] | null = never>(
    key: string,
    field?: NumberField<D>,
  ): readonly number[] | NoInfer<D>;
  /** A list of texts, out of a few when `allowed` is given. */
  strings<D extends readonly string[] | null = never>(
    key: string,
    field?: Field<D> & { readonly allowed?: readonly string[] },
  ): readonly string[] | NoInfer<D>;
  /** Token ids: one, several, or null for none. Always optional. */
  tokenIds(key: string): number | readonly number[] | null;
  /** A reader of a nested object, whose problems and unknown keys are reported with this one's. */
  object<D extends null = never>(key: string, field?: Field<D>): FieldReader | NoInfer<D>;
  /** The value as it is, undefined when absent: for fields of a form of their own. Say what is wrong with {@link problem}. */
  raw(key: string): unknown;
  /** Whether the field is there and not null. */
  has(key: string): boolean;
  /** A field whose other values are not supported: it must be absent, null or one of `values`. */
  expect(key: string, ...values: readonly unknown[]): void;
  /** Fields that change nothing here: they are not reported as unknown. */
  ignore(...keys: readonly string[]): void;
  /** Notes a problem where a size is no multiple of the number of its parts, such as heads. `values` holds both under their keys. */
  divides<A extends string, B extends string>(values: Readonly<Record<A | B, number>>, size: A, parts: B): void;
  /** Notes a problem of your own, such as sizes that do not divide; `kind` decides the code of the error. */
  problem(what: string, kind?: "config" | "unsupported"): void;
}

/** The reader of a whole configuration. */
export interface ConfigReader extends FieldReader {
  /**
   * To be called when all fields are read.
   *
   * @returns one line that lists the keys nobody asked for, or undefined
   * @throws TesseraError with all problems in one line: `unsupported` when these are all that is wrong, else `config`
   */
  done(): string | undefined;
}

/**
 * Fields of every config.json that do not change what a model computes: bookkeeping, training-time initialization, tokens and
 * generation settings (which generation_config.json holds), and outputs that are asked for elsewhere.
 */
const harmless = new Set(
  `id2label label2id num_labels problem_type architectures model_type transformers_version dtype torch_dtype use_cache _name_or_path _commit_hash name_or_path
   finetuning_task task_specific_params tokenizer_class prefix
   initializer_range initializer_factor init_std gradient_checkpointing torchscript use_bfloat16 chunk_size_feed_forward
   output_attentions output_hidden_states output_past return_dict return_dict_in_generate output_scores
   bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
   max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p
   repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences
   remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens`.split(/\s+/),
);

/**
 * A reader of the fields of `raw`.
 *
 * @param raw the object of a config.json
 * @param where how messages name it: the file's path
 * @example
 * const c = configReader(raw, path);
 * const config = {
 *   n_embd: c.int("n_embd", { min: 1 }),
 *   n_inner: c.int("n_inner", { min: 1, default: null }),
 *   activation_function: c.oneOf("activation_function", ["gelu_new", "relu"], { default: "gelu_new" }),
 * };
 * c.expect("scale_attn_weights", true);
 * const warning = c.done();
 */
export function configReader(raw: Readonly<Record<string, unknown>>, where: string): ConfigReader {
  const problems: Problem[] = [];
  const unknown: (() => string[])[] = [];
  const reader = readerOf(raw, "", problems, unknown);
  reader.expect("quantization_config");
  reader.expect("pruned_heads", {});
  reader.ignore(...harmless);
  return {
    ...reader,
    done() {
      if (problems.length > 0) {
        const code = problems.every(({ kind }) => kind === "unsupported") ? "unsupported" : "config";
        const count = problems.length === 1 ? "" : `${problems.length} problems: `;
        throw new TesseraError(code, `${where}: ${count}${problems.map(({ what }) => what).join("; ")}`);
      }
      const keys = unknown.flatMap((list) => list());
      return keys.length === 0 ? undefined : `${where}: unknown keys are ignored, ${keys.join(", ")}`;
    },
  };
}

type Problem = { readonly what: string; readonly kind: "config" | "unsupported" };

/** The value when it is accepted, or what it should have been. */
type Check<T> = (value: unknown) => { readonly value: T } | { readonly must: string; readonly kind?: Problem["kind"] };

function readerOf(
  raw: Readonly<Record<string, unknown>>,
  prefix: string,
  problems: Problem[],
  unknown: (() => string[])[],
): FieldReader {
  const read = new Set<string>();
  unknown.push(() =>
    Object.keys(raw)
      .filter((key) => !read.has(key))
      .map((key) => prefix + key),
  );
  const problem = (what: string, kind: Problem["kind"] = "config") => {
    problems.push({ what: prefix + what, kind });
  };
  const raws = (key: string): unknown => {
    read.add(key);
    return Object.hasOwn(raw, key) ? raw[key] : undefined;
  };

  /** The one way every field goes: absent, right, or noted as wrong and replaced by `filler`. */
  const take = <T, D>(key: string, field: Field<D>, filler: T, check: Check<T>): T | D => {
    const value = raws(key);
    if (value === undefined || value === null) {
      if (field.default !== undefined) return field.default;
      problem(`${key} is missing`);
      return filler;
    }
    const result = check(value);
    if ("value" in result) return result.value;
    problem(`${key} must be ${result.must}, got ${quote(value)}`, result.kind);
    return filler;
  };

  return {
    int: (key, field = {}) => take(key, field, field.min ?? 1, numberCheck(field, true)),
    number: (key, field = {}) => take(key, field, field.min ?? 1, numberCheck(field, false)),
    bool: (key, field = {}) => take(key, field, false, boolCheck),
    string: (key, field = {}) => take(key, field, "", stringCheck()),
    oneOf: (key, allowed, field = {}) => take(key, field, allowed[0]!, stringCheck(allowed)),
    ints: (key, field = {}) => take(key, field, [], listCheck(numberCheck(field, true))),
    numbers: (key, field = {}) => take(key, field, [], listCheck(numberCheck(field, false))),
    strings: (key, field = {}) => take(key, field, [], listCheck(stringCheck(field.allowed))),
    tokenIds: (key) => take(key, { default: null }, null, tokenIdsCheck),
    object: (key, field = {}) => {
      const nested = take(key, field, undefined, objectCheck);
      if (nested === null) return nested;
      // A missing object is one problem, not one for each of its fields.
      const sink = nested === undefined ? [] : problems;
      return readerOf(nested ?? {}, `${prefix}${key}.`, sink, unknown);
    },
    raw: raws,
    has: (key) => Object.hasOwn(raw, key) && raw[key] !== null && raw[key] !== undefined,
    expect(key, ...values) {
      const value = raws(key);
      if (value === undefined || value === null || values.some((v) => JSON.stringify(v) === JSON.stringify(value)))
        return;
      const others = values.length === 0 ? "" : ` (only ${values.map((v) => quote(v)).join(", ")})`;
      problem(`${key} ${quote(value)} is not supported${others}`, "unsupported");
    },
    ignore(...keys) {
      for (const key of keys) read.add(key);
    },
    divides(values, size, parts) {
      if (values[size] % values[parts] !== 0)
        problem(`${size} ${values[size]} does not divide into ${parts} ${values[parts]}`);
    },
    problem,
  };
}

function numberCheck({ min, max, above }: NumberField<unknown>, whole: boolean): Check<number> {
  const bounds = [
    ...(min === undefined ? [] : [`≥ ${min}`]),
    ...(above === undefined ? [] : [`> ${above}`]),
    ...(max === undefined ? [] : [`≤ ${max}`]),
  ];
  const must = `a ${whole ? "whole " : ""}number${bounds.length > 0 ? ` ${bounds.join(" and ")}` : ""}`;
  return (value) => {
    if (typeof value !== "number" || !(whole ? Number.isSafeInteger(value) : Number.isFinite(value))) return { must };
    return value < (min ?? value) || value > (max ?? value) || value <= (above ?? -Infinity) ? { must } : { value };
  };
}

const boolCheck: Check<boolean> = (value) => (typeof value === "boolean" ? { value } : { must: "true or false" });

function stringCheck<T extends string>(allowed?: readonly T[]): Check<T> {
  return (value) => {
    if (typeof value === "string" && (!allowed || allowed.includes(value as T))) return { value: value as T };
    if (!allowed) return { must: "text" };
    return { must: `one of ${allowed.join(", ")}`, kind: typeof value === "string" ? "unsupported" : "config" };
  };
}

function listCheck<T>(check: Check<T>): Check<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return { must: "a list" };
    for (const item of value) {
      const result = check(item);
      if (!("value" in result)) return { ...result, must: `a list, each item ${result.must}` };
    }
    return { value };
  };
}

const idCheck = numberCheck({ min: 0 }, true);
const idListCheck = listCheck(idCheck);

const tokenIdsCheck: Check<number | readonly number[]> = (value) => {
  const result = Array.isArray(value) ? idListCheck(value) : idCheck(value);
  return "value" in result ? result : { must: "a token id or a list of them" };
};

const objectCheck: Check<Readonly<Record<string, unknown>>> = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? { value: value as Readonly<Record<string, unknown>> }
    : { must: "an object" };
