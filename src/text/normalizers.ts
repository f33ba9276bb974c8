import { toByteAlphabet } from "./byte-level.js";
import type { ComponentReader } from "./component.js";
import { libraryTokenizer } from "./library.js";
import { compilePattern } from "./pattern.js";

/** Rewrites a text before it is cut into words. */
export type Normalizer = (text: string) => string;

const utf8 = new TextEncoder();

/**
 * The normalizer that a `normalizer` of tokenizer.json describes, with the answers of Hugging Face's tokenizers.
 *
 * @throws TesseraError `tokenizer` for damaged fields, `unsupported` for an unknown type.
 */
export function normalizer(spec: ComponentReader): Normalizer {
  switch (spec.type) {
    case "Sequence": {
      const parts = spec.components("normalizers").map(normalizer);
      return (text) => parts.reduce((normalized, part) => part(normalized), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const { type } = spec;
      return (text) => text.normalize(type);
    }
    case "Lowercase":
      return lowercase;
    case "Strip": {
      const [left, right] = [spec.boolean("strip_left", true), spec.boolean("strip_right", true)];
      return (text) => {
        const stripped = left ? text.replace(/^\p{White_Space}+/u, "") : text;
        return right ? stripped.replace(/(?<!\p{White_Space})\p{White_Space}+$/u, "") : stripped;
      };
    }
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Replace": {
      const pattern = compilePattern(spec.object("pattern"), `${spec.where}.pattern`);
      const content = spec.string("content");
      return (text) => text.replace(pattern, () => content);
    }
    case "Prepend": {
      const prepend = spec.string("prepend");
      return (text) => (text === "" ? text : prepend + text);
    }
    case "ByteLevel":
      return (text) => toByteAlphabet(utf8.encode(text));
    case "Nmt":
      return (text) => text.replace(nmtRemoved, "").replace(nmtSpaces, " ");
    case "BertNormalizer":
      return bertNormalizer(spec);
    case "Precompiled":
      return libraryTokenizer({ normalizer: { type: "Precompiled" } }).normalizer!;
    default:
      throw spec.unsupported();
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the normalizer removes
const nmtRemoved = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the normalizer replaces
const nmtSpaces = /[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;

/** Lower case, character by character: a sigma stays σ at the end of a word, unlike in `toLowerCase` of a whole text. */
function lowercase(text: string): string {
  return text.includes("Σ") ? Array.from(text, (char) => char.toLowerCase()).join("") : text.toLowerCase();
}

const control = /(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}]/gu;
const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** Devlin et al. 2018: cleans control characters and white space, sets Chinese characters apart, strips accents, lowers case. */
function bertNormalizer(spec: ComponentReader): Normalizer {
  const lower = spec.boolean("lowercase", true);
  const accents = spec.boolean("strip_accents", lower);
  const steps: Normalizer[] = [];
  if (spec.boolean("clean_text", true)) {
    steps.push((text) => text.replace(control, "").replace(/\p{White_Space}/gu, " "));
  }
  if (spec.boolean("handle_chinese_chars", true)) steps.push((text) => text.replace(chinese, " $& "));
  if (accents) steps.push((text) => text.normalize("NFD").replace(/\p{Mn}/gu, ""));
  if (lower) steps.push(lowercase);
  return (text) => steps.reduce((normalized, step) => step(normalized), text);
}
