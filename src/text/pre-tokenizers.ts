import { byteLevelPattern, toByteAlphabet } from "./byte-level.js";
import type { ComponentReader } from "./component.js";
import { compilePattern } from "./pattern.js";

/** Receives a word; `first` says whether it stands at the very start of the text. */
type Emit = (word: string, first: boolean) => void;

/** Cuts a text into the words that the model then encodes one by one. */
export type PreTokenizer = (text: string, first: boolean, emit: Emit) => void;

const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof behaviors)[number];

const utf8 = new TextEncoder();

/**
 * The pre-tokenizer that a `pre_tokenizer` of tokenizer.json describes, with the answers of Hugging Face's tokenizers.
 *
 * @throws TesseraError `tokenizer` for damaged fields, `unsupported` for an unknown type.
 */
export function preTokenizer(spec: ComponentReader): PreTokenizer {
  switch (spec.type) {
    case "Sequence":
      return sequence(spec.components("pretokenizers").map(preTokenizer));
    case "ByteLevel": {
      const split = byteLevelSplit(spec);
      return (text, first, emit) => split(text, first, (word, f) => emit(toByteAlphabet(utf8.encode(word)), f));
    }
    case "Split": {
      const pattern = compilePattern(spec.object("pattern"), `${spec.where}.pattern`);
      return splitBy(pattern, spec.oneOf("behavior", behaviors, "Removed"), spec.boolean("invert", false));
    }
    case "Whitespace": // word characters as the regex crate has them: Unicode's, with the two joiners
      return splitBy(
        /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
        "Removed",
        true,
      );
    case "WhitespaceSplit":
      return splitBy(/\p{White_Space}/gu, "Removed");
    case "BertPreTokenizer": {
      const words = splitBy(/\p{White_Space}/gu, "Removed");
      const marks = splitBy(punctuation, "Isolated");
      return (text, first, emit) => words(text, first, (word, f) => marks(word, f, emit));
    }
    case "Punctuation":
      return splitBy(punctuation, spec.oneOf("behavior", behaviors, "Isolated"));
    case "Digits":
      return splitBy(/\p{N}/gu, spec.boolean("individual_digits", false) ? "Isolated" : "Contiguous");
    case "CharDelimiterSplit":
      return splitBy(compilePattern({ String: spec.string("delimiter") }, spec.where), "Removed");
    case "Metaspace":
      return metaspace(spec);
    default:
      throw spec.unsupported();
  }
}

/**
 * Like {@link preTokenizer}, but where the last step is `ByteLevel` its words stay text, `byteLevel` is set, and writing
 * them in the byte alphabet is left to whoever encodes them: most words come up again and need it only once.
 */
export function wordSplitter(spec: ComponentReader | null): {
  readonly split: PreTokenizer;
  readonly byteLevel: boolean;
} {
  if (spec === null) return { split: whole, byteLevel: false };
  const parts = spec.type === "Sequence" ? spec.components("pretokenizers") : [spec];
  const last = parts.at(-1);
  if (last?.type !== "ByteLevel") return { split: preTokenizer(spec), byteLevel: false };
  return { split: sequence([...parts.slice(0, -1).map(preTokenizer), byteLevelSplit(last)]), byteLevel: true };
}

function sequence(parts: readonly PreTokenizer[]): PreTokenizer {
  return parts.reduceRight(
    (rest, part) => (text, first, emit) => part(text, first, (word, f) => rest(word, f, emit)),
    whole,
  );
}

/** `ByteLevel` up to the point where bytes become characters: a prefix space and GPT-2's pattern, each if asked for. */
function byteLevelSplit(spec: ComponentReader): PreTokenizer {
  const split = spec.boolean("use_regex", true) ? splitBy(byteLevelPattern(), "Isolated") : whole;
  if (!spec.boolean("add_prefix_space", true)) return split;
  return (text, first, emit) => split(text.startsWith(" ") ? text : ` ${text}`, first, emit);
}

const punctuation = /[\p{P}$+<=>^`|~]/gu; // Unicode's punctuation, and what ASCII calls so besides

const whole: PreTokenizer = (text, first, emit) => emit(text, first);

function metaspace(spec: ComponentReader): PreTokenizer {
  const replacement = spec.string("replacement", "▁");
  // Files from before `prepend_scheme` say only whether to prepend.
  const scheme = spec.oneOf(
    "prepend_scheme",
    ["always", "first", "never"],
    spec.boolean("add_prefix_space", true) ? "always" : "never",
  );
  const split = spec.boolean("split", true)
    ? splitBy(compilePattern({ String: replacement }, spec.where), "MergedWithNext")
    : whole;
  return (text, first, emit) => {
    const spaced = text.replaceAll(" ", () => replacement);
    const prepend = (scheme === "always" || (scheme === "first" && first)) && !spaced.startsWith(replacement);
    split(prepend ? replacement + spaced : spaced, first, emit);
  };
}

/** Splits at the matches of `pattern`; `behavior` says what becomes of a match, `invert` swaps matches and gaps. */
function splitBy(pattern: RegExp, behavior: Behavior, invert = false): PreTokenizer {
  const eachPart = partsOf(pattern);
  if (behavior === "Isolated" || behavior === "Removed") {
    return (text, first, emit) =>
      eachPart(text, (start, end, matched) => {
        if (behavior === "Isolated" || matched === invert) emit(text.slice(start, end), first && start === 0);
      });
  }
  return (text, first, emit) => {
    const parts: { start: number; end: number; matched: boolean }[] = [];
    eachPart(text, (start, end, matched) => parts.push({ start, end, matched: matched !== invert }));
    let start = 0;
    parts.forEach((part, i) => {
      const next = parts[i + 1];
      if (next !== undefined && joined(behavior, part.matched, next.matched)) return;
      emit(text.slice(start, part.end), first && start === 0);
      start = part.end;
    });
  };
}

/** Whether two neighbours, each a match or a gap, stay together. */
function joined(behavior: Exclude<Behavior, "Isolated" | "Removed">, left: boolean, right: boolean): boolean {
  if (behavior === "Contiguous") return left === right;
  return behavior === "MergedWithPrevious" ? !left && right : left && !right;
}

/** The function that visits the matches of `pattern` and the gaps between them, in order. An empty match is a cut. */
function partsOf(pattern: RegExp) {
  // Most patterns match where the last match ended; test() then spares the array that exec() would make.
  const sticky = new RegExp(pattern.source, `${pattern.flags.replace("g", "")}y`);
  return (text: string, visit: (start: number, end: number, matched: boolean) => void) => {
    let from = 0; // everything before it has been visited
    let at = 0;
    let lastEnd = -1;
    while (at < text.length) {
      sticky.lastIndex = at;
      let start = at;
      let end = sticky.test(text) ? sticky.lastIndex : at;
      if (start === end) {
        pattern.lastIndex = at;
        const match = pattern.exec(text);
        if (match === null) break;
        start = match.index;
        end = start + match[0].length;
      }
      at = start < end ? end : end + (text.codePointAt(end)! > 0xffff ? 2 : 1);
      if (start === end && start === lastEnd) continue; // right behind a match, an empty one does not count
      if (from < start) visit(from, start, false);
      visit(start, end, true);
      from = lastEnd = end;
    }
    if (from < text.length) visit(from, text.length, false);
  };
}
