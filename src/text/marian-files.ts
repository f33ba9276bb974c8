import { TesseraError } from "../core/errors.js";
import { shown } from "./component.js";
import type { NamedTokens } from "./named-tokens.js";
import type { SentencePieceModel } from "./sentencepiece-model.js";
import { templateProcessing } from "./template.js";
import type { TokenizerJson } from "./tokenizer-json.js";

const languageCode = /^>>.+<<$/;
const farAway = 100; // log-probability between what is chosen last and what is never chosen

/**
 * The tokenizer.json of a Marian model that is kept as source.spm and vocab.json (Tiedemann & Thottingal 2020). A text is segmented
 * into the pieces of source.spm, whose ids are those in vocab.json, and followed by the end token; ids are decoded with all
 * pieces in vocab.json, so with the target's. `>>fra<<` and its like are one token each, wherever they stand.
 *
 * vocab.json has the target's pieces, too, which a source text must not be segmented into; yet a character that source.spm does not
 * know has its id from there. A Unigram vocabulary says both:
 *
 * - Pieces of source.spm have their scores. (Those without an id in vocab.json are left out: a text is spelled with others then.)
 * - Other single characters that source.spm does not know have the lowest of these scores.
 * - All other tokens score less than single characters could add up to.
 * - Unknown characters without an id, and runs of several, are replaced by a character that is in no piece, and that is `<unk>`.
 *   (transformers would find the id of such a run if the target had the whole run for a piece.)
 *
 * @param vocab vocab.json
 * @param where what messages call the directory
 * @throws TesseraError `tokenizer` for files that contradict each other, `unsupported` for a SentencePiece model of another kind
 */
export function marianJson(
  model: SentencePieceModel,
  vocab: ReadonlyMap<string, number>,
  { added, roles, idOf }: NamedTokens,
  where: string,
): TokenizerJson {
  refuseOtherKinds(model, `${where}/source.spm`);
  const { normalizer } = model;
  const tokens = inOrder(vocab, `${where}/vocab.json`);
  const scores = new Map(
    model.pieces
      .filter(({ piece, type }) => type === "normal" && vocab.has(piece))
      .map(({ piece, score }) => [piece, score]),
  );
  if (scores.size === 0)
    throw new TesseraError(
      "tokenizer",
      `${where}/vocab.json: none of the ${model.pieces.length} pieces of source.spm is among its ${vocab.size} tokens`,
    );
  const known = new Set([...scores.keys()].flatMap((piece) => [...piece]).concat(" ", "▁"));
  const codes = tokens.filter((token) => languageCode.test(token));
  const named = new Set([...codes, ...added.map(({ content }) => content)]);
  const foreign = tokens.filter((token) => [...token].length === 1 && !named.has(token) && !known.has(token));

  const lowest = [...scores.values()].reduce((least, score) => Math.min(least, score), -1);
  const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
  const never = lowest * (longest + 1) - farAway;
  for (const token of foreign) scores.set(token, lowest);

  const space = { type: "Metaspace", replacement: "▁", prepend_scheme: normalizer.addDummyPrefix ? "always" : "never" };
  const spaceInside = [...scores.keys()].some((piece) => piece.lastIndexOf("▁") > 0);
  const code = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      ...added,
      ...codes
        .filter((content) => !added.some((a) => a.content === content))
        .map((content) => ({ id: vocab.get(content)!, content, ...code })),
    ].sort((a, b) => a.id - b.id),
    normalizer: {
      type: "Sequence",
      normalizers: [
        ...rewriting(normalizer, `${where}/source.spm`),
        ...(normalizer.removeExtraSpaces
          ? [
              { type: "Strip", strip_left: true, strip_right: true },
              { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
            ]
          : []),
        { type: "Replace", pattern: { Regex: unknownText(known, foreign) }, content: inNone(tokens) },
      ],
    },
    pre_tokenizer: { ...space, split: !spaceInside },
    post_processor: templateProcessing(`$A ${roles.eos}`, `$A $B ${roles.eos}`, idOf),
    decoder: { ...space, split: !spaceInside },
    model: {
      type: "Unigram",
      unk_id: vocab.get(roles.unk!) ?? unknownLost(`${where}/vocab.json`, roles.unk!),
      vocab: tokens.map((token) => [token, scores.get(token) ?? never]),
      byte_fallback: false,
    },
  };
}

