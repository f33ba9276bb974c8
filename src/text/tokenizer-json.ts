import { TesseraError } from "../core/errors.js";
import { type Component, isRecord, shown } from "./component.js";

/** A token that is found in the text itself, before anything else happens to it. */
export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  /** Whether it counts only where no word character touches it. */
  readonly single_word: boolean;
  /** Whether it takes the white space before it. */
  readonly lstrip: boolean;
  /** Whether it takes the white space behind it. */
  readonly rstrip: boolean;
  /** Whether it is looked for in the normalized text, rather than in the text as it came. */
  readonly normalized: boolean;
  /** Whether decoding can leave it out. */
  readonly special: boolean;
}

/** `model` of tokenizer.json. */
export type ModelJson =
  | {
      readonly type: "BPE";
      readonly dropout?: number | null;
      readonly unk_token?: string | null;
      readonly continuing_subword_prefix?: string | null;
      readonly end_of_word_suffix?: string | null;
      readonly fuse_unk?: boolean;
      readonly byte_fallback?: boolean;
      readonly ignore_merges?: boolean;
      readonly vocab: Readonly<Record<string, number>>;
      readonly merges: readonly (readonly [string, string])[];
    }
  | {
      readonly type: "WordPiece";
      readonly unk_token: string;
      readonly continuing_subword_prefix: string;
      readonly max_input_chars_per_word: number;
      readonly vocab: Readonly<Record<string, number>>;
    }
  | { readonly type: "WordLevel"; readonly vocab: Readonly<Record<string, number>>; readonly unk_token: string }
  | {
      readonly type: "Unigram";
      readonly unk_id?: number | null;
      readonly vocab: readonly (readonly [string, number])[];
      readonly byte_fallback?: boolean;
    };

/** A whole tokenizer.json, in the layout of Hugging Face's `tokenizers`. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: unknown;
  readonly padding: unknown;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: Component | null;
  readonly pre_tokenizer: Component | null;
  readonly post_processor: Component | null;
  readonly decoder: Component | null;
  readonly model: ModelJson;
}

/** The fields of tokenizer_config.json that this library reads; the others are kept as they are. */
export interface TokenizerConfig {
  readonly [field: string]: unknown;
}

const largestId = 2 ** 24 - 1; // vocabularies reach a few hundred thousand; a larger id is a fault, not a token

/**
 * Checks that a value has the shape of a tokenizer.json; whether its parts fit together shows when they are put together.
 *
 * @param where what messages call it, usually the path of the file
 * @throws TesseraError `tokenizer` naming the first field that is wrong
 */
export function parseTokenizerJson(value: unknown, where: string): TokenizerJson {
  if (!isRecord(value)) throw new TesseraError("tokenizer", `${where}: expected an object, got ${shown(value)}`);
  const model = parseModel(value.model, `${where}: model`);
  return {
    version: typeof value.version === "string" ? value.version : "1.0",
    truncation: value.truncation ?? null,
    padding: value.padding ?? null,
    added_tokens: parseAddedTokens(value.added_tokens ?? [], `${where}: added_tokens`),
    normalizer: parseComponent(value.normalizer, `${where}: normalizer`),
    pre_tokenizer: parseComponent(value.pre_tokenizer, `${where}: pre_tokenizer`),
    post_processor: parseComponent(value.post_processor, `${where}: post_processor`),
    decoder: parseComponent(value.decoder, `${where}: decoder`),
    model,
  };
}

/**
 * The text of a tokenizer.json, laid out as Hugging Face's `tokenizers` writes it: two spaces a level, the vocabulary in
 * the order of its ids.
 */
export function stringifyTokenizerJson(json: TokenizerJson): string {
  const { model } = json;
  if (model.type === "Unigram") return JSON.stringify(json, null, 2);
  // An object lists keys that look like numbers first whatever their order, so the vocabulary is written apart.
  const entries = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  const vocab = entries.map(([token, id]) => `      ${JSON.stringify(token)}: ${id}`).join(",\n");
  const hole = "\u0000vocab";
  return JSON.stringify({ ...json, model: { ...model, vocab: hole } }, null, 2).replace(JSON.stringify(hole), () =>
    entries.length === 0 ? "{}" : `{\n${vocab}\n    }`,
  );
}

