import { toByteAlphabet } from "./byte-level.js";
import { type Component, type ComponentReader, readComponent } from "./component.js";
import { type Normalizer, normalizer } from "./normalizers.js";
import { compilePattern } from "./pattern.js";

/** A text on its way to tokens, which knows for every UTF-16 unit which stretch of the original text it came from. */
export interface AlignedText {
  readonly text: string;
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** A rewriting of an aligned text. */
export type Rewrite = (text: AlignedText) => AlignedText;

/** New text, and the first and last of the units that it takes the place of. */
type Part = readonly [text: string, first: number, last: number];

const utf8 = new TextEncoder();

/** An original text; both halves of a surrogate pair stand for the whole character. */
export function alignedText(text: string): AlignedText {
  const [from, to]: [number[], number[]] = [[], []];
  for (const [at, char] of characters(text)) {
    for (let i = 0; i < char.length; i++) {
      from.push(at);
      to.push(at + char.length);
    }
  }
  return { text, from, to };
}

/** The units from `start` up to `end`. */
export function slice({ text, from, to }: AlignedText, start: number, end: number): AlignedText {
  return { text: text.slice(start, end), from: from.slice(start, end), to: to.slice(start, end) };
}

/** `text` before the first character, as a part of that. */
export function prepend(aligned: AlignedText, text: string): AlignedText {
  if (aligned.text === "") return aligned;
  return rewritten(aligned, [[text, 0, 0], ...[...characters(aligned.text)].map(asItIs)]);
}

/** Every character by itself; what it becomes stands for it. */
export function eachCharacter(aligned: AlignedText, change: Normalizer): AlignedText {
  return rewritten(
    aligned,
    [...characters(aligned.text)].map(([at, char]): Part => [change(char), at, at]),
  );
}

/** The UTF-8 bytes of every character in the byte alphabet; each stands for the whole character. */
export function inBytes(aligned: AlignedText): AlignedText {
  return eachCharacter(aligned, (char) => toByteAlphabet(utf8.encode(char)));
}

/** What is put in the place of a match stands for the match's last character, as in the original. */
export function replaceMatches(aligned: AlignedText, pattern: RegExp, content: string): AlignedText {
  const parts: Part[] = [];
  let at = 0;
  const keep = (end: number) => {
    for (const [i, char] of characters(aligned.text.slice(at, end))) parts.push(asItIs([at + i, char]));
  };
  for (const { index, 0: match } of aligned.text.matchAll(pattern)) {
    keep(index);
    at = index + match.length;
    const last = Math.max(0, at - 1);
    if (aligned.text !== "") parts.push([content, last, last]);
  }
  keep(aligned.text.length);
  return rewritten(aligned, parts);
}

/**
 * The normalizer that a `normalizer` of tokenizer.json describes, with alignment. Its text is that of {@link normalizer}.
 *
 * @throws TesseraError as {@link normalizer} does
 */
export function alignedNormalizer(component: Component, where: string): Rewrite {
  const spec = readComponent(component, where);
  if (spec.type === "Sequence") {
    const parts = spec
      .list("normalizers")
      .map((part, i) => alignedNormalizer(part as Component, `${where}.normalizers[${i}]`));
    return (text) => parts.reduce((done, part) => part(done), text);
  }
  const whole = normalizer(spec);
  const align = alignment(spec, whole);
  return (aligned) => {
    const expected = whole(aligned.text);
    const found = align(aligned);
    if (found.text === expected) return found;
    // Characters that changed together in a way not foreseen: all of the text stands for all of it.
    return rewritten(aligned, [[expected, 0, aligned.text.length - 1]]);
  };
}

function alignment(spec: ComponentReader, whole: Normalizer): Rewrite {
  switch (spec.type) {
    case "NFC":
    case "NFD":
      return (text) => eachCluster(text, whole, "NFD");
    case "NFKC":
    case "NFKD":
    case "Precompiled":
      return (text) => eachCluster(text, whole, "NFKD");
    case "Prepend": {
      const text = spec.string("prepend");
      return (aligned) => prepend(aligned, text);
    }
    case "Replace": {
      const pattern = compilePattern(spec.object("pattern"), `${spec.where}.pattern`);
      const content = spec.string("content");
      return (text) => replaceMatches(text, pattern, content);
    }
    case "Strip":
      return (aligned) => {
        const kept = whole(aligned.text);
        const start = aligned.text.indexOf(kept);
        return slice(aligned, start, start + kept.length);
      };
    default:
      return (text) => eachCharacter(text, whole);
  }
}

// A character with what may be composed with it: marks, the vowels and finals of Hangul, half-width voicing marks.
const clusters = /[\s\S][\p{M}\u1160-\u11ff\uff9e\uff9f]*/gu;

/**
 * Unicode normal forms. A character that several were composed into stands for the first of those it took, as in the original.
 *
 * @param decomposed the form in which the characters of before and after are the same
 */
function eachCluster(aligned: AlignedText, change: Normalizer, decomposed: "NFD" | "NFKD"): AlignedText {
  const parts: Part[] = [];
  const decompose = (text: string) => [...text.normalize(decomposed)];
  const count = (char: string) => decompose(char).length;
  for (const { index, 0: cluster } of aligned.text.matchAll(clusters)) {
    const after = change(cluster);
    if (cluster.length === 1 && after === cluster) {
      parts.push([after, index, index]);
      continue;
    }
    const before = [...characters(cluster)];
    // Of what both decompose into, in order: whether it is the first of its character, and how much makes one of those after.
    const loose = before.flatMap(([, char]) => decompose(char).map((piece, i) => ({ piece, first: i === 0 })));
    const firsts = decompose(cluster).map((piece) => {
      const found = loose.findIndex((other) => other.piece === piece);
      return loose.splice(found, 1)[0]!.first;
    });
    const counts = [...after].map(count);
    if (counts.reduce((a, b) => a + b, 0) !== firsts.length) {
      parts.push([after, index, index + cluster.length - 1]);
      continue;
    }
    let [piece, taken] = [0, 0];
    for (const [i, char] of [...after].entries()) {
      const takes = firsts.slice(piece, (piece += counts[i]!)).filter(Boolean).length;
      const at = index + before[Math.min(Math.max(0, takes > 0 ? taken : taken - 1), before.length - 1)]![0];
      taken += takes;
      parts.push([char, at, at]);
    }
  }
  return rewritten(aligned, parts);
}

function rewritten({ from, to }: AlignedText, parts: readonly Part[]): AlignedText {
  const after: { from: number[]; to: number[] } = { from: [], to: [] };
  for (const [text, first, last] of parts)
    for (let i = 0; i < text.length; i++) {
      after.from.push(from[first]!);
      after.to.push(to[last]!);
    }
  return { text: parts.map(([text]) => text).join(""), ...after };
}

const asItIs = ([at, char]: readonly [number, string]): Part => [char, at, at];

/** The characters of a text and where they begin. */
function* characters(text: string): Generator<readonly [at: number, char: string]> {
  let at = 0;
  for (const char of text) {
    yield [at, char];
    at += char.length;
  }
}
