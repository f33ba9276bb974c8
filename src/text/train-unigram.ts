import { TesseraError } from "../core/errors.js";
import { wordText } from "./frequent-substrings.js";
import { addedSpecialTokens, configOf } from "./special-tokens.js";
import { templateProcessing } from "./template.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import {
  alternativeTo,
  bestCounts,
  expectedCounts,
  type Lattice,
  seedLattice,
  spelling,
  withPieces,
} from "./unigram-lattice.js";
import { countWords, type WordParts } from "./word-counts.js";

/** What a trained unigram vocabulary is to look like. */
export interface UnigramOptions {
  /** Tokens in all: special tokens, sentinels, all characters, longer pieces. A small corpus may yield fewer. */
  readonly vocabSize: number;
  /** How many sentinels `<extra_id_0>` … there are; they take the last ids, `<extra_id_0>` the very last. T5 has 100. Default 0. */
  readonly sentinels?: number;
  /** Special tokens without a role, after `<pad>`, `</s>` and `<unk>`. Default: none. */
  readonly extraTokens?: readonly string[];
  /** How long a piece can be, in characters, the mark of a word's start included. Default 16. */
  readonly maxPieceLength?: number;
  /** Told after every pruning how many of how many superfluous pieces are gone. */
  readonly onProgress?: (pruned: number, of: number) => void;
}

const [pad, eos, unk] = ["<pad>", "</s>", "<unk>"] as const;
const unkId = 2;
const seedSize = 1_000_000; // SentencePiece's
const shrinkingFactor = 0.75;
const stepsPerPruning = 2;
const rarelySeen = 0.5; // as often counts in the end what the corpus needs less often

/**
 * Trains a unigram tokenizer (Kudo 2018, section 3.2), framed as T5's: from the corpus' frequent substrings, EM estimates how
 * likely each piece is, those whose loss costs the likelihood least are dropped, a quarter at a time, and so on until `vocabSize`
 * is reached. Single characters are never dropped. Scores are log-probabilities and sum to one over the pieces. Texts are brought
 * into NFKC and their white space to single spaces; `▁` marks where words start; characters that the corpus does not have are `<unk>`.
 * `<pad>`, `</s>`, `<unk>` have the ids 0 to 2, and a text is encoded as `text </s>`, a pair as `text </s> pair </s>`.
 *
 * @param texts the corpus; words do not reach across the end of a text
 * @returns the tokenizer; its `json` and `config` are what to save
 * @throws TesseraError `argument` for a vocabulary that cannot hold the special tokens and all characters, `data` for a
 * corpus without any text
 * @example
 * const tokenizer = trainUnigram([corpus], { vocabSize: 8192, sentinels: 100 });
 */
export function trainUnigram(texts: Iterable<string>, options: UnigramOptions): LoadedTokenizer {
  const { vocabSize, sentinels = 0, extraTokens = [], maxPieceLength = 16, onProgress = () => {} } = options;
  for (const [name, value, least] of [
    ["vocabSize", vocabSize, 1],
    ["sentinels", sentinels, 0],
    ["maxPieceLength", maxPieceLength, 1],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least)
      throw new TesseraError(
        "argument",
        `trainUnigram: ${name} must be a whole number of at least ${least}, got ${value}`,
      );
  }
  const sentinel = Array.from({ length: sentinels }, (_, i) => `<extra_id_${i}>`);
  const first = addedSpecialTokens({ additional: [pad, eos, unk, ...extraTokens] });
  const fixed = new Set([...first.map(({ content }) => content), ...sentinel]);
  const parts = (pieces: number): WordParts => ({
    added_tokens: [
      ...first,
      ...[...sentinel].reverse().map((content, i) => ({ ...first[0]!, id: first.length + pieces + i, content })),
    ],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFKC" },
        { type: "Replace", pattern: { Regex: "\\p{White_Space}+" }, content: " " },
        { type: "Strip", strip_left: true, strip_right: true },
      ],
    },
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  });

  const { lattice, weights } = seedLattice(
    wordText(countWords(texts, parts(0), "trainUnigram")),
    maxPieceLength,
    seedSize,
  );
  const characters = lattice.lengths.filter((length) => length === 1).length;
  const target = vocabSize - fixed.size;
  if (target < characters) {
    throw new TesseraError(
      "argument",
      `trainUnigram: vocabSize is too small, ${vocabSize} for ${fixed.size} special tokens and ${characters} characters (at least ${fixed.size + characters})`,
    );
  }
  const model = pruned(lattice, weights, target, onProgress);
  const pieces = Array.from(model.logProbs, (score, piece) => [spelling(model.lattice, piece), score] as const)
    .filter(([piece]) => !fixed.has(piece)) // compatibility characters may spell one
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const ids = new Map([...fixed].map((token, id) => [token, id]));
  return tokenizerFromJson(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      ...parts(pieces.length),
      post_processor: templateProcessing(`$A ${eos}`, `$A ${eos} $B ${eos}`, (token) => ids.get(token)),
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      model: {
        type: "Unigram",
        unk_id: unkId,
        vocab: [
          ...first.map(({ content }) => [content, 0] as const),
          ...pieces,
          ...[...sentinel].reverse().map((content) => [content, 0] as const),
        ],
        byte_fallback: false,
      },
    },
    configOf({ eos, unk, pad, ...(fixed.size > 3 ? { additional: [...sentinel, ...extraTokens] } : {}) }),
  );
}

