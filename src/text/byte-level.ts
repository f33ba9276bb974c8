/**
 * The byte-level view of text (Radford et al. 2019, GPT-2): every string is its UTF-8 bytes, and every byte has one
 * printable character standing for it, so that a vocabulary of strings can hold any sequence of bytes.
 */

/** Whether a byte is printable in Latin-1 and so stands for itself. */
const standsForItself = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

/** The character of each byte: itself where printable, the next free one from U+0100 on where not. */
export const byteAlphabet: readonly string[] = (() => {
  let free = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(standsForItself(byte) ? byte : free++));
})();

const byteOfCharCode = (() => {
  const table = new Int16Array(0x144).fill(-1);
  byteAlphabet.forEach((char, byte) => {
    table[char.charCodeAt(0)] = byte;
  });
  return table;
})();

/** The byte a character of the alphabet stands for, by UTF-16 code; -1 for any other character. */
export function byteOfAlphabet(charCode: number): number {
  return charCode < byteOfCharCode.length ? byteOfCharCode[charCode]! : -1;
}

/** Bytes written in the alphabet: `[0x20, 0x61]` → `"Ġa"`. */
export function toByteAlphabet(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byteAlphabet[byte]!;
  return text;
}

/**
 * GPT-2's pre-tokenization: contractions, then runs of letters, of digits, of other signs, each with at most one
 * space before it, and runs of white space. Every character of a text belongs to a match.
 *
 * @returns a new expression each time: its `lastIndex` is the caller's.
 */
export function byteLevelPattern(): RegExp {
  // \s of the original is Unicode's White_Space; JavaScript's \s differs from it in U+0085 and U+FEFF.
  return /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
}

const loneSurrogates = /\p{Cs}/gu;

/** `text` with every lone surrogate replaced by U+FFFD, as encoding it in UTF-8 would. */
export function wellFormed(text: string): string {
  return text.replace(loneSurrogates, "\ufffd");
}
