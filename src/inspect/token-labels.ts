import type { Tokenizer } from "../text/tokenizer.js";

/**
 * How tokens are called in pictures, a label each: their text, with a dot for a space and an arrow for a line's end. A token that is part
 * of a character only is called by its number.
 */
export function tokenLabels(tokenizer: Tokenizer, ids: readonly number[]): readonly string[] {
  return ids.map((id) => {
    const name = tokenizer.tokenOf(id) ?? "";
    const text = tokenizer.decode([id]);
    // What a tokenizer drops at the start of a text: the space before a word, the mark of a word's later part.
    const label = name.startsWith("▁") ? name.replaceAll("▁", " ") : name.startsWith("##") ? name : text;
    return label === "" || label.includes("\ufffd") ? `#${id}` : visible(label);
  });
}

/** A text in which nothing is invisible or moves what follows. */
function visible(text: string): string {
  return text
    .replaceAll(" ", "·")
    .replaceAll("\n", "↵")
    .replaceAll("\t", "⇥")
    .replace(/[\p{C}\p{Z}]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

// East Asian wide and fullwidth characters and emoji take two columns of a terminal. Unicode Standard Annex 11.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** Columns that a text takes in a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += /\p{M}|\u200d/u.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

/** A text cut to a width, with an ellipsis where something is missing. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = "";
  for (const char of text) {
    if (displayWidth(cut + char) > width - 1) break;
    cut += char;
  }
  return `${cut}…`;
}

/** A text with spaces around it up to a width. */
export function padToWidth(text: string, width: number, side: "start" | "end"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return side === "start" ? space + text : text + space;
}
