import { TesseraError } from "../core/errors.js";
import { sectionsOf } from "./added-tokens.js";
import { wellFormed } from "./byte-level.js";
import { addedSpecialTokens, configOf, type SpecialTokenNames } from "./special-tokens.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/** What a vocabulary of characters is to look like. */
export interface CharacterTokenizerOptions {
  /**
   * Special tokens by role; they take the first ids. `unk` stands for characters outside the vocabulary; without it
   * encoding such a character throws. Default `{ bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<unk>" }`.
   */
  readonly specialTokens?: SpecialTokenNames;
  /** How often a character has to occur to get a token. Default 1. */
  readonly minFrequency?: number;
  /** Tokens in all, special ones included; the most frequent characters are kept. Default: no limit. */
  readonly maxVocab?: number;
  /** The Unicode normal form texts are brought into first. Default: none. */
  readonly normalizer?: "NFC" | "NFD" | "NFKC" | "NFKD";
}

/**
 * Makes a tokenizer whose tokens are the characters of a corpus: one Unicode code point, one token, in the order of the
 * code points. Its tokenizer.json is a word-level model behind a split at every character, which any reader of the
 * format can load.
 *
 * @param texts the corpus
 * @returns the tokenizer; its `json` and `config` are what to save
 * @throws TesseraError `data` for a corpus without any text, `argument` for limits that make no sense
 * @example
 * const tokenizer = trainCharacterTokenizer(["床前明月光"], { specialTokens: {} });
 * tokenizer.vocabSize; // 5
 */
export function trainCharacterTokenizer(
  texts: Iterable<string>,
  options: CharacterTokenizerOptions = {},
): LoadedTokenizer {
  const { minFrequency = 1, maxVocab = Number.MAX_SAFE_INTEGER, normalizer } = options;
  const specialTokens = options.specialTokens ?? { bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<unk>" };
  const special = addedSpecialTokens(specialTokens);
  if (!Number.isSafeInteger(minFrequency) || minFrequency < 1) {
    throw new TesseraError(
      "argument",
      `trainCharacterTokenizer: minFrequency must be a whole number above 0, got ${minFrequency}`,
    );
  }
  if (!Number.isSafeInteger(maxVocab) || maxVocab <= special.length) {
    throw new TesseraError(
      "argument",
      `trainCharacterTokenizer: maxVocab leaves no room for characters, ${maxVocab} with ${special.length} special tokens`,
    );
  }
  const counts = countCharacters(texts, special, (text) =>
    normalizer === undefined ? text : text.normalize(normalizer),
  );
  const kept = [...counts]
    .filter(([, count]) => count >= minFrequency)
    .sort(([a, m], [b, n]) => n - m || byCodePoint(a, b))
    .slice(0, maxVocab - special.length)
    .map(([char]) => char)
    .sort(byCodePoint);
  if (kept.length === 0) {
    throw new TesseraError(
      "data",
      `trainCharacterTokenizer: no character occurs often enough, ${counts.size} different ones and minFrequency ${minFrequency}`,
    );
  }
  const tokens = [...special.map(({ content }) => content), ...kept];
  const json: TokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: normalizer === undefined ? null : { type: normalizer },
    pre_tokenizer: { type: "Split", pattern: { Regex: "[\\s\\S]" }, behavior: "Isolated", invert: false },
    post_processor: null,
    decoder: { type: "Fuse" },
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      unk_token: specialTokens.unk ?? "<unk>", // the format wants a name even where there is no such token
    },
  };
  return tokenizerFromJson(json, configOf(specialTokens));
}

function byCodePoint(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}

function countCharacters(
  texts: Iterable<string>,
  special: TokenizerJson["added_tokens"],
  normalize: (text: string) => string,
): Map<string, number> {
  const sections = sectionsOf(special, normalize);
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const section of sections(wellFormed(text))) {
      if (section.id !== undefined) continue;
      for (const char of section.text) counts.set(char, (counts.get(char) ?? 0) + 1);
    }
  }
  if (counts.size === 0) throw new TesseraError("data", "trainCharacterTokenizer: the corpus is empty, 0 characters");
  return counts;
}
