import { describe, expect, test } from "vitest";
import { type RotaryScaling, rotaryFrequencies } from "./rotary-scaling.js";

/** Computed with PyTorch 1.13 in float32 by transformers' formulas: heads of 16, base 10,000. */
const recorded: readonly (readonly [RotaryScaling, readonly number[], number])[] = [
  [
    { type: "linear", factor: 4 },
    [0.25, 0.079056941, 0.025, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-5],
    1,
  ],
  [
    { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, length: 512 },
    [1, 0.31622776, 0.1, 0.018496677, 0.00125, 0.00039528473, 0.00012500001, 3.9528473e-5],
    1,
  ],
  [
    { type: "yarn", factor: 4, length: 512 },
    [1, 0.25693506, 0.0625, 0.013834965, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-5],
    1.138629436111989,
  ],
  [
    { type: "yarn", factor: 4, length: 512, mscale: [0.7, 1.2], betaFast: 8, betaSlow: 2, truncate: false },
    [1, 0.31622776, 0.1, 0.012241319, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-5],
    0.9405715251010841,
  ],
];

describe("frequencies", () => {
  test.each(recorded)("%j", (scaling, expected, factor) => {
    const got = rotaryFrequencies(16, 10000, scaling);
    expect(got.factor).toBeCloseTo(factor, 12);
    expect(got.frequencies).toHaveLength(8);
    for (const [j, x] of expected.entries()) expect(Math.abs(got.frequencies[j]! / x - 1)).toBeLessThan(2e-7);
  });

  test("are base^(−2j/d), to the last bit of PyTorch's float32", () => {
    const { frequencies } = rotaryFrequencies(64, 500000, { type: "default" });
    expect([...frequencies].slice(0, 6)).toEqual([
      1, 0.663601279258728, 0.44036662578582764, 0.2922278344631195, 0.193922758102417, 0.12868738174438477,
    ]);
  });

  test("an odd number of rotated elements has a pair more than half of it", () => {
    const { frequencies } = rotaryFrequencies(5, 100, { type: "default" });
    expect([...frequencies].map((x) => Math.log(x) / Math.log(100))).toEqual(
      [0, -2 / 5, -4 / 5].map((x) => expect.closeTo(x, 6)),
    );
  });

  test("yarn with a given factor of attention, and without stretching", () => {
    expect(rotaryFrequencies(8, 100, { type: "yarn", factor: 4, length: 64, attentionFactor: 1.3 }).factor).toBe(1.3);
    const none = rotaryFrequencies(8, 100, { type: "yarn", factor: 1, length: 64 });
    expect(none.factor).toBe(1);
    const plain = rotaryFrequencies(8, 100, { type: "default" }).frequencies;
    for (const [j, x] of none.frequencies.entries()) expect(x).toBeCloseTo(plain[j]!, 6);
  });
});
