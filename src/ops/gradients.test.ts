import { describe, expect, it } from "vitest";
import { expectClose, randomFrom } from "../../test/ops/check.js";
import type { NdArray } from "../../test/ops/oracle.js";
import * as oracle from "../../test/ops/oracle.js";
import { numbersOf, runGraph } from "../../test/support/run-graph.js";
import { hostTensor, input, type Tensor } from "../core/index.js";
import { grad } from "../transforms/index.js";
import * as ops from "./index.js";

describe("gradients of gradients", () => {
  // h = ∂/∂x ⟨∂L/∂x, v⟩ with L = Σ w·f(x), against differences of L in double precision.
  const cases: Record<
    string,
    [shapes: readonly (readonly number[])[], f: (...xs: Tensor[]) => Tensor, oracle: (...xs: NdArray[]) => NdArray]
  > = {
    tanh: [[[3, 2]], ops.tanh, (x) => oracle.map(x, Math.tanh)],
    sigmoid: [[[4]], ops.sigmoid, (x) => oracle.map(x, oracle.sigmoid)],
    "x³": [[[4]], (x) => ops.pow(x, 3), (x) => oracle.map(x, (v) => v ** 3)],
    mul: [[[3, 2], [2]], ops.mul, (a, b) => oracle.map2(a, b, (x, y) => x * y)],
    div: [
      [[3], [2, 3]],
      (a, b) => ops.div(a, ops.add(ops.mul(b, b), 1)),
      (a, b) => oracle.map2(a, b, (x, y) => x / (y * y + 1)),
    ],
    matmul: [
      [
        [2, 3],
        [2, 3],
      ],
      (a, b) => ops.matmul(a, b, { transB: true, scale: 0.5 }),
      (a, b) => oracle.matmul(a, b, { transB: true, scale: 0.5 }),
    ],
    softmax: [[[2, 4]], ops.softmax, oracle.softmax],
    logSoftmax: [[[2, 4]], ops.logSoftmax, oracle.logSoftmax],
    gelu: [[[5]], (x) => ops.gelu(x), (x) => oracle.map(x, oracle.gelu)],
    "gelu, tanh": [[[5]], (x) => ops.gelu(x, "tanh"), (x) => oracle.map(x, oracle.geluTanh)],
    silu: [[[5]], ops.silu, (x) => oracle.map(x, (v) => v * oracle.sigmoid(v))],
    layerNormalize: [
      [[2, 5], [5], [5]],
      (x, w, b) => ops.layerNormalize(x, w, b, 0.1),
      (x, w, b) => oracle.layerNormalize(x, w, b, 0.1),
    ],
    rmsNormalize: [[[2, 5], [5]], (x, w) => ops.rmsNormalize(x, w, 0.1), (x, w) => oracle.rmsNormalize(x, w, 0.1)],
    attention: [
      [
        [1, 3, 1, 2],
        [1, 3, 1, 2],
        [1, 3, 1, 2],
      ],
      (q, k, v) => ops.attention(q, k, v, { mask: "causal" }),
      (q, k, v) => oracle.attention(q, k, v, { sees: (i, j) => j <= i }),
    ],
    "max and where": [
      [[2, 3]],
      (x) => ops.mul(x, ops.max(x, { axes: [1], keepDims: true })),
      (x) => oracle.map2(x, oracle.reduce(x, oracle.largest, [1], true), (a, b) => a * b),
    ],
    "gather and concat": [
      [[3, 2]],
      (x) => ops.concat([ops.gather(ops.mul(x, x), ops.constant([2, 0, 2], [3], "int64")), ops.pow(x, 3)], 0),
      (x) =>
        oracle.concat(
          [
            oracle.gather(
              oracle.map(x, (v) => v * v),
              { shape: [3], data: [2, 0, 2] },
            ),
            oracle.map(x, (v) => v ** 3),
          ],
          0,
        ),
    ],
    scan: [
      [[1, 3, 2], [1, 2], [2]],
      (x, s, w) =>
        ops.scan(
          ([h], [e]) => {
            const y = ops.tanh(ops.add(ops.mul(h!, w), e!));
            return { carries: [y], ys: [y] };
          },
          [s],
          [x],
        ).ys[0]!,
      (x, s, w) => {
        let h = s;
        const ys = [0, 1, 2].map((i) => {
          h = oracle.build([1, 2], ([, e]) => Math.tanh(h.data[e!]! * w.data[e!]! + x.data[2 * i + e!]!));
          return oracle.reshape(h, [1, 1, 2]);
        });
        return oracle.concat(ys, 1);
      },
    ],
  };
  for (const [name, [shapes, f, reference]] of Object.entries(cases))
    it(name, async () => {
      const random = randomFrom(name);
      const draw = (shape: readonly number[]): NdArray => oracle.build(shape, () => Math.fround(2 * random() - 1));
      const at = shapes.map(draw);
      const direction = shapes.map(draw);
      const weight = draw(reference(...at).shape);
      const step = 1e-4;
      const loss = (xs: readonly NdArray[]) =>
        oracle.total(oracle.map2(reference(...xs), weight, (y, w) => y * w).data);
      const moved = (along: number, by: number) =>
        at.map((x, k) => oracle.map2(x, direction[k]!, (v, d) => v + (k === along ? by * d : 0)));
      const bumped = (xs: readonly NdArray[], i: number, j: number, by: number) =>
        xs.map((x, k) => (k === i ? { shape: x.shape, data: x.data.map((v, n) => (n === j ? v + by : v)) } : x));
      const everywhere = (by: number) => at.map((_, k) => moved(k, by)[k]!);
      const expected = at.map(
        (x, i): NdArray => ({
          shape: x.shape,
          data: x.data.map((_, j) => {
            const slope = (by: number) =>
              (loss(bumped(everywhere(by), i, j, step)) - loss(bumped(everywhere(by), i, j, -step))) / (2 * step);
            return (slope(step) - slope(-step)) / (2 * step);
          }),
        }),
      );

      const xs = shapes.map((shape, i) => input(`x${i}`, shape));
      const vs = shapes.map((shape, i) => input(`v${i}`, shape));
      const w = input("w", weight.shape as number[]);
      const first = grad(ops.sum(ops.mul(f(...xs), w)), xs);
      const second = grad(
        first.map((g, i) => ops.sum(ops.mul(g, vs[i]!))).reduce((a, b) => ops.add(a, b)),
        xs,
      );
      const host = ({ shape, data }: NdArray) => hostTensor(data, shape);
      const results = await runGraph(
        { inputs: [...xs, ...vs, w], outputs: second },
        Object.fromEntries([
          ...at.map((x, i) => [`x${i}`, host(x)]),
          ...direction.map((v, i) => [`v${i}`, host(v)]),
          ["w", host(weight)],
        ]),
      );
      for (const [i, result] of results.entries())
        expectClose(result, expected[i]!, 1e-4, `second gradient of input ${i}`);
    });
});

