import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { pad, transpose } from "./shape.js";

test("a transposition beside a pad, which the engine moves past it", async () => {
  const x = hostTensor([1, 2, 3, 4, 5, 6], [1, 2, 3]);
  const { y } = await evaluate(nativeRuntime(), { x }, ({ x }) => ({
    y: transpose(pad(transpose(x, [2, 0, 1]), 0, 1, 0), [1, 2, 0]),
  }));
  expect(y.shape).toEqual([1, 2, 4]);
  expect(numbersOf(y)).toEqual([0, 1, 2, 3, 0, 4, 5, 6]);
});
