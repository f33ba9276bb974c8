import { describe, expect, test } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { maskBias } from "../ops/attention.js";
import { add, sub } from "../ops/elementwise.js";
import { softmax } from "../ops/normalize.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { alibiBias, alibiSlopes, relativeBuckets, relativePositionBias, tokenPositions } from "./positions.js";

const ids = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  hostTensor(values, shape, "int64");
const numbers = ({ data }: { readonly data: ArrayLike<unknown> }) => Array.from(data, Number);

describe("ALiBi", () => {
  test("slopes of powers of two are a geometric sequence that starts at its own ratio", () => {
    // Press et al. 2022, section 3: "for 8 heads 1/2¹, 1/2², …, 1/2⁸", for 16 heads 1/2^0.5, 1/2¹, …, 1/2⁸
    expect(alibiSlopes(8)).toEqual([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]);
    expect(alibiSlopes(16)).toHaveLength(16);
    for (const [k, slope] of alibiSlopes(16).entries()) expect(slope).toBeCloseTo(1 / Math.sqrt(2) ** (k + 1), 15);
    expect(alibiSlopes(1)).toEqual([1 / 256]);
  });

  test.each([
    [3, [1 / 16, 1 / 256, 1 / 4]],
    [6, [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]],
    [12, [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5].map((k) => 2 ** -k)],
  ])("%i heads: those of the lower power of two, then every other one of the higher", (heads, expected) => {
    expect(alibiSlopes(heads)).toHaveLength(heads);
    for (const [k, slope] of alibiSlopes(heads).entries()) expect(slope).toBeCloseTo(expected[k]!, 15);
  });

  test("the bias weighs keys as the paper's, slope · −distance", async () => {
    const [heads, t] = [3, 5];
    const scores = Array.from({ length: heads * t * t }, (_, i) => Math.sin(7 * i));
    const distances = alibiSlopes(heads).flatMap((slope) =>
      Array.from({ length: t * t }, (_, i) => -slope * Math.abs(Math.floor(i / t) - (i % t))),
    );
    const shape = [1, heads, t, t];
    const feeds = {
      positions: ids([0, 1, 2, 3, 4], [1, t]),
      scores: hostTensor(scores, shape),
      paper: hostTensor(distances, shape),
    };
    const { bias, difference } = await evaluate(nativeRuntime(), feeds, ({ positions, scores, paper }) => {
      const bias = alibiBias(heads, positions);
      const weights = (b: typeof bias) => softmax(add(add(scores, b), maskBias("causal", t)));
      return { bias, difference: sub(weights(bias), weights(paper)) };
    });
    expect(bias.shape).toEqual([1, heads, 1, t]);
    expect(numbers(bias).slice(5, 10)).toEqual([0, 1, 2, 3, 4].map((i) => i / 256));
    expect(Math.max(...numbers(difference).map(Math.abs))).toBeLessThan(1e-6);
  });
});

test("positions counted over tokens: padding left, right and between", async () => {
  const mask = ids([0, 0, 1, 1, 1, /**/ 1, 1, 1, 0, 0, /**/ 1, 0, 1, 0, 1], [3, 5]);
  const { positions } = await evaluate(nativeRuntime(), { mask }, ({ mask }) => ({ positions: tokenPositions(mask) }));
  expect(numbers(positions)).toEqual([-1, -1, 0, 1, 2, /**/ 0, 1, 2, -1, -1, /**/ 0, -1, 1, -1, 2]);
});

/**
 * The bucket of a distance in whole numbers only: ⌊log(n/e) / log(D/e) · m⌋ ≥ k exactly where n^m · e^k ≥ D^k · e^m, with e exact buckets,
 * m logarithmic ones and the greatest distance D.
 */
function exactBucket(distance: number, count: number, maxDistance: number): number {
  const exact = Math.floor(count / 2);
  if (distance < exact) return distance;
  const [n, e, most, m] = [BigInt(distance), BigInt(exact), BigInt(maxDistance), BigInt(count - exact)];
  let k = 0n;
  while (k < m - 1n && n ** m * e ** (k + 1n) >= most ** (k + 1n) * e ** m) k++;
  return exact + Number(k);
}

describe("T5's relative positions", () => {
  const bucketsOf = async (relative: readonly number[], options: Parameters<typeof relativeBuckets>[1]) => {
    const { buckets } = await evaluate(nativeRuntime(), { relative: ids(relative) }, ({ relative }) => ({
      buckets: relativeBuckets(relative, options),
    }));
    return numbers(buckets);
  };
  const relative = Array.from({ length: 601 }, (_, i) => i - 300);

  test.each([
    { buckets: 32, maxDistance: 128 },
    { buckets: 8, maxDistance: 20 },
    { buckets: 7, maxDistance: 16 },
    { buckets: 40, maxDistance: 250 },
  ])("%j: each distance is in its bucket", async (sizes) => {
    const half = Math.floor(sizes.buckets / 2);
    expect(await bucketsOf(relative, { ...sizes, bidirectional: true })).toEqual(
      relative.map((r) => (r > 0 ? half : 0) + exactBucket(Math.abs(r), half, sizes.maxDistance)),
    );
    expect(await bucketsOf(relative, { ...sizes, bidirectional: false })).toEqual(
      relative.map((r) => exactBucket(Math.max(-r, 0), sizes.buckets, sizes.maxDistance)),
    );
  });

  test("the borders of T5's own 32 buckets", async () => {
    const borders = [0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 45, 46, 63, 64, 90, 91, 127, 128, 5000];
    const expected = [0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15, 15];
    const before = borders.map((n) => -n);
    expect(await bucketsOf(before, { bidirectional: true })).toEqual(expected);
    expect((await bucketsOf(borders, { bidirectional: true })).slice(1)).toEqual(expected.slice(1).map((b) => b + 16));
    expect(await bucketsOf(borders, { bidirectional: false })).toEqual(borders.map(() => 0)); // keys after the query
  });

  test("the bias is the bucket's, for each head, wherever the queries stand", async () => {
    const [heads, buckets] = [3, 8];
    const weight = Array.from({ length: buckets * heads }, (_, i) => i / 8);
    const feeds = {
      weight: hostTensor(weight, [buckets, heads]),
      at: ids([4, 5, 9, 2], [2, 2]),
      keys: ids([0, 1, 2, 3, 4, 5], [1, 6]),
    };
    const options = { buckets, maxDistance: 20, bidirectional: true };
    const { bias } = await evaluate(nativeRuntime(), feeds, ({ weight, at, keys }) => ({
      bias: relativePositionBias(heads, options)({ weight }, at, keys),
    }));
    expect(bias.shape).toEqual([2, heads, 2, 6]);
    const expected = [
      [4, 5],
      [9, 2],
    ].flatMap((row) =>
      [0, 1, 2].flatMap((head) =>
        row.flatMap((query) =>
          [0, 1, 2, 3, 4, 5].map((key) => {
            const bucket = (key > query ? 4 : 0) + exactBucket(Math.abs(key - query), 4, 20);
            return weight[bucket * heads + head]!;
          }),
        ),
      ),
    );
    expect(numbers(bias)).toEqual(expected);
  });

  test("buckets that do not reach the greatest distance are refused", async () => {
    await expect(bucketsOf([1], { buckets: 2, bidirectional: true })).rejects.toThrow(
      "relativeBuckets: 2 buckets do not reach from 0 to a distance of 128 (0 of one each)",
    );
  });
});
