import type { Tokenizer } from "../../text/tokenizer.js";

/** Tokens of words that are given one by one, and the word each belongs to. */
export interface WordTokens {
  readonly ids: readonly number[];
  readonly words: readonly number[];
}

/**
 * Encodes words one by one, as they would be within a text: where the tokenizer marks the space before a word (byte-level BPE), every
 * word but the first has one.
 */
export function wordEncoder(tokenizer: Tokenizer): (words: readonly string[]) => WordTokens {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const spaced =
    encode("a a").join() === [...encode("a"), ...encode(" a")].join() && encode("a").join() !== encode(" a").join();
  return (words) => {
    const pieces = words.map((word, i) => encode(spaced && i > 0 ? ` ${word}` : word));
    return { ids: pieces.flat(), words: pieces.flatMap((piece, i) => piece.map(() => i)) };
  };
}
