import type { Dim } from "../core/dim.js";
import type { Tensor } from "../core/tensor.js";
import { constant, full } from "../ops/constant.js";
import { less, maximum, where } from "../ops/elementwise.js";
import { expandDims, pad } from "../ops/shape.js";
import { tokensOf } from "./sequence-rnn.js";

/** Characters beside the bytes 1 … 256. */
const MARK = { sentenceStart: 257, sentenceEnd: 258, wordStart: 259, wordEnd: 260, padding: 261 };

/**
 * The characters of a word as ELMo reads them: 1 + each byte of its UTF-8 form, between the marks of its start and its end, filled up
 * to `length`. They are what any word's vector comes from, whether or not a tokenizer knows it. The ids are AllenNLP's.
 *
 * @param length characters, with the marks; the word's bytes beyond it are left out. Default 50
 * @example const ids = sentence.map((word) => wordCharacters(word)); // `[t, 50]`
 */
export function wordCharacters(word: string, length = 50): number[] {
  const bytes = new TextEncoder().encode(word).subarray(0, length - 2);
  return framed(
    [...bytes].map((byte) => byte + 1),
    length,
  );
}

const framed = (characters: readonly number[], length: number) => [
  MARK.wordStart,
  ...characters,
  MARK.wordEnd,
  ...Array<number>(length - 2 - characters.length).fill(MARK.padding),
];

/**
 * Sentences between words that mark their start and their end, which their first and last words can then be predicted from.
 * `characters: [b, t, c]` int64 → `characters: [b, t + 2, c]`, and where there is padding which of them are tokens, as
 * {@link tokensOf} has it.
 *
 * @param mask `[b, t]` int64, 1 for words, 0 for padding on either side. Default: no padding
 */
export function sentenceCharacters(characters: Tensor, mask?: Tensor) {
  const [b, t, c] = characters.shape as [Dim, Dim, number];
  const words = mask ?? full([b, t], 1, "int64");
  const [here, next, previous] = [pad(words, 1, 1, 1), pad(words, 1, 0, 2), pad(words, 1, 2, 0)];
  const marked = (hit: Tensor, mark: number, others: Tensor) =>
    where(expandDims(hit, 2), constant(framed([mark], c), [c], "int64"), others);
  const ended = marked(less(here, previous), MARK.sentenceEnd, pad(characters, 1, 1, 1));
  return {
    characters: marked(less(here, next), MARK.sentenceStart, ended),
    tokens: mask && tokensOf(maximum(here, maximum(next, previous))),
  };
}
