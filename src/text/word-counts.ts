import { TesseraError } from "../core/errors.js";
import { sectionsOf } from "./added-tokens.js";
import { wellFormed } from "./byte-level.js";
import { readComponent } from "./component.js";
import { normalizer } from "./normalizers.js";
import { wordSplitter } from "./pre-tokenizers.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/** The parts of a tokenizer.json that cut a text into words. */
export type WordParts = Pick<TokenizerJson, "added_tokens" | "normalizer" | "pre_tokenizer">;

/**
 * How often each word of a corpus occurs, in the order of first occurrence: normalized and cut as the tokenizer will,
 * without its added tokens. Where the pre-tokenizer ends in `ByteLevel`, words are not yet written in the byte alphabet.
 *
 * @param texts the corpus; words do not reach across the end of a text
 * @param where what messages call the caller
 * @throws TesseraError `data` for a corpus without a word
 */
export function countWords(texts: Iterable<string>, parts: WordParts, where: string): Map<string, number> {
  const normalize =
    parts.normalizer === null
      ? (text: string) => text
      : normalizer(readComponent(parts.normalizer, `${where}: normalizer`));
  const sections = sectionsOf(parts.added_tokens, normalize);
  const { split } = wordSplitter(
    parts.pre_tokenizer === null ? null : readComponent(parts.pre_tokenizer, `${where}: pre_tokenizer`),
  );
  const counts = new Map<string, number>();
  const add = (word: string) => {
    if (word === "") return;
    const count = counts.get(word);
    // A new word is copied: cut out of the text, it would keep the text in memory.
    if (count === undefined) counts.set(` ${word}`.slice(1), 1);
    else counts.set(word, count + 1);
  };
  for (const text of texts) {
    for (const section of sections(wellFormed(text))) {
      if (section.id === undefined) split(section.text, section.first, add);
    }
  }
  if (counts.size === 0) throw new TesseraError("data", `${where}: the corpus is empty, 0 words`);
  return counts;
}
