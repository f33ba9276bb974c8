import type { Decoder } from "./decoders.js";
import type { DecodeStream } from "./tokenizer.js";

/**
 * Decodes ids as they come.
 *
 * @param shown the token of an id; undefined leaves it out
 * @param after the ids before the stream, whose text is not repeated
 */
export function decodeStream(
  start: Decoder,
  shown: (id: number) => string | undefined,
  after: Iterable<number>,
): DecodeStream {
  const decoding = start();
  const before = [...after].map(shown).filter((token) => token !== undefined);
  decoding.push(before);
  let told = waiting(start, before);

  /** What is new in `text`: the end of the earlier text may have been waiting, and then comes first. */
  const fresh = (text: string) => {
    if (told.startsWith(text)) {
      told = told.slice(text.length);
      return "";
    }
    const rest = text.startsWith(told) ? text.slice(told.length) : text;
    told = "";
    return rest;
  };

  return {
    push(id) {
      const token = shown(id);
      return token === undefined ? "" : fresh(decoding.push([token]).join(""));
    },
    flush: () => fresh(decoding.flush().join("")),
  };
}

/** The end of a text that a decoder keeps back until more comes. */
function waiting(start: Decoder, tokens: readonly string[]): string {
  const decoding = start();
  decoding.push(tokens);
  return decoding.flush().join("");
}
