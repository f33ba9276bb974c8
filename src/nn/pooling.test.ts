import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import type { Tensor } from "../core/tensor.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { clsPooling, lastTokenPooling, meanPooling, normalize } from "./pooling.js";

const inputs = {
  x: hostTensor([1, 2, 3, 4, 5, 9, /* */ 2, 0, 0, -4, 7, 7], [2, 3, 2]),
  mask: hostTensor([0, 1, 1, 1, 1, 0], [2, 3], "int64"),
};
const run = async (pool: (x: Tensor, mask: Tensor) => Tensor) => {
  const { y } = await evaluate(nativeRuntime(), inputs, ({ x, mask }) => ({ y: pool(x, mask) }));
  return { shape: y.shape, values: numbersOf(y) };
};

test.each([
  ["the mean leaves padding out", meanPooling, [4, 6.5, 1, -2]],
  ["the mean of all", (x: Tensor) => meanPooling(x, undefined), [3, 5, 3, 1]],
  ["the first", clsPooling, [1, 2, 2, 0]],
  ["the last that is no padding", lastTokenPooling, [5, 9, 0, -4]],
  ["the last", (x: Tensor) => lastTokenPooling(x, undefined), [5, 9, 7, 7]],
])("%s", async (_, pool, expected) => {
  expect(await run(pool)).toEqual({ shape: [2, 2], values: expected });
});

test("vectors of length 1, and zeros stay", async () => {
  const { y } = await evaluate(nativeRuntime(), { x: hostTensor([3, 4, 0, 0], [2, 2]) }, ({ x }) => ({
    y: normalize(x),
  }));
  for (const [i, value] of numbersOf(y).entries()) expect(value).toBeCloseTo([0.6, 0.8, 0, 0][i]!, 6);
});