/** The vocabulary of a tokenizer, both ways. */
export interface Vocabulary {
  /** The id of every token of the model. */
  readonly model: ReadonlyMap<string, number>;
  /** The id of a token, added tokens included. */
  idOf(token: string): number | undefined;
  /** The token of every id; undefined where an id is not used. */
  readonly tokens: readonly (string | undefined)[];
}

/**
 * Puts the tokens of the model and the added tokens together.
 *
 * @throws TesseraError `tokenizer` where two of them contradict each other
 */
export function vocabularyOf(json: TokenizerJson, where: string): Vocabulary {
  const at = `${where}: model.vocab`;
  const entries: [string, unknown][] =
    json.model.type === "Unigram"
      ? json.model.vocab.map(([token], id) => [token, id])
      : Object.entries<unknown>(json.model.vocab);
  const model = new Map<string, number>();
  const tokens: (string | undefined)[] = new Array(entries.length);
  for (const [token, id] of entries) {
    if (!isId(id)) fail(`${at}[${shown(token)}]`, `expected an id from 0 to ${largestId}, got ${shown(id)}`);
    const other = tokens[id];
    if (other !== undefined) fail(at, `${shown(other)} and ${shown(token)} have the same id, ${id}`);
    model.set(token, id);
    tokens[id] = token;
  }
  const added = new Map<string, number>();
  const idOf = (token: string) => added.get(token) ?? model.get(token);
  json.added_tokens.forEach(({ id, content }, i) => {
    const at = `${where}: added_tokens[${i}]`;
    const known = idOf(content) ?? id;
    if (known !== id) fail(at, `${shown(content)} has two ids (${id} and ${known})`);
    const other = tokens[id] ?? content;
    if (other !== content) fail(at, `${shown(content)} and ${shown(other)} have the same id, ${id}`);
    added.set(content, id);
    tokens[id] = content;
  });
  return { model, idOf, tokens };
}

function fail(where: string, what: string): never {
  throw new TesseraError("tokenizer", `${where}: ${what}`);
}

function parseComponent(value: unknown, where: string): Component | null {
  if (value === null || value === undefined) return null;
  if (!isRecord(value) || typeof value.type !== "string")
    fail(where, `expected null or an object with a "type", got ${shown(value)}`);
  return value as Component;
}

function parseModel(value: unknown, where: string): ModelJson {
  if (!isRecord(value)) fail(where, `expected an object, got ${shown(value)}`);
  const field = <T>(name: string, expected: string, is: (x: unknown) => x is T, fallback?: T): T => {
    const x = value[name];
    if (is(x)) return x;
    if (x === undefined && fallback !== undefined) return fallback;
    return fail(`${where}.${name}`, `expected ${expected}, got ${shown(x)}`);
  };
  const isString = (x: unknown) => typeof x === "string";
  const flag = (name: string) => field(name, "true or false", (x) => typeof x === "boolean", false);
  const text = (name: string) =>
    field(name, "a string or null", (x): x is string | null => x === null || isString(x), null);
  const type: unknown = value.type ?? inferModelType(value);
  switch (type) {
    case "BPE": {
      const dropout = field(
        "dropout",
        "a number or null",
        (x): x is number | null => x === null || typeof x === "number",
        null,
      );
      if (dropout)
        throw new TesseraError(
          "unsupported",
          `${where}.dropout: merges dropped at random (${dropout}) are not supported`,
        );
      return {
        type,
        dropout,
        unk_token: text("unk_token"),
        continuing_subword_prefix: text("continuing_subword_prefix"),
        end_of_word_suffix: text("end_of_word_suffix"),
        fuse_unk: flag("fuse_unk"),
        byte_fallback: flag("byte_fallback"),
        ignore_merges: flag("ignore_merges"),
        vocab: parseVocab(value.vocab, `${where}.vocab`),
        merges: parseMerges(value.merges, `${where}.merges`),
      };
    }
    case "WordPiece":
      return {
        type,
        unk_token: field("unk_token", "a string", isString, "[UNK]"),
        continuing_subword_prefix: field("continuing_subword_prefix", "a string", isString, "##"),
        max_input_chars_per_word: field(
          "max_input_chars_per_word",
          "a whole number",
          (x): x is number => Number.isSafeInteger(x),
          100,
        ),
        vocab: parseVocab(value.vocab, `${where}.vocab`),
      };
    case "WordLevel":
      return {
        type,
        vocab: parseVocab(value.vocab, `${where}.vocab`),
        unk_token: field("unk_token", "a string", isString, "<unk>"),
      };
    case "Unigram": {
      const vocab = parseScoredVocab(value.vocab, `${where}.vocab`);
      const unkId = value.unk_id ?? null;
      if (unkId !== null && (!Number.isSafeInteger(unkId) || vocab[unkId as number] === undefined)) {
        fail(`${where}.unk_id`, `expected an id below ${vocab.length} or null, got ${shown(unkId)}`);
      }
      return { type, unk_id: unkId as number | null, vocab, byte_fallback: flag("byte_fallback") };
    }
    default:
      throw new TesseraError(
        "unsupported",
        `${where}: type ${shown(type)} is not supported. Known: BPE, WordPiece, WordLevel, Unigram`,
      );
  }
}

