import { TesseraError } from "../core/errors.js";
import { addedSpecialTokens, configOf } from "./special-tokens.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import { countWords } from "./word-counts.js";

/** What a vocabulary of words is to look like. */
export interface WordOptions {
  /** Tokens in all: special tokens and the most frequent words. A small corpus may yield fewer. */
  readonly vocabSize: number;
  /** How often a word has to occur to get a token. Default 1. */
  readonly minFrequency?: number;
  /** Special tokens without a role, after the others. Default: none. */
  readonly extraTokens?: readonly string[];
}

const roles = { eos: "</s>", unk: "<unk>", pad: "<pad>" } as const;

/**
 * Makes a tokenizer whose tokens are the most frequent words of a corpus, cut at white space and around punctuation, as the models
 * before subwords had them. `</s>`, `<unk>`, `<pad>` have the ids 0 to 2; of equally frequent words the one that occurs first comes first.
 *
 * @param texts the corpus; words do not reach across the end of a text
 * @returns the tokenizer; its `json` and `config` are what to save
 * @throws TesseraError `argument` for a vocabulary without room for a word, `data` for a corpus without any text
 * @example
 * const tokenizer = trainWordTokenizer([corpus], { vocabSize: 10_000 });
 */
export function trainWordTokenizer(texts: Iterable<string>, options: WordOptions): LoadedTokenizer {
  const { vocabSize, minFrequency = 1, extraTokens = [] } = options;
  const added_tokens = addedSpecialTokens({ ...roles, additional: extraTokens });
  if (!Number.isSafeInteger(vocabSize) || vocabSize <= added_tokens.length)
    throw new TesseraError(
      "argument",
      `trainWordTokenizer: vocabSize leaves no room for words, ${vocabSize} with ${added_tokens.length} special tokens`,
    );
  const parts = { added_tokens, normalizer: null, pre_tokenizer: { type: "BertPreTokenizer" } };
  const special = added_tokens.map(({ content }) => content);
  const words = [...countWords(texts, parts, "trainWordTokenizer")]
    .filter(([word, count]) => count >= minFrequency && !special.includes(word))
    .sort(([, a], [, b]) => b - a)
    .slice(0, vocabSize - special.length)
    .map(([word]) => word);
  const vocab = Object.fromEntries([...special, ...words].map((token, id) => [token, id]));
  return tokenizerFromJson(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      ...parts,
      post_processor: null,
      decoder: null,
      model: { type: "WordLevel", vocab, unk_token: roles.unk },
    },
    configOf({ ...roles, ...(extraTokens.length > 0 ? { additional: extraTokens } : {}) }),
  );
}
