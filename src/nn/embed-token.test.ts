import { expect, test } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { grad } from "../transforms/grad.js";
import { embedToken } from "./embed-token.js";

test.each([
  [undefined, [6, 6, 3, 3, 0, 0]],
  [0, [0, 0, 3, 3, 0, 0]],
])("no text changes the vector of padding %s", async (padding, expected) => {
  const feeds = {
    weight: hostTensor([1, 2, 3, 4, 5, 6], [3, 2]),
    ids: hostTensor([0, 1, 0], [1, 3], "int64"),
    ct: hostTensor([2, 2, 3, 3, 4, 4], [1, 3, 2]),
  };
  const { x, gradient } = await evaluate(nativeRuntime(), feeds, ({ weight, ids, ct }) => {
    const x = embedToken(3, 2, { padding })({ weight }, ids);
    return { x, gradient: grad(sum(mul(x, ct)), [weight])[0]! };
  });
  expect([...(x.data as Float32Array)]).toEqual([1, 2, 3, 4, 1, 2]);
  expect([...(gradient.data as Float32Array)]).toEqual(expected);
});
