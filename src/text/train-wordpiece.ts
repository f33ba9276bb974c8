import { TesseraError } from "../core/errors.js";
import { learnMerges } from "./learn-merges.js";
import { addedSpecialTokens, configOf } from "./special-tokens.js";
import { templateProcessing } from "./template.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import { countWords, type WordParts } from "./word-counts.js";

/** What a trained WordPiece vocabulary is to look like. */
export interface WordPieceOptions {
  /** Tokens in all: special tokens, characters at the start of and inside words, merges. A small corpus may yield fewer. */
  readonly vocabSize: number;
  /** How often a pair has to occur to be merged. Default 2. */
  readonly minFrequency?: number;
  /** How many different characters get tokens, the most frequent ones; words with others are `[UNK]`. Default: all. */
  readonly limitAlphabet?: number;
  /** Whether texts are brought into lower case and lose their accents, as for BERT's uncased checkpoints. Default true. */
  readonly lowercase?: boolean;
  /** Special tokens without a role, after BERT's five. Default: none. */
  readonly extraTokens?: readonly string[];
  /** The `model_max_length` of tokenizer_config.json, in tokens. Default: not said. */
  readonly modelMaxLength?: number;
  /** Told now and then how many of at most how many tokens are learnt. */
  readonly onProgress?: (learnt: number, of: number) => void;
}

const prefix = "##";
const [pad, unk, cls, sep, mask] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/**
 * Trains a WordPiece tokenizer as BERT's (Devlin et al. 2018): words are cut at white space and punctuation, and a vocabulary
 * is grown from characters, written `##x` inside a word, by merging the most frequent adjacent pair, as Hugging Face's
 * `WordPieceTrainer` does. Equally frequent pairs are taken in the order of their ids; characters are numbered in the order of
 * their code points. `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` have the ids 0 to 4, and a text is encoded as `[CLS] text [SEP]`,
 * a pair as `[CLS] text [SEP] pair [SEP]` with the types 0 and 1.
 *
 * @param texts the corpus; words do not reach across the end of a text
 * @returns the tokenizer; its `json` and `config` are what to save
 * @throws TesseraError `argument` for a vocabulary that cannot hold the special tokens and all characters, `data` for a
 * corpus without any text
 * @example
 * const tokenizer = trainWordPiece([corpus], { vocabSize: 8192 });
 * tokenizer.encoding("a question", { pair: "an answer" }).typeIds;
 */
export function trainWordPiece(texts: Iterable<string>, options: WordPieceOptions): LoadedTokenizer {
  const { vocabSize, minFrequency = 2, limitAlphabet = Number.MAX_SAFE_INTEGER, lowercase = true } = options;
  const { extraTokens = [], modelMaxLength, onProgress } = options;
  for (const [name, value] of Object.entries({ vocabSize, minFrequency, limitAlphabet, modelMaxLength })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
      throw new TesseraError("argument", `trainWordPiece: ${name} must be a whole number above 0, got ${value}`);
  }
  const added_tokens = addedSpecialTokens({ additional: [pad, unk, cls, sep, mask, ...extraTokens] });
  const parts: WordParts = {
    added_tokens,
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
  };
  const wordCounts = countWords(texts, parts, "trainWordPiece");
  const alphabet = alphabetOf(wordCounts, limitAlphabet);
  const words = Array.from(wordCounts.keys(), (word) => spelled(word, alphabet));
  const inside = new Set(words.flatMap((chars) => chars.filter((char) => char.startsWith(prefix))));
  const special = added_tokens.map(({ content }) => content);
  const characters = [...alphabet].sort(byCodePoint);
  const tokens = [
    ...new Set([
      ...special,
      ...characters,
      ...characters.map((char) => prefix + char).filter((char) => inside.has(char)),
    ]),
  ];
  if (vocabSize < tokens.length) {
    throw new TesseraError(
      "argument",
      `trainWordPiece: vocabSize is too small, ${vocabSize} for ${special.length} special tokens, ${alphabet.size} characters ` +
        `and ${inside.size} of them inside words (at least ${tokens.length}). Raise it, or set limitAlphabet`,
    );
  }
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  learnMerges({
    words: words.map((chars) => chars.map((char) => idOf.get(char)!)),
    counts: [...wordCounts.values()],
    tokens,
    vocabSize,
    minFrequency,
    join: joinPieces,
    onProgress,
  });
  return tokenizerFromJson(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      ...parts,
      post_processor: templateProcessing(`${cls} $A ${sep}`, `${cls} $A ${sep} $B:1 ${sep}:1`, (token) =>
        idOf.get(token),
      ),
      decoder: { type: "WordPiece", prefix, cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: unk,
        continuing_subword_prefix: prefix,
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      },
    },
    {
      ...configOf({ unk, sep, pad, cls, mask, ...(extraTokens.length > 0 ? { additional: extraTokens } : {}) }),
      do_lower_case: lowercase,
      strip_accents: null,
      tokenize_chinese_chars: true,
      ...(modelMaxLength === undefined ? {} : { model_max_length: modelMaxLength }),
      tokenizer_class: "BertTokenizer",
    },
  );
}

/** How two neighbouring pieces of a word are written as one. */
export function joinPieces(left: string, right: string): string {
  return left + (right.startsWith(prefix) ? right.slice(prefix.length) : right);
}

/** A word as its characters, `##` before all but the first; those outside the alphabet are left out. */
export function spelled(word: string, alphabet: ReadonlySet<string>): string[] {
  return Array.from(word, (char, i) => (alphabet.has(char) ? (i === 0 ? char : prefix + char) : "")).filter(Boolean);
}

/** The most frequent characters; of equally frequent ones those with the smallest code points. */
function alphabetOf(wordCounts: ReadonlyMap<string, number>, limit: number): Set<string> {
  const counts = new Map<string, number>();
  for (const [word, count] of wordCounts) {
    for (const char of word) counts.set(char, (counts.get(char) ?? 0) + count);
  }
  const byFrequency = [...counts].sort(([a, m], [b, n]) => n - m || byCodePoint(a, b));
  return new Set(byFrequency.slice(0, limit).map(([char]) => char));
}

function byCodePoint(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}
