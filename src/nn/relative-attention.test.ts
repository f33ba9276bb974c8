import { describe, expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { randomStream } from "../core/random-stream.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { sequenceContext } from "./context.js";
import { distanceVectors, relativeAttention } from "./relative-attention.js";

const [d, heads, size, t] = [6, 3, 2, 4];
const places = [0, 1, 2, 3, 2, 0, 2]; // three queries more, which stand at 2, 0 and 2
const block = relativeAttention({ d, heads });
const random = randomStream(1, "relative attention");
const draw = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const weights = new Map(
  [...parametersOf(block)].map(([path, { shape }]) => [path, hostTensor(draw(shape.reduce((a, b) => a * b)), shape)]),
);
const y = draw(places.length * d);
const apart = places.map((_, i) => Array.from({ length: t }, (_, j) => (i + j) % 3 === 0));

/** The definition, word for word: one head, query and key after the other. */
function expected(): number[] {
  const w = (name: string, ...at: number[]) => {
    const { shape, data } = weights.get(name)!;
    return Number(data[at.reduce((offset, k, axis) => offset * (shape[axis] as number) + k, 0)]);
  };
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  const total = (n: number, f: (i: number) => number) => range(n).reduce((sum, i) => sum + f(i), 0);
  const projected = (name: string, x: (e: number) => number, h: number, k: number) =>
    total(d, (e) => x(e) * w(name, e, h, k));
  const row = (i: number) => (e: number) => y[i * d + e]!;
  const sinusoid = (distance: number) => (e: number) => {
    const angle = distance / 10000 ** ((2 * (e % (d / 2))) / d);
    return e < d / 2 ? Math.sin(angle) : Math.cos(angle);
  };
  return places.flatMap((place, i) => {
    const vectors = range(heads).map((h) => {
      const score = (j: number) =>
        total(size, (k) => {
          const q = projected("q", row(i), h, k);
          const content = (q + w("r_w_bias", h, k)) * projected("k", row(j), h, k);
          const position = (q + w("r_r_bias", h, k)) * projected("r", sinusoid(place - j), h, k);
          const segment = (q + w("r_s_bias", h, k)) * w("seg_embed", Number(apart[i]![j]), h, k);
          return content + position + segment;
        }) / Math.sqrt(size);
      const exps = range(t).map((j) => Math.exp(score(j)));
      const all = exps.reduce((a, b) => a + b);
      return range(size).map((k) => total(t, (j) => (exps[j]! / all) * projected("v", row(j), h, k)));
    });
    return range(d).map((e) => total(heads, (h) => total(size, (k) => vectors[h]![k]! * w("o", e, h, k))));
  });
}

describe("relative attention", () => {
  test("is its formula, for the tokens and for queries that stand anywhere among them", async () => {
    const back = Array.from({ length: 2 * t }, (_, m) => t - m);
    const rows = places.slice(t).flatMap((place) => Array.from({ length: t }, (_, j) => t + j - place));
    const feeds = {
      ...Object.fromEntries(weights),
      y: hostTensor(y, [1, places.length, d]),
      x: hostTensor(y.slice(0, t * d), [1, t, d]),
      back: hostTensor(back, [2 * t], "int64"),
      rows: hostTensor(rows, [1, places.length - t, t], "int64"),
      apart: hostTensor(apart.flat().map(Number), [1, 1, places.length, t], "bool"),
    };
    const { out } = await evaluate(nativeRuntime(), feeds, (given) => ({
      out: block(
        parameterTree(block, (path) => (given as never)[path]),
        given.y,
        given.x,
        sequenceContext({ batch: 1, length: t }),
        { distances: distanceVectors(given.back, d), rows: given.rows, apart: given.apart },
      ),
    }));
    const wanted = expected();
    expect(out!.shape).toEqual([1, places.length, d]);
    for (const [i, x] of numbersOf(out!).entries()) expect(x).toBeCloseTo(wanted[i]!, 4);
  });

  test.each([
    [() => relativeAttention({ d: 6, heads: 4 }), "relativeAttention: d 6 does not divide into 4 heads"],
    [() => distanceVectors(undefined as never, 5), "distanceVectors: d must be even, got 5"],
  ])("%#: refused", (make, message) => {
    expect(make).toThrow(message);
  });
});
