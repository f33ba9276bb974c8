import { describe, expect, test } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { requireFit } from "./fit.js";
import type { ValueInfo } from "./session.js";

const inputs: ValueInfo[] = [
  { name: "ids", dtype: "int64", shape: ["b", "t"] },
  { name: "past", dtype: "float32", shape: ["b", "p", 2] },
];
const outputs: ValueInfo[] = [
  { name: "present", dtype: "float32", shape: ["b", "p + t", 2] },
  { name: "any", dtype: "float32", shape: ["?", "not-a-formula"] },
];
const zeros = (...shape: number[]) => hostTensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
const ids = (b: number, t: number) => hostTensor(new BigInt64Array(b * t), [b, t], "int64");
const check = (given: Parameters<typeof requireFit>[2], wanted: Parameters<typeof requireFit>[3] = {}) =>
  requireFit("test", { inputs, outputs }, given, wanted);

describe("requireFit", () => {
  test("takes what fits", () => {
    check({ ids: ids(2, 3), past: zeros(2, 4, 2) });
    check({ past: zeros(2, 0, 2), ids: ids(2, 3) }, { present: zeros(2, 3, 2), any: zeros(7, 1) });
  });

  test.each([
    ["argument", "test: input past is missing (got ids)", () => check({ ids: ids(1, 1) })],
    ["argument", "test: input ids is missing (got none)", () => check({})],
    [
      "argument",
      "test: there is no input mask (it has ids, past)",
      () => check({ ids: ids(1, 1), past: zeros(1, 1, 2), mask: zeros(1) }),
    ],
    [
      "argument",
      "test: there is no output logits (it has present, any)",
      () => check({ ids: ids(1, 1), past: zeros(1, 1, 2) }, { logits: zeros(1) }),
    ],
    [
      "dtype",
      "test: input ids: element type differs, expected int64, got float32 (int64 vs float32)",
      () => check({ ids: zeros(1, 1), past: zeros(1, 1, 2) }),
    ],
    [
      "dtype",
      "test: input ids: int64 is held in a BigInt64Array, got a Int32Array (BigInt64Array vs Int32Array)",
      () => check({ ids: { dtype: "int64", shape: [1, 1], data: new Int32Array(1) }, past: zeros(1, 1, 2) }),
    ],
    [
      "shape",
      "test: input past: rank differs, expected [b, p, 2], got [1, 2] (3 vs 2)",
      () => check({ ids: ids(1, 1), past: zeros(1, 2) }),
    ],
    [
      "shape",
      "test: input past: size 2 differs, expected [b, p, 2], got [1, 1, 3] (2 vs 3)",
      () => check({ ids: ids(1, 1), past: zeros(1, 1, 3) }),
    ],
    [
      "shape",
      'test: input past: size "b" differs, expected [b, p, 2], got [2, 1, 2]; it is 1 in input ids (1 vs 2)',
      () => check({ ids: ids(1, 1), past: zeros(2, 1, 2) }),
    ],
    [
      "shape",
      'test: output present: size "p + t" differs, expected [b, p + t, 2], got [1, 8, 2]; it is 7 by the other sizes (7 vs 8)',
      () => check({ ids: ids(1, 3), past: zeros(1, 4, 2) }, { present: zeros(1, 8, 2) }),
    ],
    [
      "shape",
      "test: input past: element count differs, shape [1, 2, 2] has 4, the array 3 (4 vs 3)",
      () => check({ ids: ids(1, 1), past: { dtype: "float32", shape: [1, 2, 2], data: new Float32Array(3) } }),
    ],
    [
      "shape",
      "test: input past: [1, -1, 2] is not a shape (-1 is not a size)",
      () => check({ ids: ids(1, 1), past: { dtype: "float32", shape: [1, -1, 2], data: new Float32Array(0) } }),
    ],
  ] as const)("refuses with %s: %s", (code, message, act) => {
    expect(act).toThrow(expect.objectContaining({ code, message }));
  });
});
