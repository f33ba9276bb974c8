import { describe, expect, test } from "vitest";
import { randomStream } from "../../core/random-stream.js";
import { permute } from "./permutation-lm.js";

const special = new Set([1, 2]);
const ids = [1, ...Array.from({ length: 36 }, (_, i) => 10 + i), 2, ...Array.from({ length: 12 }, (_, i) => 50 + i), 2];
const drawn = (seed: number, rate = 1 / 6) => permute(ids, randomStream(1, `row ${seed}`), { rate, special });

describe("an order of chance", () => {
  test.each([0, 1, 2, 3])("names a sixth of the text's tokens once each, never a special one: %i", (seed) => {
    const { order, targets } = drawn(seed);
    expect(targets).toHaveLength(8);
    expect(new Set(targets).size).toBe(8);
    for (const at of targets) expect(special.has(ids[at]!)).toBe(false);
    expect(targets.map((at) => order[at])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(order.filter((place) => place === 0)).toHaveLength(ids.length - 8);
  });

  test("is the seed's, and takes every place as often as any", () => {
    expect(drawn(5)).toEqual(drawn(5));
    expect(drawn(5)).not.toEqual(drawn(6));
    const [chosen, first] = [ids.map(() => 0), ids.map(() => 0)];
    const rows = 6000;
    for (let seed = 0; seed < rows; seed++) {
      const { targets } = drawn(seed);
      for (const at of targets) chosen[at]!++;
      first[targets[0]!]!++;
    }
    for (const [i, id] of ids.entries()) {
      if (special.has(id)) continue;
      expect(Math.abs(chosen[i]! / rows - 1 / 6)).toBeLessThan(0.03);
      expect(Math.abs(first[i]! / rows - 1 / 48)).toBeLessThan(0.01);
    }
  });

  test.each([
    [[10, 11, 12], 0.01, 1],
    [[10, 11, 12], 0.99, 2],
    [[1, 10, 2], 0.5, 0],
    [[1, 2], 0.5, 0],
  ])("of %j at a rate of %d predicts %i, and never the whole text", (row, rate, n) => {
    const { order, targets } = permute(row, randomStream(1, "row"), { rate, special });
    expect(targets).toHaveLength(n);
    expect(order.filter((place) => place > 0)).toHaveLength(n);
  });
});
