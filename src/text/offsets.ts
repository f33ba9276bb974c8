import { sectionsOf } from "./added-tokens.js";
import {
  type AlignedText,
  alignedNormalizer,
  alignedText,
  inBytes,
  prepend,
  type Rewrite,
  replaceMatches,
  slice,
} from "./aligned-text.js";
import { wellFormed } from "./byte-level.js";
import { type Component, isRecord, readComponent } from "./component.js";
import { type EncodedWord, tokenModel } from "./models.js";
import { normalizer } from "./normalizers.js";
import { compilePattern } from "./pattern.js";
import { preTokenizer, wordSplitter } from "./pre-tokenizers.js";
import type { LoadedTokenizer } from "./tokenizer-from-json.js";
import { type ModelJson, type TokenizerJson, vocabularyOf } from "./tokenizer-json.js";

/** Where a token stands in the text that was encoded: `text.slice(start, end)`. */
export interface TokenSpan {
  readonly start: number;
  readonly end: number;
  /** Which of the words that the text was cut into it belongs to, from 0; an added token is a word. */
  readonly word: number;
}

/**
 * Where each token of a text stands in it, for `tokenizer.encode(text, { addSpecialTokens: false })`.
 *
 * The spans are those of Hugging Face's tokenizers, counted in UTF-16 units instead of characters: a token stands for all characters
 * that any of it came from (each byte of "é" for the whole é), what the normalizer dropped stands in no token or within one, and the
 * space in front of a byte-level token belongs to it, unless the tokenizer's post-processor trims offsets.
 *
 * @example tokenSpans(bert, "Où est-il ?"); // [{ start: 0, end: 2, word: 0 }, …], the tokens ou, est, -, il, ?
 */
export function tokenSpans({ json }: Pick<LoadedTokenizer, "json">, text: string): TokenSpan[] {
  let find = finders.get(json);
  if (find === undefined) finders.set(json, (find = spanFinder(json)));
  return find(text);
}

/** The `[start, end]` of {@link tokenSpans}. */
export function tokenOffsets(
  tokenizer: Pick<LoadedTokenizer, "json">,
  text: string,
): (readonly [start: number, end: number])[] {
  return tokenSpans(tokenizer, text).map(({ start, end }) => [start, end]);
}

const finders = new WeakMap<TokenizerJson, (text: string) => TokenSpan[]>();

function spanFinder(json: TokenizerJson): (text: string) => TokenSpan[] {
  const where = "tokenizer.json";
  const vocabulary = vocabularyOf(json, where);
  const { tokens } = vocabulary;
  const same = (text: string) => text;
  const normalizedPattern = json.normalizer ? normalizer(readComponent(json.normalizer, where)) : same;
  const rawSections = sectionsOf(
    json.added_tokens.filter((token) => !token.normalized),
    same,
  );
  const innerSections = sectionsOf(
    json.added_tokens
      .filter((token) => token.normalized)
      .map((token) => ({ ...token, normalized: false, content: normalizedPattern(token.content) })),
    same,
  );
  const normalize: Rewrite = json.normalizer
    ? alignedNormalizer(json.normalizer, `${where}: normalizer`)
    : (text) => text;
  const cut = json.pre_tokenizer ? splitter(json.pre_tokenizer, `${where}: pre_tokenizer`) : whole;
  const encode = tokenModel(json.model, vocabulary.model, where);
  const spell = (ids: readonly number[]) => ids.map((id) => tokens[id]!);
  const trim = trimmer(json.post_processor);

  return (text) => {
    const spans: TokenSpan[] = [];
    const spelled: string[] = [];
    let word = 0;
    const add = (token: string, { from, to }: AlignedText, start: number, end: number) => {
      const first = from[Math.min(start, from.length - 1)] ?? 0;
      spans.push({ start: first, end: end > start ? to[end - 1]! : first, word });
      spelled.push(token);
    };
    for (const raw of sectionsIn(alignedText(wellFormed(text)), true, rawSections)) {
      const inner = raw.id === undefined ? sectionsIn(normalize(raw.aligned), raw.first, innerSections) : [raw];
      for (const { aligned, id, first } of inner) {
        if (id !== undefined) {
          add(tokens[id]!, aligned, 0, aligned.text.length);
          word++;
          continue;
        }
        cut(aligned, first, (piece) => {
          const encoded = encode(piece.text);
          const surfaces = stretches(piece.text, encoded, json.model, spell(encoded.ids));
          encoded.ids.forEach((id, i) => void add(tokens[id]!, piece, ...surfaces[i]!));
          word++;
        });
      }
    }
    return trim(spans, spelled, text);
  };
}

