import type { Tokenizer } from "./tokenizer.js";

/**
 * How the source of an encoder-decoder ends, in the end token: as T5's, BART's and Marian's tokenizers set it there, it is added where a
 * tokenizer sets no special tokens around a text at all. Training and generation agree on it.
 *
 * @returns the source of the ids of a text, as the tokenizer frames it
 */
export function endSource(tokenizer: Tokenizer): (ids: readonly number[]) => readonly number[] {
  const { eos } = tokenizer.specialTokens;
  const framed = tokenizer.encoding("").ids.length > 0;
  return framed || eos === undefined ? (ids) => ids : (ids) => (ids.at(-1) === eos ? ids : [...ids, eos]);
}
