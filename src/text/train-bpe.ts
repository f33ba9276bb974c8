import { TesseraError } from "../core/errors.js";
import { sectionsOf } from "./added-tokens.js";
import { byteAlphabet, byteLevelPattern, toByteAlphabet, wellFormed } from "./byte-level.js";
import { addedSpecialTokens, configOf, type SpecialTokenNames } from "./special-tokens.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/** What a trained byte-level vocabulary is to look like. */
export interface ByteLevelBpeOptions {
  /** Tokens in all: special tokens, the 256 bytes, and one for each merge. A small corpus may yield fewer. */
  readonly vocabSize: number;
  /** How often a pair has to occur to be merged. Default 2. */
  readonly minFrequency?: number;
  /** Special tokens by role; they take the first ids. Default `{ bos: "<|endoftext|>", eos: "<|endoftext|>" }`. */
  readonly specialTokens?: SpecialTokenNames;
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
  const { vocabSize, minFrequency = 2, onProgress = () => {} } = options;
  const specialTokens = options.specialTokens ?? { bos: "<|endoftext|>", eos: "<|endoftext|>" };
  const special = addedSpecialTokens(specialTokens);
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
  const merges = learnMerges(countWords(texts, special), tokens, vocabSize, minFrequency, onProgress);
  const json: TokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
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
  return tokenizerFromJson(json, configOf(specialTokens));
}

/** How often each word occurs, in the order of first occurrence; words are written in the byte alphabet. */
function countWords(texts: Iterable<string>, special: TokenizerJson["added_tokens"]): Map<string, number> {
  const sections = sectionsOf(special, (text) => text);
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const section of sections(wellFormed(text))) {
      if (section.id !== undefined) continue;
      const pattern = byteLevelPattern();
      let start = 0;
      while (pattern.test(section.text)) {
        const word = section.text.slice(start, (start = pattern.lastIndex));
        const count = counts.get(word);
        // A new word is copied: cut out of the text, it would keep the text in memory.
        if (count === undefined) counts.set(` ${word}`.slice(1), 1);
        else counts.set(word, count + 1);
      }
    }
  }
  if (counts.size === 0) throw new TesseraError("data", "trainByteLevelBpe: the corpus is empty, 0 words");
  const utf8 = new TextEncoder();
  return new Map(Array.from(counts, ([word, count]) => [toByteAlphabet(utf8.encode(word)), count]));
}

/** A pair of adjacent symbols that waits to be merged, with its frequency and the words it occurs in. */
interface Candidate {
  readonly left: number;
  readonly right: number;
  count: number;
  readonly words: number[];
}

const idBound = 2 ** 24;

/**
 * Learns merges until `tokens`, which holds the characters at first and grows with each merge, has `vocabSize` entries.
 *
 * Only the words that hold a pair are touched when it is merged, and candidates wait in a heap under the frequency
 * they had when they went in: frequencies only fall after that, so one that comes up with an old frequency goes back in.
 */
function learnMerges(
  wordCounts: ReadonlyMap<string, number>,
  tokens: string[],
  vocabSize: number,
  minFrequency: number,
  onProgress: (merges: number, of: number) => void,
): [string, string][] {
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const words = Array.from(wordCounts.keys(), (word) => Array.from(word, (char) => idOf.get(char)!));
  const counts = [...wordCounts.values()];
  const pairCounts = new Map<number, number>();
  const heap: Candidate[] = [];
  let found = new Map<number, Candidate>(); // pairs that came up since the heap was last filled

  const change = (left: number, right: number, by: number, word: number) => {
    const key = left * idBound + right;
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + by);
    if (by < 0) return;
    const candidate = found.get(key);
    if (candidate === undefined) found.set(key, { left, right, count: 0, words: [word] });
    else if (candidate.words.at(-1) !== word) candidate.words.push(word);
  };
  const fillHeap = () => {
    for (const [key, candidate] of found) {
      candidate.count = pairCounts.get(key)!;
      if (candidate.count > 0) push(heap, candidate);
    }
    found = new Map();
  };

  words.forEach((word, w) => {
    for (let i = 0; i + 1 < word.length; i++) change(word[i]!, word[i + 1]!, counts[w]!, w);
  });
  fillHeap();

  const firstMerged = tokens.length;
  const merges = new Map<number, [string, string]>();
  while (tokens.length < vocabSize && heap.length > 0) {
    const best = heap[0]!;
    const { left, right } = best;
    const key = left * idBound + right;
    const count = pairCounts.get(key)!;
    if (best.count !== count) {
      best.count = count;
      sink(heap, best);
      continue;
    }
    if (count < minFrequency) break;
    pop(heap);
    const product = tokens[left]! + tokens[right]!;
    const known = idOf.get(product);
    const id = known ?? tokens.length;
    if (known === undefined) {
      idOf.set(product, id);
      tokens.push(product);
    }
    merges.delete(key); // a pair met again counts from its last place
    merges.set(key, [tokens[left]!, tokens[right]!]);
    for (const w of best.words)
      mergeInWord(words[w]!, left, right, id, (a, b, sign) => change(a, b, sign * counts[w]!, w));
    fillHeap();
    if (merges.size % 256 === 0) onProgress(tokens.length - firstMerged, vocabSize - firstMerged);
  }
  onProgress(tokens.length - firstMerged, vocabSize - firstMerged);
  return [...merges.values()];
}

/** Replaces every `left right` of a word by `id`, left to right, and reports which neighbours that parts and joins. */
function mergeInWord(
  word: number[],
  left: number,
  right: number,
  id: number,
  change: (a: number, b: number, sign: 1 | -1) => void,
): void {
  let kept = 0; // word[0, kept) is done
  for (let i = 0; i < word.length; i++) {
    if (word[i] !== left || word[i + 1] !== right) {
      word[kept++] = word[i]!;
      continue;
    }
    if (kept > 0) {
      change(word[kept - 1]!, left, -1);
      change(word[kept - 1]!, id, 1);
    }
    if (i + 2 < word.length) {
      change(right, word[i + 2]!, -1);
      change(id, word[i + 2]!, 1);
    }
    word[kept++] = id;
    i++;
  }
  word.length = kept;
}

/** Whether a candidate comes up before another: by frequency, then by ids. */
function before(a: Candidate, b: Candidate): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.left !== b.left ? a.left < b.left : a.right < b.right;
}

function push(heap: Candidate[], candidate: Candidate): void {
  let at = heap.length;
  heap.push(candidate);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(candidate, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = candidate;
}

function pop(heap: Candidate[]): void {
  const last = heap.pop()!;
  if (heap.length > 0) sink(heap, last);
}

/** Puts a candidate in the place of the first one, and then where it belongs. */
function sink(heap: Candidate[], candidate: Candidate): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, candidate)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = candidate;
}
