import type { Normalizer } from "./normalizers.js";
import type { AddedTokenJson } from "./tokenizer-json.js";

/** A stretch of text: an added token (`id` is there), or text for the model. `first`: it stands at the very start. */
export interface Section {
  readonly text: string;
  readonly id?: number;
  readonly first: boolean;
}

/**
 * Cuts a text at its added tokens and normalizes what is between them. Tokens with `normalized: false` are looked for
 * in the text as it came, the others, themselves normalized, in the normalized text.
 */
export function sectionsOf(tokens: readonly AddedTokenJson[], normalize: Normalizer): (text: string) => Section[] {
  const raw = finder(
    tokens.filter((token) => !token.normalized).map((token) => ({ ...token, pattern: token.content })),
  );
  const normalized = finder(
    tokens.filter((token) => token.normalized).map((token) => ({ ...token, pattern: normalize(token.content) })),
  );
  return (text) =>
    raw({ text, first: true }).flatMap((section) =>
      section.id === undefined ? normalized({ ...section, text: normalize(section.text) }) : [section],
    );
}

type Sought = AddedTokenJson & { readonly pattern: string };

// Word characters as the regex crate has them: Unicode's, with the two joiners.
const wordAtEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordAtStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /\p{White_Space}/u;

/** Splits a section at the tokens sought: leftmost first, the longest of those that start at one place. */
function finder(sought: readonly Sought[]): (section: Section) => Section[] {
  const byPattern = new Map(sought.map((token) => [token.pattern, token]));
  byPattern.delete("");
  if (byPattern.size === 0) return (section) => (section.text === "" ? [] : [section]);
  const longestFirst = [...byPattern.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "gu");
  return ({ text, first }) => {
    const sections: Section[] = [];
    let from = 0;
    const add = (end: number) => {
      if (from < end) sections.push({ text: text.slice(from, end), first: first && from === 0 });
    };
    for (const match of text.matchAll(pattern)) {
      const token = byPattern.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (
        token.single_word &&
        (wordAtEnd.test(text.slice(Math.max(0, start - 2), start)) || wordAtStart.test(text.slice(end, end + 2)))
      )
        continue;
      if (token.lstrip) while (start > from && space.test(text[start - 1]!)) start--;
      if (token.rstrip) while (end < text.length && space.test(text[end]!)) end++;
      add(start);
      sections.push({ text: text.slice(start, end), id: token.id, first: first && start === 0 });
      from = end;
    }
    add(text.length);
    return sections;
  };
}
