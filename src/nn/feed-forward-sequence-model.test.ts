import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { parametersOf } from "../core/module.js";
import { input } from "../core/tensor.js";
import { constant } from "../ops/constant.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { type Context, sequenceContext } from "./context.js";
import { feedForwardSequenceModel, lastElements } from "./feed-forward-sequence-model.js";

test("the last elements, zeros before the first", async () => {
  const x = hostTensor([1, -1, 2, -2, 3, -3], [1, 3, 2]);
  const { y } = await evaluate(nativeRuntime(), { x }, ({ x }) => ({
    y: lastElements(3, x, sequenceContext({ batch: 1, length: 3 })),
  }));
  expect(y.shape).toEqual([1, 3, 6]);
  expect(numbersOf(y)).toEqual([0, 0, 0, 0, 1, -1, 0, 0, 1, -1, 2, -2, 1, -1, 2, -2, 3, -3]);
});

test("after an earlier call, its last elements stand before the first", async () => {
  const values = { x: hostTensor([3, 4], [1, 2, 1]), before: hostTensor([1, 2], [1, 2, 1]) };
  const { y, after } = await evaluate(nativeRuntime(), values, ({ x, before }) => {
    let after = before;
    const carry: Context["carry"] = (_, state, advance) => {
      expect(state.shape).toEqual(before.shape);
      const [result, next] = advance(before);
      after = next;
      return result;
    };
    return { y: lastElements(3, x, { ...sequenceContext({ batch: 1, length: 2 }), carry }), after };
  });
  expect(numbersOf(y)).toEqual([1, 2, 3, 2, 3, 4]);
  expect(numbersOf(after)).toEqual([3, 4]);
});

test("the block is a feed-forward layer on them", async () => {
  const values = {
    x: hostTensor([1, -2, 3], [1, 3, 1]),
    w1: hostTensor([10, 1, -10, -1], [2, 2]),
    b1: hostTensor([0, 0.5], [2]),
  };
  const { y } = await evaluate(nativeRuntime(), values, ({ x, w1, b1 }) => {
    const params = {
      linear1: { weight: w1, bias: b1 },
      linear2: { weight: constant([1, 100], [1, 2]), bias: constant([0.25]) },
    };
    return { y: feedForwardSequenceModel(2, 1, 2)(params, x, sequenceContext({ batch: 1, length: 3 })) };
  });
  // pairs (0, 1), (1, −2), (−2, 3): 10a + b and −10a − b + ½, cut at 0
  expect(numbersOf(y)).toEqual([1.25, 8.25, 1750.25]);
});

test("the block's parameters, and what it refuses", () => {
  expect(
    [...parametersOf(feedForwardSequenceModel(3, 4, 7))].map(([name, { shape }]) => `${name} ${shape.join("×")}`),
  ).toEqual(["linear1.weight 7×12", "linear1.bias 7", "linear2.weight 4×7", "linear2.bias 4"]);
  const x = input("x", [1, 2, 3]);
  expect(() => lastElements(0, x, sequenceContext({ batch: 1, length: 2 }))).toThrow(
    "lastElements: n must be a whole number ≥ 1, got 0",
  );
});
