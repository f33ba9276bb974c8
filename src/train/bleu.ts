import { TesseraError } from "../core/errors.js";

/** Corpus BLEU and what it is made of. */
export interface BleuScore {
  /** 0 … 100. */
  readonly score: number;
  /** Share of the hypotheses' 1-, 2-, 3- and 4-grams that the references have, 0 … 100, smoothed where there is none. */
  readonly precisions: readonly number[];
  /** `min(1, exp(1 − r/c))` for `r` words of references and `c` of hypotheses. */
  readonly brevityPenalty: number;
  readonly hypothesisLength: number;
  readonly referenceLength: number;
}

/** How BLEU counts. */
export interface BleuOptions {
  /** Cuts a text into words. Default {@link tokenize13a}; for a language without spaces pass another, such as `Array.from`. */
  readonly tokenize?: (text: string) => readonly string[];
}

const ORDER = 4;

/**
 * Corpus BLEU: `bp · exp(mean of log precisions)` of 1- to 4-grams, counted over all texts together. Papineni et al. 2002; tokenized and
 * smoothed (a precision without a hit counts as half a hit, the next one as a quarter, …) as sacreBLEU's default, Post 2018:
 * `tok:13a|smooth:exp|eff:no|case:mixed`. As there, it is 0 where no hypothesis has four words, or none is a reference's.
 *
 * @param hypotheses texts, detokenized
 * @param references of each hypothesis one text or several
 * @throws TesseraError `argument` where the two lists differ in length, or a hypothesis has no reference
 * @example bleu(["the cat sat on the mat"], ["the cat sat on a mat"]).score
 */
export function bleu(
  hypotheses: readonly string[],
  references: readonly (string | readonly string[])[],
  { tokenize = tokenize13a }: BleuOptions = {},
): BleuScore {
  const listed = referenceLists("bleu", hypotheses, references);
  const hits = new Array<number>(ORDER).fill(0);
  const totals = new Array<number>(ORDER).fill(0);
  let [hypothesisLength, referenceLength] = [0, 0];
  for (const [i, hypothesis] of hypotheses.entries()) {
    const words = tokenize(hypothesis);
    const others = listed[i]!.map((reference) => tokenize(reference));
    hypothesisLength += words.length;
    referenceLength += closest(
      words.length,
      others.map((other) => other.length),
    );
    for (let n = 1; n <= ORDER; n++) {
      const allowed = others.map((other) => ngramCounts(other, n, " "));
      for (const [ngram, count] of ngramCounts(words, n, " "))
        hits[n - 1]! += Math.min(count, Math.max(...allowed.map((counts) => counts.get(ngram) ?? 0)));
      totals[n - 1]! += Math.max(0, words.length - n + 1);
    }
  }
  const precisions = hits.some((count) => count > 0) ? smoothed(hits, totals) : hits;
  const brevityPenalty =
    hypothesisLength >= referenceLength
      ? 1
      : hypothesisLength === 0
        ? 0
        : Math.exp(1 - referenceLength / hypothesisLength);
  const mean = precisions.reduce((sum, precision) => sum + Math.log(precision), 0) / ORDER;
  return { score: brevityPenalty * Math.exp(mean), precisions, brevityPenalty, hypothesisLength, referenceLength };
}

/** Precisions in percent; those without a hit become 1/2, 1/4, … of a hit. Chen and Cherry 2014, method 3. */
function smoothed(hits: readonly number[], totals: readonly number[]): number[] {
  let share = 1;
  return hits.map((count, i) => {
    if (totals[i] === 0) return 0;
    if (count === 0) share /= 2;
    return (100 * (count === 0 ? share : count)) / totals[i]!;
  });
}

/** The length nearest to another, the shorter of two. */
function closest(length: number, lengths: readonly number[]): number {
  return lengths.reduce((best, other) => {
    const [old, now] = [Math.abs(best - length), Math.abs(other - length)];
    return now < old || (now === old && other < best) ? other : best;
  });
}

/** How often each run of `n` parts occurs. @param glue what the parts of a run are joined with */
export function ngramCounts(parts: readonly string[], n: number, glue: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= parts.length; i++) {
    const ngram = parts.slice(i, i + n).join(glue);
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** The references of each hypothesis as a list. @throws TesseraError `argument` naming the metric */
export function referenceLists(
  where: string,
  hypotheses: readonly string[],
  references: readonly (string | readonly string[])[],
): readonly (readonly string[])[] {
  if (hypotheses.length !== references.length)
    throw new TesseraError(
      "argument",
      `${where}: every hypothesis needs its references (${hypotheses.length} hypotheses vs ${references.length})`,
    );
  const lists = references.map((reference) => (typeof reference === "string" ? [reference] : reference));
  const bare = lists.findIndex((list) => list.length === 0);
  if (bare >= 0) throw new TesseraError("argument", `${where}: hypothesis ${bare} has no reference`);
  return lists;
}

/**
 * The words of a text as WMT's scorer cuts them (mteval-v13a; sacreBLEU's `13a`): punctuation apart, but for hyphens and apostrophes
 * within words and for points and commas within numbers; HTML entities resolved.
 *
 * @example tokenize13a("It isn't 1,000-fold.") // ["It", "isn't", "1,000", "-", "fold", "."]
 */
export function tokenize13a(text: string): string[] {
  const plain = text
    .trimEnd()
    .replaceAll("<skipped>", "")
    .replaceAll("-\n", "")
    .replaceAll("\n", " ")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">");
  return ` ${plain} `
    .replace(/[!-&(-+/:-@[-`{-~]/g, " $& ")
    .replace(/([^0-9])([.,])/gu, "$1 $2 ")
    .replace(/([.,])([^0-9])/gu, " $1 $2")
    .replace(/([0-9])-/g, "$1 - ")
    .split(/\s+/)
    .filter((word) => word !== "");
}
