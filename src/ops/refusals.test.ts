import { expect, it } from "vitest";
import { input, type Tensor } from "../core/index.js";
import * as ops from "./index.js";

const x = input("x", [2, 3]);
const y = input("y", [2, 4]);
const v = input("v", [3]);
const ids = input("ids", [2, 1], "int64");
const flags = input("flags", [2, 3], "bool");
const named = input("named", ["b", "t"]);

it.each<[fault: string, call: () => Tensor | readonly Tensor[] | ReturnType<typeof ops.scan>, message: string]>([
  ["sizes that do not broadcast", () => ops.add(x, y), "add: shapes do not broadcast, [2, 3] with [2, 4] (3 vs 4)"],
  [
    "names that do not broadcast",
    () => ops.mul(named, input("z", ["b", "s"])),
    "mul: shapes do not broadcast, [b, t] with [b, s] (t vs s)",
  ],
  ["element types", () => ops.sub(x, ids), "sub: element types differ (float32 vs int64)"],
  ["element types compared", () => ops.less(x, ids), "less: element types differ (float32 vs int64)"],
  ["a fraction beside integers", () => ops.add(ids, 0.5), "asTensor: 0.5 beside a tensor of int64"],
  ["curves of integers", () => ops.tanh(ids), "tanh: needs a floating type, got int64"],
  ["activations of integers", () => ops.gelu(ids), "gelu: needs a floating type, got int64"],
  ["means of integers", () => ops.mean(ids), "mean: needs a floating type, got int64"],
  ["powers of integers", () => ops.pow(ids, 2), "pow: needs a floating type, got int64"],
  ["numbers as flags", () => ops.and(flags, x), "and: needs bool, got bool and float32"],
  ["a number denied", () => ops.not(x), "not: needs bool, got float32"],
  ["a number as condition", () => ops.where(x, x, x), "where: the condition must be bool, got float32"],
  ["choices of two types", () => ops.where(flags, x, ids), "where: element types differ (float32 vs int64)"],
  ["inner sizes", () => ops.matmul(x, y), "matmul: inner sizes differ, [2, 3] @ [2, 4] (3 vs 2)"],
  [
    "inner sizes, transposed",
    () => ops.matmul(x, y, { transB: true }),
    "matmul: inner sizes differ, [2, 3] @ [2, 4]ᵀ (3 vs 4)",
  ],
  ["vectors in a product", () => ops.matmul(x, v), "matmul: needs two axes at least, [2, 3] @ [3]"],
  [
    "batches",
    () => ops.matmul(input("a", [2, 3, 4]), input("b", [3, 4, 5])),
    "matmul: shapes do not broadcast, [2] with [3] (2 vs 3)",
  ],
  [
    "factors of two types",
    () => ops.matmul(x, input("i", [3, 2], "int64")),
    "matmul: element types differ (float32 vs int64)",
  ],
  ["an axis too far", () => ops.sum(x, { axes: [2] }), "no axis 2 in rank 2"],
  ["an axis too far left", () => ops.max(x, { axes: [-3] }), "no axis -3 in rank 2"],
  ["half an axis", () => ops.argMax(x, 0.5), "no axis 0.5 in rank 2"],
  ["another count of elements", () => ops.reshape(x, [4]), "reshape: element counts differ, [2, 3] to [4] (6 vs 4)"],
  [
    "another count of named elements",
    () => ops.reshape(named, ["b", 3]),
    "reshape: element counts differ, [b, t] to [b, 3] (b*t vs 3*b)",
  ],
  ["axes twice", () => ops.transpose(x, [1, 1]), "transpose: [1, 1] is no permutation of the axes of [2, 3]"],
  ["too few axes", () => ops.transpose(x, [1]), "transpose: [1] is no permutation of the axes of [2, 3]"],
  ["a smaller shape", () => ops.broadcastTo(x, [3]), "broadcast_to: [2, 3] does not broadcast to [3]"],
  [
    "another shape",
    () => ops.broadcastTo(x, [4, 3]),
    "broadcast_to: shapes do not broadcast, [2, 3] with [4, 3] (2 vs 4)",
  ],
  ["the end of an axis", () => ops.slice(x, 1, 1, 4), "slice: 1:4 is outside axis 1 of [2, 3] (3)"],
  ["the start of an axis", () => ops.slice(x, 1, -4), "slice: -1:3 is outside axis 1 of [2, 3] (3)"],
  ["a slice backwards", () => ops.slice(x, 1, 2, 1), "slice: 2:1 is outside axis 1 of [2, 3] (3)"],
  [
    "parts of two shapes",
    () => ops.concat([x, input("z", [3, 3])], 1),
    "concat: parts differ beside axis 1, [2, 3] and [3, 3] (float32 and float32)",
  ],
  [
    "parts of two types",
    () => ops.concat([x, input("z", [2, 3], "int64")]),
    "concat: parts differ beside axis 1, [2, 3] and [2, 3] (float32 and int64)",
  ],
  ["no parts", () => ops.concat([]), "concat: no tensors"],
  ["parts that do not divide", () => ops.split(x, 2), "split: axis -1 of [2, 3] does not divide into 2 parts (3)"],
  ["parts of a named axis", () => ops.split(named, 2), "split: axis -1 of [b, t] does not divide into 2 parts (t)"],
  ["parts that do not add up", () => ops.split(x, [1, 1]), "split: parts [1, 1] of axis 1 of [2, 3] (2 vs 3)"],
  ["a table without axes", () => ops.gather(input("s", []), ids), "gather: needs a table with an axis, got a scalar"],
  ["ids that are no integers", () => ops.gather(x, v), "gather: indices must be integers, got float32"],
  [
    "updates of another shape",
    () => ops.scatterAdd(ids, x, 3),
    "scatter_add: updates [2, 3] do not start with the shape of the ids [2, 1]",
  ],
  [
    "ids of another shape",
    () => ops.takeAlong(x, input("i", [3, 1], "int64")),
    "take_along: indices [3, 1] differ from [2, 3] beside axis 1",
  ],
  [
    "updates unlike their ids",
    () => ops.putAlong(x, ids, y),
    "put_along: indices [2, 1] and updates [2, 4] of [2, 3] must have one shape and its rank",
  ],
  ["a scalar's rows", () => ops.softmax(input("s", [])), "softmax: needs an axis, got a scalar"],
  [
    "weights of another size",
    () => ops.layerNormalize(x, v, input("b", [4])),
    "layer_normalize: weight and bias must be [3], got [4] for [2, 3]",
  ],
  [
    "weights with axes",
    () => ops.rmsNormalize(x, x),
    "rms_normalize: weight and bias must be [3], got [2, 3] for [2, 3]",
  ],
  [
    "heads without axes",
    () => ops.attention(x, x, x),
    "attention: needs [b, tokens, heads, d], got [2, 3], [2, 3], [2, 3]",
  ],
  [
    "a rate of all",
    () => ops.dropoutMask(input("key", [2], "int32"), [3], 1, 0),
    "dropout_mask: the rate must be in [0, 1), got 1",
  ],
  [
    "a rate that is no number",
    () => ops.dropoutMask(input("key", [2], "int32"), [3], Number.NaN, 0),
    "dropout_mask: the rate must be in [0, 1), got NaN",
  ],
  [
    "a key of another type",
    () => ops.dropoutMask(input("key", [2], "int64"), [3], 0.5, 0),
    "dropout_mask: the key must be int32[2], got int64[2]",
  ],
  [
    "a site that is no number",
    () => ops.dropoutMask(input("key", [2], "int32"), [3], 0.5, 0.5),
    "dropout_mask: the site must be a whole number, got 0.5",
  ],
  ["too few values", () => ops.constant([1, 2, 3], [2, 2]), "constant: 3 values for shape [2, 2]"],
  ["a loop over nothing", () => ops.scan(() => ({ carries: [] }), [], []), "scan: no tensors to run along"],
])("refuses %s", (_, call, message) => expect(call).toThrow(message));