function unknownLost(where: string, token: string): never {
  throw new TesseraError("tokenizer", `${where}: the unknown token ${shown(token)} is not in it`);
}

function refuseOtherKinds({ algorithm, pieces, spaceAsSuffix, normalizer }: SentencePieceModel, where: string): void {
  const odd = pieces.find(({ type }) => type === "user-defined" || type === "byte");
  const what =
    algorithm !== "unigram"
      ? `a model of the kind ${algorithm} (unigram is read)`
      : odd !== undefined
        ? `a ${odd.type} piece, ${shown(odd.piece)}`
        : spaceAsSuffix
          ? "spaces are written behind words (treat_whitespace_as_suffix)"
          : normalizer.escapeSpaces
            ? undefined
            : "spaces are not written ▁ (escape_whitespaces is false)";
  if (what !== undefined) throw new TesseraError("unsupported", `${where}: ${what}, which is not supported`);
}

/** The normalizer of the rules in the file. Tokenizers here know what the two usual sets of them do; others would be taken for these. */
function rewriting({ name, charsmap }: SentencePieceModel["normalizer"], where: string): readonly object[] {
  if (charsmap.length === 0) return [];
  if (name === "nfkc") return [{ type: "NFKC" }];
  if (name !== "nmt_nfkc")
    throw new TesseraError(
      "unsupported",
      `${where}: texts are rewritten by the rules ${shown(name)}, which are not supported (nmt_nfkc, nfkc and identity are)`,
    );
  return [{ type: "Precompiled", precompiled_charsmap: base64(charsmap) }];
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The tokens by id: a Unigram model has no other place for ids than the order of its vocabulary. */
function inOrder(vocab: ReadonlyMap<string, number>, where: string): readonly string[] {
  const tokens: (string | undefined)[] = new Array(vocab.size);
  for (const [token, id] of vocab) {
    const other = tokens[id];
    if (id >= vocab.size || other !== undefined)
      throw new TesseraError(
        "tokenizer",
        `${where}: expected the ids 0 to ${vocab.size - 1} once each, got ${id} for ${shown(token)}${other === undefined ? "" : ` and ${shown(other)}`}`,
      );
    tokens[id] = token;
  }
  return tokens as readonly string[];
}

/** An expression for runs of several characters that are not known, and for single ones that are not among the `foreign` either. */
function unknownText(known: ReadonlySet<string>, foreign: readonly string[]): string {
  return `[^${ranges([...known])}]{2,}|[^${ranges([...known, ...foreign])}]`;
}

/** Characters as the inside of a class, for JavaScript and Oniguruma alike. */
function ranges(chars: readonly string[]): string {
  const codes = [...new Set(chars)].map((char) => char.codePointAt(0)!).sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const code of codes) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === code - 1) run[1] = code;
    else runs.push([code, code]);
  }
  const char = (code: number) => String.fromCodePoint(code).replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  return runs.map(([from, to]) => (from === to ? char(from) : `${char(from)}-${char(to)}`)).join("");
}

/** A character that is in no token: SentencePiece's sign for unknown text, ⁇, if it can be had. */
function inNone(tokens: readonly string[]): string {
  const used = new Set(tokens.flatMap((token) => [...token]));
  let code = 0x2047;
  while (used.has(String.fromCodePoint(code))) code = code === 0x2047 ? 0xe000 : code + 1;
  return String.fromCodePoint(code);
}
