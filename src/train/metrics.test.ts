import { describe, expect, it } from "vitest";
import { accuracy, entitiesOf, entityScores, f1, macroF1, pearson } from "./metrics.js";

describe("metrics", () => {
  it("accuracy and F1", () => {
    expect(accuracy([1, 0, 1, 2], [1, 0, 0, 2])).toBe(0.75);
    expect(f1(2, 3, 4)).toBeCloseTo(4 / 7);
    expect(f1(0, 0, 0)).toBe(0);
  });

  // scikit-learn: f1_score([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], average="macro"), the example of its documentation
  it("macro F1 is scikit-learn's", () => {
    expect(macroF1([0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2])).toBeCloseTo(0.26666, 4);
  });

  it("Pearson's correlation", () => {
    expect(pearson([1, 2, 3], [2, 4, 6])).toBeCloseTo(1);
    expect(pearson([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1);
    // Anscombe's first quartet (1973)
    const xs = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
    const ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
    expect(pearson(xs, ys)).toBeCloseTo(0.8164, 4);
    expect(pearson([1, 1], [1, 2])).toBe(0);
  });

  it("entities of IOB2 tags, and of tags without prefixes", () => {
    const entity = (label: string, start: number, end: number) => ({ label, start, end });
    expect(entitiesOf(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"])).toEqual([
      entity("PER", 0, 2),
      entity("LOC", 3, 4),
      entity("LOC", 4, 5),
    ]);
    expect(entitiesOf(["I-PER", "I-LOC"])).toEqual([entity("PER", 0, 1), entity("LOC", 1, 2)]);
    expect(entitiesOf(["X", "X", "O", "X"])).toEqual([entity("X", 0, 2), entity("X", 3, 4)]);
  });

  // seqeval's own example: one of two entities right → f1 0.5
  it("scores entities as seqeval does", () => {
    const expected = [
      ["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"],
      ["B-PER", "I-PER", "O"],
    ];
    const predicted = [
      ["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"],
      ["B-PER", "I-PER", "O"],
    ];
    expect(entityScores(predicted, expected)).toEqual({ precision: 0.5, recall: 0.5, f1: 0.5 });
  });
});
