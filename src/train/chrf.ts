import { ngramCounts, referenceLists } from "./bleu.js";

/** How chrF counts. */
export interface ChrfOptions {
  /** Longest runs of characters. Default 6. */
  readonly order?: number;
  /** How much more recall weighs than precision. Default 2. */
  readonly beta?: number;
}

/** Of runs of one length: those of the hypotheses, of the references, and of both. */
type Counts = readonly [hypothesis: number, reference: number, both: number];

/**
 * Corpus chrF: the F-score of character n-grams, `(1 + β²) P R / (β² P + R)` of precision and recall, each the mean over the lengths of
 * runs that both sides have. White space does not count. 0 … 100, as sacreBLEU's `chrF2|nc:6|nw:0|space:no`. Popović 2015.
 *
 * @param references of each hypothesis one text or several, of which the best fitting counts
 * @throws TesseraError `argument` where the two lists differ in length, or a hypothesis has no reference
 * @example chrf(["the cat sat on the mat"], ["the cat sat on a mat"])
 */
export function chrf(
  hypotheses: readonly string[],
  references: readonly (string | readonly string[])[],
  { order = 6, beta = 2 }: ChrfOptions = {},
): number {
  let sums: readonly Counts[] = Array.from({ length: order }, () => [0, 0, 0]);
  for (const [i, list] of referenceLists("chrf", hypotheses, references).entries()) {
    const candidates = list.map((reference) => countsOf(hypotheses[i]!, reference, order));
    const best = candidates.reduce((a, b) => (fScore(b, beta) > fScore(a, beta) ? b : a));
    sums = sums.map((sum, n) => [sum[0] + best[n]![0], sum[1] + best[n]![1], sum[2] + best[n]![2]]);
  }
  return fScore(sums, beta);
}

function countsOf(hypothesis: string, reference: string, order: number): readonly Counts[] {
  const [ours, theirs] = [hypothesis, reference].map((text) => Array.from(text.replace(/\s+/g, "")));
  return Array.from({ length: order }, (_, i) => {
    const [found, wanted] = [ngramCounts(ours!, i + 1, ""), ngramCounts(theirs!, i + 1, "")];
    if (wanted.size === 0) return [0, 0, 0]; // there is nothing to hit
    let both = 0;
    for (const [ngram, count] of found) both += Math.min(count, wanted.get(ngram) ?? 0);
    return [Math.max(0, ours!.length - i), theirs!.length - i, both];
  });
}

function fScore(counts: readonly Counts[], beta: number): number {
  const present = counts.filter(([ours, theirs]) => ours > 0 && theirs > 0);
  const mean = (share: (of: Counts) => number) => present.reduce((sum, of) => sum + share(of), 0) / present.length;
  const [precision, recall] = [mean(([ours, , both]) => both / ours), mean(([, theirs, both]) => both / theirs)];
  return precision + recall > 0 ? (100 * (1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall) : 0;
}
