import type { Tokenizer } from "./tokenizer.js";

/**
 * The source of an encoder-decoder, which ends in the end token: as T5's, BART's and Marian's tokenizers set it there, it is added where a
 * tokenizer sets no special tokens around a text at all. Training and generation agree on it.
 *
 * @param ids of the text, as the tokenizer frames it
 */
export function endSource(tokenizer: Tokenizer, ids: readonly number[]): readonly number[] {
  const { eos } = tokenizer.specialTokens;
  const framed = tokenizer.encoding("").ids.length > 0;
  return framed || eos === undefined || ids.at(-1) === eos ? ids : [...ids, eos];
}
