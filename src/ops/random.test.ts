import { describe, expect, it } from "vitest";
import { hostTensor, input } from "../core/index.js";
import { emitOnnx } from "../onnx/index.js";
import { nativeRuntime } from "../runtime/native.js";
import { grad } from "../transforms/index.js";
import { dropoutMask, mul, sum } from "./index.js";

type Key = readonly [number, number];

/** Masks of one site, a compiled graph for all keys: kept elements as 1. */
async function masks(shape: readonly number[], rate: number, site: number, threads = 2) {
  const key = input("key", [2], "int32");
  const session = await nativeRuntime().compile(
    emitOnnx({ inputs: [key], outputs: [dropoutMask(key, shape, rate, site)] }),
    { threads },
  );
  return async (key: Key) => {
    const { out0 } = await session.run({ key: hostTensor(key, [2], "int32") });
    return out0!.data as Float32Array;
  };
}

function kept(mask: Float32Array): Uint8Array {
  const result = new Uint8Array(mask.length);
  mask.forEach((v, i) => {
    result[i] = v === 0 ? 0 : 1;
  });
  return result;
}

/** How far the share of agreeing elements of two fair masks is from a half, in standard deviations. */
function agreement(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  let equal = 0;
  for (let i = 0; i < n; i++) if (a[i] === b[i]) equal++;
  return (equal - n / 2) / Math.sqrt(n / 4);
}

/** Chi-square of counts against the expected ones, in standard deviations from its mean. */
function chiSquare(counts: readonly number[], expected: readonly number[]): number {
  const freedom = counts.length - 1;
  const x = counts.reduce((sum, c, i) => sum + (c - expected[i]!) ** 2 / expected[i]!, 0);
  return (x - freedom) / Math.sqrt(2 * freedom);
}

