import { TesseraError } from "../core/errors.js";
import { byteAlphabet, toByteAlphabet } from "./byte-level.js";
import { learnMerges } from "./learn-merges.js";
import { addedSpecialTokens, configOf, type SpecialTokenNames } from "./special-tokens.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import type { TokenizerConfig, TokenizerJson } from "./tokenizer-json.js";
import { countWords } from "./word-counts.js";

/** What a trained byte-level vocabulary is to look like. */
export interface ByteLevelBpeOptions {
  /** Tokens in all: special tokens, the 256 bytes, and one for each merge. A small corpus may yield fewer. */
  readonly vocabSize: number;
  /** How often a pair has to occur to be merged. Default 2. */
  readonly minFrequency?: number;
  /**
   * Special tokens by role; they take the first ids. Default `{ bos: "<|endoftext|>", eos: "<|endoftext|>" }`.
   * `"roberta"`: those of RoBERTa and BART, `<s>`, `<pad>`, `</s>`, `<unk>`, `<mask>`, with the ids 0 to 4; a text is then encoded
   * as `<s> text </s>`, a pair as `<s> text </s></s> pair </s>`.
   */
  readonly specialTokens?: SpecialTokenNames | "roberta";
  /** Special tokens without a role, after the others. Default: none. */
  readonly extraTokens?: readonly string[];
  /** Told now and then how many of at most how many merges are learnt. */
  readonly onProgress?: (merges: number, of: number) => void;
}

/**
 * Trains a byte-level BPE tokenizer (Sennrich et al. 2016, over bytes as in Radford et al. 2019): texts are cut into
 * words by GPT-2's pattern, words into bytes, and the most frequent adjacent pair is merged again and again. Equally
 * frequent pairs are taken in the order of their ids. The same texts and options give the same tokenizer, and the one
 * that Hugging Face's `BpeTrainer` gives.
 *
 * @param texts the corpus; words do not reach across the end of a text
 * @returns the tokenizer; its `json` and `config` are what to save
 * @throws TesseraError `argument` for a vocabulary that cannot hold the special tokens and all bytes, `data` for a corpus
 * without any text
 * @example
 * const tokenizer = trainByteLevelBpe([corpus], { vocabSize: 8192 });
 */
export function trainByteLevelBpe(texts: Iterable<string>, options: ByteLevelBpeOptions): LoadedTokenizer {
  const { vocabSize, minFrequency = 2, onProgress } = options;
  const { special, post_processor, config } = specialParts(options);
  const tokens = [...new Set([...special.map(({ content }) => content), ...[...byteAlphabet].sort()])];
  if (!Number.isSafeInteger(vocabSize) || vocabSize < tokens.length) {
    throw new TesseraError(
      "argument",
      `trainByteLevelBpe: vocabSize is too small, ${vocabSize} for ${special.length} special tokens and 256 bytes (at least ${tokens.length})`,
    );
  }
  if (!Number.isSafeInteger(minFrequency) || minFrequency < 1) {
    throw new TesseraError(
      "argument",
      `trainByteLevelBpe: minFrequency must be a whole number above 0, got ${minFrequency}`,
    );
  }
  const parts = {
    added_tokens: special,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  };
  const wordCounts = countWords(texts, parts, "trainByteLevelBpe");
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const utf8 = new TextEncoder();
  const merges = learnMerges({
    words: Array.from(wordCounts.keys(), (word) =>
      Array.from(toByteAlphabet(utf8.encode(word)), (char) => idOf.get(char)!),
    ),
    counts: [...wordCounts.values()],
    tokens,
    vocabSize,
    minFrequency,
    onProgress,
  });
  const json: TokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    ...parts,
    post_processor,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
  return tokenizerFromJson(json, config);
}

/** Special tokens, what sets them around a text, and tokenizer_config.json. */
function specialParts({ specialTokens, extraTokens = [] }: ByteLevelBpeOptions): {
  readonly special: TokenizerJson["added_tokens"];
  readonly post_processor: TokenizerJson["post_processor"];
  readonly config: TokenizerConfig;
} {
  if (specialTokens !== "roberta") {
    const names = specialTokens ?? { bos: "<|endoftext|>", eos: "<|endoftext|>" };
    const additional = [...(names.additional ?? []), ...extraTokens];
    const all = additional.length > 0 ? { ...names, additional } : names;
    return {
      special: addedSpecialTokens(all),
      post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
      config: configOf(all),
    };
  }
  const [bos, pad, eos, unk, mask] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] as const;
  const roles = { bos, eos, unk, sep: eos, pad, cls: bos, mask };
  return {
    // The mask takes the space before it, so that it stands where a word with its space would.
    special: addedSpecialTokens({ additional: [bos, pad, eos, unk, mask, ...extraTokens] }).map((token) =>
      token.content === mask ? { ...token, lstrip: true } : token,
    ),
    post_processor: {
      type: "RobertaProcessing",
      sep: [eos, 2],
      cls: [bos, 0],
      trim_offsets: true,
      add_prefix_space: true,
    },
    config: {
      ...configOf(extraTokens.length > 0 ? { ...roles, additional: extraTokens } : roles),
      add_prefix_space: false,
      tokenizer_class: "RobertaTokenizer",
    },
  };
}