/** Files from before 2021 do not name the type of their model. */
function inferModelType(model: Readonly<Record<string, unknown>>): ModelJson["type"] | undefined {
  if (Array.isArray(model.vocab)) return "Unigram";
  if (!isRecord(model.vocab)) return undefined;
  if (model.merges !== undefined) return "BPE";
  return model.continuing_subword_prefix !== undefined ? "WordPiece" : "WordLevel";
}

function parseVocab(value: unknown, where: string): Record<string, number> {
  if (!isRecord(value)) fail(where, `expected an object from tokens to ids, got ${shown(value)}`);
  return value as Record<string, number>; // vocabularyOf looks at the ids
}

function isId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= largestId;
}

function parseScoredVocab(value: unknown, where: string): [string, number][] {
  if (!Array.isArray(value) || value.length === 0)
    fail(where, `expected a list of tokens and scores, got ${shown(value)}`);
  value.forEach((entry, id) => {
    if (!Array.isArray(entry) || entry.length !== 2 || typeof entry[0] !== "string" || !Number.isFinite(entry[1])) {
      fail(`${where}[${id}]`, `expected [token, score], got ${shown(entry)}`);
    }
  });
  return value;
}

function parseMerges(value: unknown, where: string): [string, string][] {
  if (!Array.isArray(value)) fail(where, `expected a list of pairs, got ${shown(value)}`);
  return value.map((entry: unknown, i) => {
    const pair: unknown = typeof entry === "string" ? entry.split(" ") : entry;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string" || typeof pair[1] !== "string") {
      fail(`${where}[${i}]`, `expected two tokens, got ${shown(entry)}`);
    }
    return pair as [string, string];
  });
}

const addedTokenFlags = ["single_word", "lstrip", "rstrip", "normalized", "special"] as const;

function parseAddedTokens(value: unknown, where: string): AddedTokenJson[] {
  if (!Array.isArray(value)) fail(where, `expected a list, got ${shown(value)}`);
  return value.map((token: unknown, i) => {
    const at = `${where}[${i}]`;
    if (!isRecord(token)) fail(at, `expected an object, got ${shown(token)}`);
    const { id, content } = token;
    if (!isId(id)) fail(`${at}.id`, `expected an id from 0 to ${largestId}, got ${shown(id)}`);
    if (typeof content !== "string" || content === "") {
      fail(`${at}.content`, `expected a string that is not empty, got ${shown(content)}`);
    }
    const flags = addedTokenFlags.map((name) => {
      const flag = token[name] ?? (name === "normalized" ? token.special !== true : false);
      if (typeof flag !== "boolean") fail(`${at}.${name}`, `expected true or false, got ${shown(flag)}`);
      return [name, flag];
    });
    return { id, content, ...Object.fromEntries(flags) } as AddedTokenJson;
  });
}