interface AlignedSection {
  readonly aligned: AlignedText;
  readonly id?: number | undefined;
  readonly first: boolean;
}

/** Sections lie end to end, so lengths say where they are. */
function sectionsIn(aligned: AlignedText, first: boolean, find: ReturnType<typeof sectionsOf>): AlignedSection[] {
  let at = 0;
  return find(aligned.text).map(({ text, id, first: begins }) => {
    const start = at;
    at += text.length;
    return { aligned: slice(aligned, start, at), id, first: begins && first };
  });
}

/** Cuts an aligned text into words. */
type Splitter = (text: AlignedText, first: boolean, emit: (word: AlignedText, first: boolean) => void) => void;

const whole: Splitter = (text, first, emit) => {
  if (text.text !== "") emit(text, first);
};

function splitter(component: Component, where: string): Splitter {
  const spec = readComponent(component, where);
  switch (spec.type) {
    case "Sequence": {
      const parts = spec
        .list("pretokenizers")
        .map((part, i) => splitter(part as Component, `${where}.pretokenizers[${i}]`));
      return parts.reduceRight(
        (rest, part) => (text, first, emit) => part(text, first, (word, f) => rest(word, f, emit)),
        whole,
      );
    }
    case "ByteLevel": {
      const split = leaf({ ...component, add_prefix_space: false }, where);
      const prefix = spec.boolean("add_prefix_space", true);
      return (text, first, emit) =>
        split(prefix && !text.text.startsWith(" ") ? prepend(text, " ") : text, first, (word, f) =>
          emit(inBytes(word), f),
        );
    }
    case "Metaspace": {
      const replacement = spec.string("replacement", "▁");
      const scheme = spec.oneOf(
        "prepend_scheme",
        ["always", "first", "never"],
        spec.boolean("add_prefix_space", true) ? "always" : "never",
      );
      const split = leaf({ ...component, prepend_scheme: "never" }, where);
      const space = compilePattern({ String: " " }, where);
      return (text, first, emit) => {
        const spaced = replaceMatches(text, space, replacement);
        const prefix = (scheme === "always" || (scheme === "first" && first)) && !spaced.text.startsWith(replacement);
        split(prefix ? prepend(spaced, replacement) : spaced, first, emit);
      };
    }
    default:
      return leaf(component, where);
  }
}

/** A pre-tokenizer that changes nothing: its words are stretches of the text, in order. */
function leaf(component: Component, where: string): Splitter {
  const split = wordSplitter(readComponent(component, where)).split;
  // With its matches kept, a pattern that removes them shows where the others are, whatever they look like.
  const removes = component.type === "Split" && (component.behavior ?? "Removed") === "Removed";
  const kept = removes ? preTokenizer(readComponent({ ...component, behavior: "Isolated" }, where)) : undefined;
  return (text, first, emit) => {
    const starts: [word: string, at: number][] = [];
    let end = 0;
    kept?.(text.text, first, (word) => {
      starts.push([word, end]);
      end += word.length;
    });
    let [at, next] = [0, 0];
    split(text.text, first, (word, f) => {
      if (kept) {
        while (starts[next]![0] !== word) next++;
        at = starts[next++]![1];
      } else at = text.text.indexOf(word, at);
      if (word !== "") emit(slice(text, at, at + word.length), f);
      at += word.length;
    });
  };
}

type Stretch = readonly [start: number, end: number];

