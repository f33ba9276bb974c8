import { describe, expect, it } from "vitest";
import { answerSpans } from "./answer-spans.js";

describe("answerSpans", () => {
  const starts = [3, 0.5, 1, 2, 0.2, 0.1, 1.4, 0, 0.3];
  const ends = [2.5, 0.1, 0.3, 1, 2.2, 0.4, 0.2, 1.9, 0.5];
  const eligible = [true, false, false, true, true, true, true, true, false];

  it("scores as transformers 4.57's own code does", () => {
    const { candidates, nullScore } = answerSpans(starts, ends, eligible, 3, 4);
    expect(candidates.map(({ start, end, score }) => [start, end, Number(score.toFixed(8))])).toEqual([
      [3, 4, 0.05740976],
      [6, 7, 0.02334107],
      [3, 3, 0.01729149],
      [4, 4, 0.00948977],
    ]);
    expect(nullScore).toBeCloseTo(0.21065342969925888, 12);
  });

  it("keeps to the length and to what may answer", () => {
    const { candidates } = answerSpans(starts, ends, eligible, 1, 100);
    expect(candidates.map(({ start }) => start).sort()).toEqual([3, 4, 5, 6, 7]);
    expect(candidates.every(({ start, end }) => start === end)).toBe(true);
    expect(answerSpans([1, 2], [1, 2], [true, false], 15, 1).candidates).toEqual([]);
  });
});