/** Estimates and prunes by turns until `target` pieces are left. */
function pruned(
  seeds: Lattice,
  weights: Float64Array,
  target: number,
  onProgress: (pruned: number, of: number) => void,
): { readonly lattice: Lattice; readonly logProbs: Float64Array } {
  const superfluous = Math.max(0, seeds.lengths.length - target);
  let lattice = seeds;
  let logProbs = estimated(lattice, logShares(weights));
  while (lattice.lengths.length > target) {
    const keep = keepers(lattice, logProbs, target);
    logProbs = logProbs.filter((_, piece) => keep(piece));
    lattice = withPieces(lattice, keep);
    logProbs = estimated(lattice, logProbs);
    onProgress(Math.min(superfluous, seeds.lengths.length - lattice.lengths.length), superfluous);
  }
  return { lattice, logProbs: logShares(expectedCounts(lattice, logProbs).counts, rarelySeen) };
}

/** A few steps of EM. */
function estimated(lattice: Lattice, logProbs: Float64Array): Float64Array {
  let now = logProbs;
  for (let step = 0; step < stepsPerPruning; step++) now = logShares(expectedCounts(lattice, now).counts);
  return now;
}

/**
 * The maximization step of EM: the logarithm of each count's share in their sum.
 *
 * @param least what a count is at least: a character that longer pieces always cover needs a finite score, too
 */
export function logShares(counts: Float64Array, least = 1e-9): Float64Array {
  const raised = counts.map((count) => Math.max(count, least));
  const logSum = Math.log(raised.reduce((sum, count) => sum + count, 0));
  return raised.map((count) => Math.log(count) - logSum);
}

/**
 * Which pieces stay when a vocabulary shrinks by a quarter, but not below `target`: all characters, and the longer pieces without
 * which the corpus, each word written in its most likely way, would lose most of its likelihood, the best alternative
 * taking a piece's place. Pieces that are in no most likely way only stay as far as the target needs them.
 */
function keepers(lattice: Lattice, logProbs: Float64Array, target: number): (piece: number) => boolean {
  const counts = bestCounts(lattice, logProbs);
  const sum = counts.reduce((total, count) => total + count, 0);
  const loss = (piece: number): number => {
    const count = counts[piece]!;
    if (count === 0) return Number.NEGATIVE_INFINITY;
    const instead = alternativeTo(lattice, logProbs, piece);
    const logSum = Math.log(sum + count * (instead.length - 1));
    const logInstead = instead.reduce((total, other) => total + Math.log(counts[other]! + count) - logSum, 0);
    return count * (Math.log(count / sum) - logInstead);
  };
  const longer = Array.from(lattice.lengths.keys())
    .filter((piece) => lattice.lengths[piece]! > 1)
    .map((piece) => ({ piece, loss: loss(piece) }))
    // Two infinite losses have no difference.
    .sort((a, b) => b.loss - a.loss || logProbs[b.piece]! - logProbs[a.piece]! || a.piece - b.piece);
  const characters = lattice.lengths.length - longer.length;
  const size = Math.max(target, Math.floor(lattice.lengths.length * shrinkingFactor));
  const used = longer.filter((entry) => entry.loss > Number.NEGATIVE_INFINITY).length;
  const kept = new Set(
    longer.slice(0, Math.min(size, Math.max(target, used + characters)) - characters).map(({ piece }) => piece),
  );
  return (piece) => lattice.lengths[piece] === 1 || kept.has(piece);
}
