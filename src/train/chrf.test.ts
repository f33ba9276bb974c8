import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chrf } from "./chrf.js";

describe("chrF as sacreBLEU documents it", () => {
  it("of several references: the example of its README", () => {
    const score = chrf(
      ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."],
      [
        ["The dog bit the man.", "The dog had bit the man."],
        ["It was not unexpected.", "No one was surprised."],
        ["The man bit him first.", "The man had bitten the dog."],
      ],
    );
    expect(score.toFixed(2)).toBe("59.73");
  });

  it("of two texts: the example of Hugging Face's metric card", () => {
    const score = chrf(
      [
        "The relationship between cats and dogs is not exactly friendly.",
        "a good bookshop is just a genteel black hole that knows how to read.",
      ],
      [
        "The relationship between dogs and cats is not exactly friendly.",
        "A good bookshop is just a genteel Black Hole that knows how to read.",
      ],
    );
    expect(score).toBeCloseTo(84.64214891738334, 10);
  });

  it.each([
    [["a"], ["a"], 100],
    [[""], ["reference"], 0],
    [["a b c"], ["a b c"], 100],
    [["a b c"], ["abc"], 100],
    [[""], ["c"], 0],
    [["a", "b"], ["a", "c"], 50],
    [["aa"], ["ab"], 25],
  ])("of %j and %j, with beta 3", (hypotheses, references, score) => {
    expect(chrf(hypotheses, references, { beta: 3 })).toBeCloseTo(score, 4);
  });

  it.each([
    [
      "risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists .",
      "risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists .",
    ],
  ])("weighs recall as beta says: %s", (hypothesis, reference) => {
    // With beta 0 only precision counts, and the larger beta, the more recall does: the longer text of the two as hypothesis gains.
    const of = (beta: number) => [chrf([hypothesis], [reference], { beta }), chrf([reference], [hypothesis], { beta })];
    const [precision, recall] = of(0) as [number, number];
    expect(of(1)[0]).toBeCloseTo((2 * precision * recall) / (precision + recall), 10);
    expect(of(1000)[0]).toBeCloseTo(recall, 3);
  });
});

describe("chrF", () => {
  it("by hand", () => {
    // Characters: 3 of 4 and 3 of 4; pairs: 2 of 3 (ab, bc) on both sides; triples 1 of 2; quadruples 0 of 1: all means equal.
    expect(chrf(["abcx"], ["abcd"])).toBeCloseTo((100 * (0.75 + 2 / 3 + 0.5 + 0)) / 4, 10);
    // Precision 1 and recall (2/4 + 1/3)/2 of the two lengths that both sides have.
    const recall = (2 / 4 + 1 / 3) / 2;
    expect(chrf(["ab"], ["abcd"])).toBeCloseTo((100 * 5 * recall) / (4 + recall), 10);
    // One character, not two units of UTF-16: nothing in common.
    expect(chrf(["🚢"], ["🚣"])).toBe(0);
    expect(chrf(["床前明月光"], ["床前明月光"])).toBe(100);
  });

  const text = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }).filter((s) => s.trim() !== "");
  const pairs = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 6 });
  const scoreOf = (all: readonly (readonly [string, string])[]) =>
    chrf(
      all.map(([a]) => a),
      all.map(([, b]) => b),
    );

  it("is 100 for equal texts, 0 for texts without a common character, and does not depend on their order", () =>
    fc.assert(
      fc.property(pairs, (all) => {
        expect(scoreOf(all.map(([a]) => [a, a]))).toBeCloseTo(100, 9);
        expect(scoreOf(all.map(([a]) => [a.replace(/\P{ASCII}/gu, "e"), "Ж".repeat(3)]))).toBe(0);
        const score = scoreOf(all);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100 + 1e-9);
        expect(scoreOf([...all].reverse())).toBeCloseTo(score, 9);
      }),
    ));

  it("takes the reference that fits best", () => {
    expect(chrf(["whale"], [["ship", "whale", "sea"]])).toBe(100);
  });

  it("refuses texts without a reference", () => {
    expect(() => chrf(["a"], [])).toThrow("chrf: every hypothesis needs its references (1 hypotheses vs 0)");
  });
});
