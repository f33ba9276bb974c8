import { expect, test } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { sequenceContext } from "./context.js";
import { dropout } from "./dropout.js";

const shape = [4, 50, 50];
const inputs = {
  x: hostTensor(new Float32Array(10_000).fill(3), shape),
  key: hostTensor([7, 1], [2], "int32"),
};

async function dropped(rate: number, training: boolean) {
  const { y } = await evaluate(nativeRuntime(), inputs, ({ x, key }) => ({
    y: dropout(rate)({}, x, sequenceContext({ batch: 4, length: 50, dropoutKey: training ? key : undefined })),
  }));
  return y.data as Float32Array;
}

test("while training a share of the elements becomes 0 and the others make up for it", async () => {
  const y = await dropped(0.25, true);
  expect(new Set(y)).toEqual(new Set([0, 4]));
  // 10,000 draws of 1/4: ±4 standard deviations.
  expect(Math.abs(y.filter((v) => v === 0).length - 2500)).toBeLessThan(4 * Math.sqrt(10_000 * 0.25 * 0.75));
});

test("else, and at a rate of 0, nothing changes", async () => {
  expect(new Set(await dropped(0.25, false))).toEqual(new Set([3]));
  expect(new Set(await dropped(0, true))).toEqual(new Set([3]));
});

test("a rate that is no probability below 1 is refused", () => {
  for (const rate of [1, -0.1, Number.NaN]) expect(() => dropout(rate)).toThrow("rate must be in [0, 1)");
});
