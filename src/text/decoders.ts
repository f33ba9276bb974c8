import { byteOfAlphabet } from "./byte-level.js";
import type { ComponentReader } from "./component.js";
import { compilePattern } from "./pattern.js";

/**
 * A step from tokens to text that works as tokens arrive: `push` and `flush` together give out what the whole list
 * would have become, and `push` keeps back only what a later token may still change.
 */
export interface Decoding {
  push(tokens: readonly string[]): readonly string[];
  /** What was kept back; nothing may be pushed after it. */
  flush(): readonly string[];
}

/** Starts decoding a new list of tokens. */
export type Decoder = () => Decoding;

/** Whether the tokens that come in are still those of the vocabulary, or already pieces of one text. */
type Grain = "tokens" | "text";

/**
 * The decoder that a `decoder` of tokenizer.json describes, with the answers of Hugging Face's tokenizers; without one,
 * tokens are joined by spaces.
 *
 * @throws TesseraError `tokenizer` for damaged fields, `unsupported` for an unknown type.
 */
export function decoder(spec: ComponentReader | null): Decoder {
  return spec === null ? eachToken((token, i) => (i === 0 ? token : ` ${token}`)) : step(spec, "tokens").decoder;
}

/** A decoder, and the grain of what it gives out. */
function step(spec: ComponentReader, grain: Grain): { decoder: Decoder; grain: Grain } {
  const ofTokens = (decoder: Decoder) => ({ decoder: grain === "tokens" ? decoder : onWholeText(decoder), grain });
  switch (spec.type) {
    case "Sequence":
      return spec.components("decoders").reduce<{ decoder: Decoder; grain: Grain }>(
        (before, part) => {
          const after = step(part, before.grain);
          return { decoder: chain(before.decoder, after.decoder), grain: after.grain };
        },
        { decoder: eachToken((token) => token), grain },
      );
    case "ByteLevel":
      return { decoder: grain === "tokens" ? byteLevel : onWholeText(byteLevel), grain: "text" };
    case "Fuse":
      return { decoder: eachToken((token) => token), grain: "text" };
    case "ByteFallback":
      return ofTokens(byteFallback);
    case "Replace": {
      const pattern = spec.object("pattern");
      const expression = compilePattern(pattern, `${spec.where}.pattern`);
      const content = spec.string("content");
      const replace = eachToken((token) => token.replace(expression, () => content));
      // One character is found in a piece of the text as well as in the whole.
      const single = typeof pattern.String === "string" && [...pattern.String].length === 1;
      return single ? { decoder: replace, grain } : ofTokens(replace);
    }
    case "Strip": {
      const content = spec.string("content");
      const [start, stop] = [spec.integer("start", 0), spec.integer("stop", 0)];
      const strip = eachToken((token) => stripped([...token], content, start, stop));
      return grain === "text" && stop === 0 ? { decoder: stripStart(content, start), grain } : ofTokens(strip);
    }
    case "Metaspace": {
      const replacement = spec.string("replacement", "▁");
      const scheme = spec.oneOf(
        "prepend_scheme",
        ["always", "first", "never"],
        spec.boolean("add_prefix_space", true) ? "always" : "never",
      );
      return ofTokens(eachToken((token, i) => token.replaceAll(replacement, i === 0 && scheme !== "never" ? "" : " ")));
    }
    case "WordPiece": {
      const prefix = spec.string("prefix", "##");
      const clean = spec.boolean("cleanup", true) ? cleanUp : (text: string) => text;
      return ofTokens(
        eachToken((token, i) =>
          clean(i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`),
        ),
      );
    }
    case "BPEDecoder":
      return ofTokens(wordSuffix(spec.string("suffix", "</w>")));
    case "CTC":
      return ofTokens(ctc(spec));
    default:
      throw spec.unsupported();
  }
}

function chain(first: Decoder, second: Decoder): Decoder {
  return () => {
    const [a, b] = [first(), second()];
    return { push: (tokens) => b.push(a.push(tokens)), flush: () => [...b.push(a.flush()), ...b.flush()] };
  };
}

/** Every token by itself; `index` counts from the start of the text. */
function eachToken(decode: (token: string, index: number) => string): Decoder {
  return () => {
    let index = 0;
    return { push: (tokens) => tokens.map((token) => decode(token, index++)), flush: () => [] };
  };
}

/** A decoder of tokens set behind one that fuses them: what it sees is a single token, known only at the end. */
function onWholeText(decoder: Decoder): Decoder {
  return () => {
    let text = "";
    return {
      push: (tokens) => {
        text += tokens.join("");
        return [];
      },
      flush: () => {
        const inner = decoder();
        return [...inner.push([text]), ...inner.flush()];
      },
    };
  };
}

const utf8 = new TextEncoder();

/** Characters of the byte alphabet to bytes to text; a character that is cut off waits for the rest of its bytes. */
const byteLevel: Decoder = () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: (tokens) => {
      const bytes = new Uint8Array(3 * tokens.reduce((length, token) => length + token.length, 0));
      let end = 0;
      for (const token of tokens) {
        const start = end;
        for (let i = 0; i < token.length; i++) {
          const byte = byteOfAlphabet(token.charCodeAt(i));
          if (byte < 0) {
            // Not written in the alphabet, so an added token: it stands for itself.
            end = start + utf8.encodeInto(token, bytes.subarray(start)).written;
            break;
          }
          bytes[end++] = byte;
        }
      }
      const text = decoder.decode(bytes.subarray(0, end), { stream: true });
      return text === "" ? [] : [text];
    },
    flush: () => {
      const text = decoder.decode();
      return text === "" ? [] : [text];
    },
  };
};

/**
 * Tokens `<0x00>` … `<0xFF>` to text. A run of them is either UTF-8 as a whole or as many U+FFFD as it has bytes, so it
 * waits for the token that ends it.
 */
const byteFallback: Decoder = () => {
  let run: number[] = [];
  const endRun = (): string[] => {
    if (run.length === 0) return [];
    const bytes = Uint8Array.from(run);
    run = [];
    try {
      return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)];
    } catch {
      return Array.from(bytes, () => "\ufffd");
    }
  };
  return {
    push: (tokens) => {
      const out: string[] = [];
      for (const token of tokens) {
        const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
        if (hex !== null) run.push(Number.parseInt(hex[1]!, 16));
        else out.push(...endRun(), token);
      }
      return out;
    },
    flush: endRun,
  };
};

function stripped(chars: readonly string[], content: string, start: number, stop: number): string {
  let from = 0;
  while (from < start && chars[from] === content) from++;
  let to = chars.length;
  while (chars.length - to < stop && chars[to - 1] === content) to--;
  return chars.slice(from, to).join("");
}

/** {@link stripped} for a text that comes in pieces. */
function stripStart(content: string, start: number): Decoder {
  return () => {
    let left = start;
    const push = (piece: string) => {
      let from = 0;
      while (left > 0 && piece.startsWith(content, from) && from < piece.length) {
        from += content.length;
        left--;
      }
      if (from < piece.length) left = 0;
      return piece.slice(from);
    };
    return { push: (pieces) => pieces.map(push), flush: () => [] };
  };
}

/** Takes out the spaces that splitting at punctuation put in. */
function cleanUp(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

/** A suffix that ends words becomes a space, at the very end nothing: the last token waits for one after it. */
function wordSuffix(suffix: string): Decoder {
  return () => {
    let last: string | undefined;
    return {
      push: (tokens) => {
        if (tokens.length === 0) return [];
        const known = last === undefined ? tokens : [last, ...tokens];
        last = known.at(-1);
        return known.slice(0, -1).map((token) => token.replaceAll(suffix, " "));
      },
      flush: () => (last === undefined ? [] : [last.replaceAll(suffix, "")]),
    };
  };
}

/** Connectionist temporal classification (Graves et al. 2006): repeated tokens count once, padding is dropped. */
function ctc(spec: ComponentReader): Decoder {
  const [pad, delimiter] = [spec.string("pad_token", "<pad>"), spec.string("word_delimiter_token", "|")];
  const cleanup = spec.boolean("cleanup", true);
  return () => {
    let previous: string | undefined;
    return {
      push: (tokens) => {
        const out: string[] = [];
        for (const token of tokens) {
          if (token === previous) continue;
          previous = token;
          const text = token.replaceAll(pad, "");
          const clean = cleanup ? cleanUp(text).replaceAll(delimiter, " ") : text;
          if (clean !== "") out.push(clean);
        }
        return out;
      },
      flush: () => [],
    };
  };
}
