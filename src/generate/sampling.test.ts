import { describe, expect, it } from "vitest";
import { topK } from "./logits-processors.js";
import { argmax, sampler } from "./sampling.js";

const logits = (probabilities: readonly number[]) => Float32Array.from(probabilities, Math.log);

describe("argmax", () => {
  it("takes the first of the largest", () => {
    expect(argmax(Float32Array.of(1, 3, 2, 3))).toBe(1);
    expect(argmax(Float32Array.of(Number.NEGATIVE_INFINITY, -5))).toBe(1);
    expect(argmax(Float32Array.of(Number.NaN, -5, Number.NaN))).toBe(1);
  });

  it("refuses what leaves no choice", () => {
    expect(() => argmax(new Float32Array(3).fill(Number.NEGATIVE_INFINITY))).toThrow("every token is banned");
    expect(() => argmax(new Float32Array(3).fill(Number.NaN))).toThrow("not numbers");
  });
});

describe("sampler", () => {
  it("draws tokens as often as they are probable", () => {
    const probabilities = [0.02, 0.38, 0, 0.1, 0.25, 0.25];
    const draw = sampler(42);
    const n = 40_000;
    const counts = probabilities.map(() => 0);
    for (let i = 0; i < n; i++) counts[draw(logits(probabilities))]!++;
    expect(counts[2]).toBe(0);
    const chi2 = counts.reduce(
      (sum, c, i) => (probabilities[i] ? sum + (c - n * probabilities[i]) ** 2 / (n * probabilities[i]) : sum),
      0,
    );
    expect(chi2).toBeLessThan(18.5); // 4 degrees of freedom: exceeded once in a thousand seeds
  });

  it("draws the same with the same seed and others with another", () => {
    const even = Array(50).fill(0.02);
    const run = (seed: number) => {
      const draw = sampler(seed);
      return Array.from({ length: 40 }, () => draw(logits(even)));
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    expect(run(2 ** 40 + 7)).not.toEqual(run(7));
    expect(new Set(run(7)).size).toBeGreaterThan(15);
  });

  it("never draws a banned token", () => {
    const draw = sampler(1);
    const three = topK(3);
    for (let i = 0; i < 500; i++) {
      const x = logits([0.1, 0.2, 0.3, 0.05, 0.35]);
      three(x, []);
      expect([1, 2, 4]).toContain(draw(x));
    }
  });
});