/** Which units of a word each of its tokens covers. */
function stretches(word: string, encoded: EncodedWord, model: ModelJson, tokens: readonly string[]): Stretch[] {
  switch (model.type) {
    case "WordLevel":
      return tokens.map(() => [0, word.length]);
    case "WordPiece":
      return tokens.length === 1 && tokens[0] === model.unk_token
        ? [[0, word.length]]
        : inOrder(word, tokens, (token, at) => (at > 0 ? token.slice(model.continuing_subword_prefix.length) : token));
    case "BPE": {
      const prefix = model.continuing_subword_prefix ?? "";
      const suffix = model.end_of_word_suffix ?? "";
      const inVocabulary = (char: string, at: number) =>
        Object.hasOwn(model.vocab, (at > 0 ? prefix : "") + char + (at + char.length === word.length ? suffix : ""));
      const surface = (token: string, at: number) => {
        const start = at > 0 && token.startsWith(prefix) ? prefix.length : 0;
        const ends = suffix !== "" && token.endsWith(suffix) && token.length > suffix.length;
        return token.slice(start, ends ? -suffix.length : undefined);
      };
      return inOrder(
        word,
        tokens,
        surface,
        (at) => {
          let end = at;
          do end += charAt(word, end).length;
          while (model.fuse_unk && end < word.length && !inVocabulary(charAt(word, end), end));
          return end;
        },
        inVocabulary,
        model.unk_token ?? undefined,
      );
    }
    case "Unigram":
      return inOrder(word, encoded.tokens ?? tokens, (token) => token);
  }
}

const charAt = (text: string, at: number) => String.fromCodePoint(text.codePointAt(at)!);
const byteToken = /^<0x[0-9A-F]{2}>$/;
const utf8 = new TextEncoder();

/**
 * Tokens found in a word one behind the other. Bytes stand for the character they are bytes of.
 *
 * @param surface what a token looks like at a place of the word
 * @param unknownEnd where an unknown token ends that begins at a place
 */
function inOrder(
  word: string,
  tokens: readonly string[],
  surface: (token: string, at: number) => string,
  unknownEnd: (at: number) => number = () => word.length,
  known: (char: string, at: number) => boolean = () => true,
  unknown?: string,
): Stretch[] {
  let at = 0;
  let bytes = 0; // of the character at `at` that have had a token
  return tokens.map((token): Stretch => {
    const start = at;
    const text = surface(token, at);
    if (bytes === 0 && token !== unknown) {
      // Characters without any token have vanished.
      while (at < word.length && !word.startsWith(text, at) && !byteToken.test(token) && !known(charAt(word, at), at))
        at += charAt(word, at).length;
    }
    if (bytes === 0 && token !== unknown && word.startsWith(text, at)) {
      const from = at;
      at += text.length;
      return [from, at];
    }
    if (byteToken.test(token)) {
      const char = charAt(word, at);
      bytes++;
      if (bytes === utf8.encode(char).length) {
        at += char.length;
        bytes = 0;
      }
      return [start, start + char.length];
    }
    at = unknownEnd(at);
    return [start, at];
  });
}

/** What a post-processor does to spans: byte-level ones give the white space around a token back, unless they are told not to. */
function trimmer(component: unknown): (spans: TokenSpan[], tokens: readonly string[], text: string) => TokenSpan[] {
  if (!isRecord(component)) return (spans) => spans;
  if (component.type === "Sequence" && Array.isArray(component.processors)) {
    const parts = component.processors.map(trimmer);
    return (spans, tokens, text) => parts.reduce((done, part) => part(done, tokens, text), spans);
  }
  const trims = component.type === "ByteLevel" || component.type === "RobertaProcessing";
  if (!trims || component.trim_offsets === false) return (spans) => spans;
  const prefixed = component.add_prefix_space !== false;
  return (spans, tokens, text) =>
    spans.map(({ start, end, word }, i) => {
      const token = tokens[i]!;
      const before = /^[Ġ\p{White_Space}]*/u.exec(token)![0].length;
      const after = /(?<![Ġ\p{White_Space}])[Ġ\p{White_Space}]*$/u.exec(token)![0].length;
      // A single space in front of the first token may be one that was set there.
      const own = prefixed && (i === 0 || start === 0) && before === 1 ? 0 : before;
      const from = own === 0 ? start : Math.min(start + own, end);
      const chars = [...text.slice(from, end)];
      return { start: from, end: end - chars.slice(Math.max(0, chars.length - after)).join("").length, word };
    });
}
