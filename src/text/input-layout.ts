import { TesseraError } from "../core/errors.js";
import type { Tokenizer } from "./tokenizer.js";

/** Ids of an input with the special tokens around them, and which text of a pair each belongs to. */
export interface LaidOut {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
  /** Where the text's own tokens begin, and those of the second text. */
  readonly offsets: readonly [first: number, second: number];
}

/** How a tokenizer sets special tokens around texts that are tokens already. */
export interface InputLayout {
  /** Special tokens around one text, and around a pair. */
  readonly specials: { readonly single: number; readonly pair: number };
  single(ids: readonly number[]): LaidOut;
  pair(first: readonly number[], second: readonly number[]): LaidOut;
}

/**
 * Learns from a tokenizer where its special tokens stand, so that texts can be cut to a length before they are set in place.
 *
 * @example inputLayout(bert).single([7592]).ids // [101, 7592, 102]
 */
export function inputLayout(tokenizer: Tokenizer): InputLayout {
  const sample = sampleText(tokenizer);
  const inner = tokenizer.encode(sample, { addSpecialTokens: false });
  const at = (whole: readonly number[], from: number) => {
    for (let i = from; i + inner.length <= whole.length; i++) if (inner.every((id, k) => whole[i + k] === id)) return i;
    throw new TesseraError(
      "unsupported",
      `inputLayout: the tokenizer writes a text in another way beside special tokens`,
    );
  };
  const one = tokenizer.encoding(sample);
  const two = tokenizer.encoding(sample, { pair: sample });
  const start = at(one.ids, 0);
  const first = at(two.ids, 0);
  const second = at(two.ids, first + inner.length);
  const n = inner.length;
  const around = (whole: readonly number[], texts: readonly number[]) =>
    [...texts, whole.length].map((text, i) => whole.slice(i === 0 ? 0 : texts[i - 1]! + n, text));
  const [oneIds, oneTypes] = [around(one.ids, [start]), around(one.typeIds, [start])];
  const [twoIds, twoTypes] = [around(two.ids, [first, second]), around(two.typeIds, [first, second])];
  const lay = (
    ids: readonly (readonly number[])[],
    types: readonly (readonly number[])[],
    texts: readonly (readonly number[])[],
    textTypes: readonly number[],
  ): LaidOut => ({
    ids: ids.flatMap((part, i) => [...part, ...(texts[i] ?? [])]),
    typeIds: types.flatMap((part, i) => [...part, ...Array<number>(texts[i]?.length ?? 0).fill(textTypes[i] ?? 0)]),
    offsets: [ids[0]!.length, ids[0]!.length + (texts[0]?.length ?? 0) + (ids[1]?.length ?? 0)],
  });
  return {
    specials: { single: one.ids.length - n, pair: two.ids.length - 2 * n },
    single: (text) => lay(oneIds, oneTypes, [text], [one.typeIds[start]!]),
    pair: (a, b) => lay(twoIds, twoTypes, [a, b], [two.typeIds[first]!, two.typeIds[second]!]),
  };
}

/** A text that the tokenizer has tokens for, none of them special. */
function sampleText(tokenizer: Tokenizer): string {
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (tokenizer.specialIds.has(id) || tokenizer.tokenOf(id) === undefined) continue;
    const text = tokenizer.decode([id]).trim();
    if (text === "" || text.includes("\ufffd")) continue;
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    if (ids.length > 0 && !ids.some((other) => tokenizer.specialIds.has(other))) return text;
  }
  throw new TesseraError("tokenizer", "inputLayout: the tokenizer has no token for any text");
}

/** Cuts two lists to so many elements together, the longer one first: transformers' `longest_first`. */
export function truncatePair(
  first: readonly number[],
  second: readonly number[],
  most: number,
): readonly [first: readonly number[], second: readonly number[]] {
  const surplus = Math.max(0, first.length + second.length - most);
  // Equalized first, then cut by turns, the second one beginning.
  const difference = Math.abs(first.length - second.length);
  const [cutLonger, rest] = [Math.min(surplus, difference), Math.max(0, surplus - difference)];
  let [a, b] = [first.length, second.length];
  if (a > b) a -= cutLonger;
  else b -= cutLonger;
  return [first.slice(0, Math.max(0, a - Math.floor(rest / 2))), second.slice(0, Math.max(0, b - Math.ceil(rest / 2)))];
}
