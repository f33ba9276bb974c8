import { messageOf, TesseraError } from "../core/errors.js";
import { sectionsOf } from "./added-tokens.js";
import { toByteAlphabet, wellFormed } from "./byte-level.js";
import { isRecord, readComponent } from "./component.js";
import { decodeStream } from "./decode-stream.js";
import { decoder } from "./decoders.js";
import { type EncodedWord, type Model, tokenModel } from "./models.js";
import { normalizer } from "./normalizers.js";
import { plainLayout, postProcessor } from "./post-processors.js";
import { wordSplitter } from "./pre-tokenizers.js";
import { type SpecialTokens, specialRoles, type Tokenizer } from "./tokenizer.js";
import { parseTokenizerJson, type TokenizerConfig, type TokenizerJson, vocabularyOf } from "./tokenizer-json.js";

/** A tokenizer together with the files it was read from or goes into. */
export interface LoadedTokenizer extends Tokenizer {
  /** tokenizer.json */
  readonly json: TokenizerJson;
  /** tokenizer_config.json */
  readonly config: TokenizerConfig;
}

/**
 * The tokenizer that a tokenizer.json describes: text is cut at added tokens, normalized, cut into words, each word
 * encoded by the model, and special tokens set around the result. `truncation` and `padding` are left to the caller.
 *
 * @param json the parsed tokenizer.json
 * @param config the parsed tokenizer_config.json, for the roles of special tokens (`eos_token` …); those the
 * vocabulary does not hold are left out
 * @param where what messages call the file
 * @throws TesseraError `tokenizer` for a file that is damaged or contradicts itself, `unsupported` for parts that are
 * not implemented
 * @example
 * const tokenizer = tokenizerFromJson(JSON.parse(text));
 * tokenizer.decode(tokenizer.encode("Call me Ishmael.")); // "Call me Ishmael."
 */
export function tokenizerFromJson(json: unknown, config: unknown = {}, where = "tokenizer.json"): LoadedTokenizer {
  try {
    return assemble(parseTokenizerJson(json, where), isRecord(config) ? config : {}, where);
  } catch (cause) {
    if (cause instanceof TesseraError) throw cause;
    throw new TesseraError("tokenizer", `${where}: ${messageOf(cause)}`, { cause });
  }
}

function assemble(json: TokenizerJson, config: TokenizerConfig, where: string): LoadedTokenizer {
  const component = <T>(
    field: "normalizer" | "pre_tokenizer" | "post_processor" | "decoder",
    build: (spec: ReturnType<typeof readComponent>) => T,
  ) => (json[field] === null ? undefined : build(readComponent(json[field], `${where}: ${field}`)));

  const vocabulary = vocabularyOf(json, where);
  const { tokens } = vocabulary;
  const specialIds = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));

  const sections = sectionsOf(json.added_tokens, component("normalizer", normalizer) ?? ((text) => text));
  const { split, byteLevel } = component("pre_tokenizer", wordSplitter) ?? wordSplitter(null);
  const model = tokenModel(json.model, vocabulary.model, where);
  const encodeWord = remembering(byteLevel ? (word) => model(toByteAlphabet(utf8.encode(word))) : model);
  const process = component("post_processor", postProcessor) ?? ((texts) => texts);
  const layout = (texts: number, addSpecialTokens: boolean) => process(plainLayout(texts), addSpecialTokens).flat();
  for (const piece of layout(2, true)) {
    const lost = piece.text === undefined ? piece.ids.find((id) => tokens[id] === undefined) : undefined;
    if (lost !== undefined) {
      throw new TesseraError("tokenizer", `${where}: post_processor: it sets the id ${lost}, which has no token`);
    }
  }
  const startDecoding = component("decoder", decoder) ?? decoder(null);

  /** Visits the words of a text in order, each encoded; an added token is a word. */
  function eachWord(text: string, visit: (word: EncodedWord) => void): void {
    for (const section of sections(wellFormed(text))) {
      if (section.id !== undefined) visit({ ids: [section.id], tokens: [section.text] });
      else split(section.text, section.first, (word) => word !== "" && visit(encodeWord(word)));
    }
  }

  const shown = (id: number, skipSpecialTokens: boolean) =>
    skipSpecialTokens && specialIds.has(id) ? undefined : tokens[id];

  return {
    json,
    config,
    vocabSize: tokens.length,
    specialTokens: specialTokensOf(config, vocabulary.idOf),
    specialIds,
    idOf: vocabulary.idOf,
    tokenOf: (id) => tokens[id],
    encode(text, { addSpecialTokens = true } = {}) {
      const ids: number[] = [];
      const append = (word: EncodedWord) => {
        for (const id of word.ids) ids.push(id);
      };
      for (const piece of layout(1, addSpecialTokens)) {
        if (piece.text === undefined) append(piece);
        else eachWord(text, append);
      }
      return ids;
    },
    encoding(text, { addSpecialTokens = true, pair } = {}) {
      const texts = pair === undefined ? [text] : [text, pair];
      const [ids, typeIds, spelled]: [number[], number[], string[]] = [[], [], []];
      for (const piece of layout(texts.length, addSpecialTokens)) {
        const append = (word: EncodedWord) =>
          word.ids.forEach((id, i) => {
            ids.push(id);
            typeIds.push(piece.typeId);
            spelled.push(word.tokens?.[i] ?? tokens[id]!);
          });
        if (piece.text === undefined) append(piece);
        else eachWord(texts[piece.text]!, append);
      }
      return { ids, typeIds, tokens: spelled };
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const known: string[] = [];
      for (const id of ids) {
        const token = shown(id, skipSpecialTokens);
        if (token !== undefined) known.push(token);
      }
      const decoding = startDecoding();
      return decoding.push(known).join("") + decoding.flush().join("");
    },
    stream({ skipSpecialTokens = false, after = [] } = {}) {
      return decodeStream(startDecoding, (id) => shown(id, skipSpecialTokens), after);
    },
  };
}

const utf8 = new TextEncoder();
const rememberedWords = 2 ** 17;
const rememberedLength = 48; // longer words seldom come up again

/** A model that keeps what frequent words became: a text has many times more words than different words. */
function remembering(model: Model): Model {
  const known = new Map<string, EncodedWord>();
  return (word) => {
    const found = known.get(word);
    if (found !== undefined) return found;
    const encoded = model(word);
    if (word.length <= rememberedLength) {
      if (known.size >= rememberedWords) known.clear();
      // A word cut out of a text keeps the text in memory; one that was put together does not.
      known.set(` ${word}`.slice(1), encoded);
    }
    return encoded;
  };
}

/** Reads `bos_token` and its like, each a string or an object with `content`. */
function specialTokensOf(config: TokenizerConfig, idOf: (token: string) => number | undefined): SpecialTokens {
  const idOfField = (token: unknown) => {
    const content = isRecord(token) ? token.content : token;
    return typeof content === "string" ? idOf(content) : undefined;
  };
  return Object.fromEntries(specialRoles.map((role) => [role, idOfField(config[`${role}_token`])])) as SpecialTokens;
}