describe("gradients where the slope jumps", () => {
  const gradientAt = async (f: (x: Tensor) => Tensor, x: readonly number[]) => {
    const t = input("x", [x.length]);
    const [result] = await runGraph(
      { inputs: [t], outputs: grad(ops.sum(f(t)), [t]) },
      { x: hostTensor(x, [x.length]) },
    );
    return numbersOf(result!);
  };
  it("relu and abs are flat at 0", async () => {
    expect(await gradientAt(ops.relu, [-1, 0, 2])).toEqual([0, 0, 1]);
    expect(await gradientAt(ops.abs, [-1, 0, 2])).toEqual([-1, 0, 1]);
  });
  it("of two equal operands the first gets all", async () => {
    expect(await gradientAt((x) => ops.maximum(x, 0), [-1, 0, 2])).toEqual([0, 1, 1]);
    expect(await gradientAt((x) => ops.maximum(0, x), [-1, 0, 2])).toEqual([0, 0, 1]);
    expect(await gradientAt((x) => ops.minimum(x, 0), [-1, 0, 2])).toEqual([1, 1, 0]);
    expect(await gradientAt((x) => ops.minimum(0, x), [-1, 0, 2])).toEqual([1, 0, 0]);
  });
  it("equal maxima share", async () => {
    expect(await gradientAt((x) => ops.max(x), [1, 3, 3])).toEqual([0, 0.5, 0.5]);
  });
  it("powers 0 and 1 have slopes at 0", async () => {
    expect(await gradientAt((x) => ops.pow(x, 1), [0, 2])).toEqual([1, 1]);
    expect(await gradientAt((x) => ops.pow(x, 0), [0, 2])).toEqual([0, 0]);
    expect(await gradientAt((x) => ops.pow(x, 2), [0, 2])).toEqual([0, 4]);
  });
});