// Keys and sites are fixed, so every figure below is the same in every run.
describe("dropout masks", () => {
  it("repeat bit for bit, in another session and with other threads", async () => {
    const [one, two] = [await masks([37, 64], 0.2, 5, 1), await masks([37, 64], 0.2, 5, 2)];
    expect(await one([7, 8])).toEqual(await two([7, 8]));
    expect(await one([7, 8])).not.toEqual(await one([7, 9]));
    expect(await one([7, 8])).not.toEqual(await one([8, 8]));
  });

  it("hold 0 and 1/(1 − rate) only", async () => {
    for (const rate of [0, 0.1, 0.5, 0.9]) {
      const values = new Set(await (await masks([50, 40], rate, 0))([1, 2]));
      expect([...values].sort()).toEqual([...new Set(rate === 0 ? [1] : [0, Math.fround(1 / (1 - rate))])].sort());
    }
  });

  it.each([
    [[64, 64], 0.5],
    [[48, 96], 0.1],
    [[1009], 0.3],
  ])("of %j at rate %d drop as many elements as independent coins would", async (shape, rate) => {
    const mask = await masks(shape, rate, 3);
    const n = shape.reduce((a, b) => a * b, 1);
    const keys: ((i: number) => Key)[] = [(i) => [0, i], (i) => [i, 0], (i) => [i * 7919, -i]];
    for (const key of keys) {
      const runs = 150;
      let [total, squares] = [0, 0];
      for (let i = 0; i < runs; i++) {
        const drops = kept(await mask(key(i))).reduce((count, v) => count + 1 - v, 0);
        const z = (drops - n * rate) / Math.sqrt(n * rate * (1 - rate));
        total += z;
        squares += z * z;
      }
      expect(Math.abs(total / Math.sqrt(runs))).toBeLessThan(4); // the mean is right
      expect(Math.abs((squares - runs) / Math.sqrt(2 * runs))).toBeLessThan(4); // and the spread: rows and columns do not move together
    }
  });

  it.each([
    [1, 1],
    [16, 16],
    [1, 64],
    [256, 1],
  ])("show every pattern of 4 by 4 elements, %d rows and %d columns apart, equally often", async (down, across) => {
    const size = 1536;
    const mask = kept(await (await masks([size, size], 0.5, 0))([2024, 6]));
    const counts = Array<number>(65_536).fill(0);
    let blocks = 0;
    const first = (i: number, step: number) => Math.floor(i / step) % 4 === 0;
    for (let i = 0; i + 3 * down < size; i++)
      for (let j = 0; first(i, down) && j + 3 * across < size; j++) {
        if (!first(j, across)) continue;
        let pattern = 0;
        for (let a = 0; a < 4; a++)
          for (let b = 0; b < 4; b++) pattern = 2 * pattern + mask[(i + a * down) * size + j + b * across]!;
        counts[pattern]!++;
        blocks++;
      }
    expect(
      Math.abs(
        chiSquare(
          counts,
          counts.map(() => blocks / 65_536),
        ),
      ),
    ).toBeLessThan(4);
  });

  it("show every pattern of 8 neighbours as often as the rate says", async () => {
    const rate = 0.1;
    const mask = kept(await (await masks([1024, 768], rate, 9))([5, 5]));
    const counts = Array<number>(256).fill(0);
    for (let i = 0; i + 8 <= mask.length; i += 8)
      counts[mask.subarray(i, i + 8).reduce((byte, v) => 2 * byte + v, 0)]!++;
    const probability = (byte: number) =>
      Array.from({ length: 8 }, (_, k) => ((byte >> k) & 1 ? 1 - rate : rate)).reduce((a, b) => a * b, 1);
    // Patterns that are rarer than five in the sample are counted together.
    const expected = counts.map((_, byte) => (probability(byte) * mask.length) / 8);
    const common = counts.map((_, byte) => byte).filter((byte) => expected[byte]! >= 5);
    const rest = (of: readonly number[]) => of.reduce((sum, v, byte) => sum + (expected[byte]! < 5 ? v : 0), 0);
    const z = chiSquare(
      [...common.map((b) => counts[b]!), rest(counts)],
      [...common.map((b) => expected[b]!), rest(expected)],
    );
    expect(Math.abs(z)).toBeLessThan(4);
  });

  it("do not repeat along rows or columns, between keys, or between sites", async () => {
    const size = 384;
    const at = await masks([size, size], 0.5, 0);
    const base = kept(await at([3, 4]));
    const figures: number[] = [];
    for (let lag = 1; lag <= 32; lag++)
      figures.push(agreement(base.subarray(lag), base), agreement(base.subarray(lag * size), base));
    for (let i = 1; i <= 16; i++) {
      for (const key of [
        [3 + i, 4],
        [3, 4 + i],
        [3 - i, 4],
        [3, 4 - i],
        [3 ^ (1 << (2 * i)), 4],
        [3, 4 ^ (1 << (2 * i - 1))],
        [4, 3],
      ] as const)
        figures.push(agreement(base, kept(await at(key))));
    }
    for (const site of [1, 2, 3, 10, 65_536]) {
      const other = await masks([size, size], 0.5, site);
      for (const key of [
        [3, 4],
        [3, 4 - site],
        [3 - site, 4],
      ] as const)
        figures.push(agreement(base, kept(await other(key))));
    }
    expect(figures.length).toBeGreaterThan(180);
    expect(Math.max(...figures.map(Math.abs))).toBeLessThan(4.2);
  });

  it("carry no gradient themselves and let the rest through", async () => {
    const [key, x] = [input("key", [2], "int32"), input("x", [30, 20])];
    const mask = dropoutMask(key, [30, 20], 0.4, 1);
    const outputs = [mask, ...grad(sum(mul(x, mask)), [x])];
    using session = await nativeRuntime().compile(emitOnnx({ inputs: [key, x], outputs }), { threads: 1 });
    const result = await session.run({
      key: hostTensor([1, 1], [2], "int32"),
      x: hostTensor(new Float32Array(600), [30, 20]),
    });
    expect(result.out1!.data).toEqual(result.out0!.data);
  });
});
