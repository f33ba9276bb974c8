import fc from "fast-check";
import { expect, it } from "vitest";
import { decayNames, schedule } from "./schedule.js";

it("rises linearly, then falls along a cosine to the floor and stays there", () => {
  const rate = schedule("cosine", { peak: 1, floor: 0.1, warmupSteps: 4, totalSteps: 12 });
  expect([0, 1, 3, 4].map(rate)).toEqual([0.25, 0.5, 1, 1]);
  expect(rate(6)).toBeCloseTo(0.1 + (0.9 * (1 + Math.SQRT1_2)) / 2, 12);
  expect(rate(8)).toBeCloseTo(0.55, 12);
  expect(rate(12)).toBeCloseTo(0.1, 12);
  expect(rate(1000)).toBeCloseTo(0.1, 12);
});

it("falls along a line, or not at all", () => {
  expect([0, 5, 10].map(schedule("linear", { peak: 1, totalSteps: 10 }))).toEqual([1, 0.5, 0]);
  expect([0, 5, 10].map(schedule("constant", { peak: 1, floor: 0.5, totalSteps: 10 }))).toEqual([1, 1, 1]);
});

it("never leaves the range, and never rises after the warm-up", () => {
  const length = fc.integer({ min: 0, max: 50 });
  fc.assert(
    fc.property(
      fc.constantFrom(...decayNames),
      length,
      length,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (decay, warmupSteps, totalSteps, floor) => {
        const rates = Array.from({ length: 60 }, (_, step) =>
          schedule(decay, { peak: 1, floor, warmupSteps, totalSteps })(step),
        );
        expect(rates.every((r) => r > 0 || floor === 0)).toBe(true);
        expect(rates.every((r) => r >= 0 && r <= 1)).toBe(true);
        const after = rates.slice(warmupSteps);
        for (const [i, rate] of after.entries()) expect(rate).toBeLessThanOrEqual((after[i - 1] ?? 1) + 1e-12);
      },
    ),
  );
});

it.each([
  { peak: -1, totalSteps: 1 },
  { peak: Number.NaN, totalSteps: 1 },
  { peak: 1, floor: -0.1, totalSteps: 1 },
  { peak: 1, warmupSteps: 1.5, totalSteps: 1 },
  { peak: 1, totalSteps: -1 },
])("refuses %j", (options) => {
  expect(() => schedule("cosine", options)).toThrow(/^schedule: \w+ must be/);
});
