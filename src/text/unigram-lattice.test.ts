import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wordText } from "./frequent-substrings.js";
import { logShares } from "./train-unigram.js";
import { unigram } from "./unigram.js";
import {
  alternativeTo,
  bestCounts,
  expectedCounts,
  type Lattice,
  seedLattice,
  spelling,
  withPieces,
} from "./unigram-lattice.js";

const word = fc.array(fc.constantFrom(..."aaab月😀"), { minLength: 1, maxLength: 8 }).map((chars) => chars.join(""));
const corpus = fc
  .dictionary(word, fc.integer({ min: 1, max: 5 }), { minKeys: 1, maxKeys: 6 })
  .map((dictionary) => new Map(Object.entries(dictionary)));

const seeds = (wordCounts: ReadonlyMap<string, number>) => {
  const { lattice, weights } = seedLattice(wordText(wordCounts), 4, 1000);
  return { lattice, logProbs: logShares(weights) };
};
const spellings = (lattice: Lattice) => Array.from(lattice.lengths.keys(), (piece) => spelling(lattice, piece));

/** Every way to write a word in pieces. */
function ways(text: string, pieces: readonly string[]): number[][] {
  if (text === "") return [[]];
  return pieces.flatMap((piece, i) =>
    text.startsWith(piece) ? ways(text.slice(piece.length), pieces).map((rest) => [i, ...rest]) : [],
  );
}

const score = (way: readonly number[], logProbs: Float64Array) => way.reduce((sum, piece) => sum + logProbs[piece]!, 0);

describe("the lattice of a unigram model", () => {
  it("expects what enumerating every segmentation expects", () => {
    fc.assert(
      fc.property(corpus, (wordCounts) => {
        const { lattice, logProbs } = seeds(wordCounts);
        const pieces = spellings(lattice);
        const expected = new Float64Array(pieces.length);
        let logLikelihood = 0;
        for (const [text, count] of wordCounts) {
          const all = ways(text, pieces);
          const total = all.reduce((sum, way) => sum + Math.exp(score(way, logProbs)), 0);
          logLikelihood += count * Math.log(total);
          for (const way of all)
            for (const piece of way) expected[piece]! += (count * Math.exp(score(way, logProbs))) / total;
        }
        const got = expectedCounts(lattice, logProbs);
        expect(got.logLikelihood).toBeCloseTo(logLikelihood, 8);
        got.counts.forEach((count, piece) => {
          expect(count).toBeCloseTo(expected[piece]!, 8);
        });
      }),
      { numRuns: 100 },
    );
  });

  it("takes the best segmentation, with and without a piece", () => {
    fc.assert(
      fc.property(corpus, (wordCounts) => {
        const { lattice, logProbs } = seeds(wordCounts);
        const pieces = spellings(lattice);
        const best = (text: string, without = -1) =>
          Math.max(
            ...ways(text, pieces)
              .filter((way) => !way.includes(without))
              .map((way) => score(way, logProbs)),
          );
        const total = [...wordCounts].reduce((sum, [text, count]) => sum + count * best(text), 0);
        const counts = bestCounts(lattice, logProbs);
        expect(counts.reduce((sum, count, piece) => sum + count * logProbs[piece]!, 0)).toBeCloseTo(total, 8);
        pieces.forEach((text, piece) => {
          if (lattice.lengths[piece] === 1) return;
          const way = alternativeTo(lattice, logProbs, piece);
          expect(way.map((other) => pieces[other]).join("")).toBe(text);
          expect(score(way, logProbs)).toBeCloseTo(best(text, piece), 8);
        });
      }),
      { numRuns: 100 },
    );
  });

  it("grows likelier with every step of EM", () => {
    fc.assert(
      fc.property(corpus, (wordCounts) => {
        const { lattice, logProbs } = seeds(wordCounts);
        let now = logProbs;
        let before = Number.NEGATIVE_INFINITY;
        for (let step = 0; step < 10; step++) {
          const { counts, logLikelihood } = expectedCounts(lattice, now);
          expect(logLikelihood).toBeGreaterThanOrEqual(before - 1e-6);
          before = logLikelihood;
          now = logShares(counts);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("keeps only the pieces it is told to, in their order", () => {
    fc.assert(
      fc.property(corpus, fc.integer({ min: 2, max: 5 }), (wordCounts, n) => {
        const { lattice, logProbs } = seeds(wordCounts);
        const kept = (piece: number) => lattice.lengths[piece] === 1 || piece % n === 0;
        const smaller = withPieces(lattice, kept);
        expect(spellings(smaller)).toEqual(spellings(lattice).filter((_, piece) => kept(piece)));
        const scores = logProbs.filter((_, piece) => kept(piece));
        for (const text of wordCounts.keys()) {
          const all = ways(text, spellings(smaller)).map((way) => score(way, scores));
          const one = withPieces({ ...smaller, ...alone(wordCounts, text) }, () => true);
          expect(expectedCounts(one, scores).logLikelihood).toBeCloseTo(
            Math.log(all.reduce((sum, s) => sum + Math.exp(s), 0)),
            8,
          );
        }
      }),
      { numRuns: 100 },
    );
  });

  /** The counts that leave one word. */
  function alone(wordCounts: ReadonlyMap<string, number>, text: string) {
    return { counts: Float64Array.from(wordCounts.keys(), (other) => (other === text ? 1 : 0)) };
  }
});

describe("unigram", () => {
  it("segments as the best of all segmentations", () => {
    fc.assert(
      fc.property(corpus, (wordCounts) => {
        const { lattice, logProbs } = seeds(wordCounts);
        const pieces = spellings(lattice);
        const segment = unigram(pieces.map((text, piece) => [text, logProbs[piece]!] as const));
        for (const text of wordCounts.keys()) {
          const best = Math.max(...ways(text, pieces).map((way) => score(way, logProbs)));
          expect(score(segment(text).ids as number[], logProbs)).toBeCloseTo(best, 8);
        }
      }),
      { numRuns: 100 },
    );
  });
});
