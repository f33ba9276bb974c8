import { divDims, sizeOf } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Ops, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { floating } from "./elementwise.js";

interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Which axes a reduction runs over, and whether they stay with size 1. */
export interface ReduceOptions {
  /** Axes, negative from the right. Default: all. */
  readonly axes?: readonly number[];
  /** Keep reduced axes with size 1. Default false. */
  readonly keepDims?: boolean;
}

/** An axis counted from the left. @throws TesseraError `shape` when there is no such axis */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= rank)
    throw new TesseraError("shape", `no axis ${axis} in rank ${rank}`);
  return at;
}

const attributes = (x: Tensor, { axes, keepDims = false }: ReduceOptions): ReduceAttributes => ({
  axes: axes ? [...new Set(axes.map((a) => axisOf(a, x.rank)))].sort((a, b) => a - b) : x.shape.map((_, i) => i),
  keepDims,
});

const reduced = (x: Aval, { axes, keepDims }: ReduceAttributes): Aval => ({
  dtype: x.dtype,
  shape: keepDims ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d)) : x.shape.filter((_, i) => !axes.includes(i)),
});

/** Over axes of size 1 alone a reduction changes nothing but the shape. */
const overOnes = (o: Ops, x: Tensor, attrs: ReduceAttributes) =>
  attrs.axes.every((axis) => x.shape[axis] === 1) ? o.reshape(x, reduced(x, attrs).shape) : undefined;

/** A reduction's result back in the rank of what was reduced, with 1 for the axes that went. */
const withOnes = (x: Tensor, axes: readonly number[]) => x.shape.map((d, i) => (axes.includes(i) ? 1 : d));

const sumOp: Primitive<1, ReduceAttributes> = {
  name: "sum",
  shape: ([x], attrs) => reduced(x, attrs),
  emit: (onnx, [x], { axes, keepDims }) =>
    onnx.node("ReduceSum", [x, onnx.ints(axes)], { keepdims: keepDims ? 1 : 0, noop_with_empty_axes: 1 }),
  vjp: (o, { inputs: [x], ct, attrs }) => [o.broadcastTo(o.reshape(ct, withOnes(x, attrs.axes)), x.shape)],
  rewrite: (o, [x], attrs) => overOnes(o, x, attrs),
};

/** Sum over axes. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return bind(sumOp, [x], attributes(x, options));
}

const meanOp: Primitive<1, ReduceAttributes> = {
  name: "mean",
  shape: ([x], attrs) => reduced(floating(x), attrs),
  emit: (onnx, [x], { axes, keepDims }) =>
    onnx.node("ReduceMean", [x, onnx.ints(axes)], { keepdims: keepDims ? 1 : 0, noop_with_empty_axes: 1 }),
  vjp: (o, { inputs: [x], output, ct, attrs }) => {
    const count = divDims(sizeOf(x.shape), sizeOf(output.shape));
    if (typeof count !== "number")
      throw new TesseraError("unsupported", `mean: no gradient over sizes that are not numbers (${count})`);
    return [o.broadcastTo(o.reshape(o.mul(ct, 1 / count), withOnes(x, attrs.axes)), x.shape)];
  },
  rewrite: (o, [x], attrs) => overOnes(o, x, attrs),
};

/** Mean over axes. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  return bind(meanOp, [x], attributes(x, options));
}

const maxOp: Primitive<1, ReduceAttributes> = {
  name: "max",
  shape: ([x], attrs) => reduced(x, attrs),
  emit: (onnx, [x], { axes, keepDims }) =>
    onnx.node("ReduceMax", [x, onnx.ints(axes)], { keepdims: keepDims ? 1 : 0, noop_with_empty_axes: 1 }),
  vjp: (o, { inputs: [x], output, ct, attrs: { axes } }) => {
    const ones = withOnes(x, axes);
    const hit = o.cast(o.equal(x, o.reshape(output, ones)), x.dtype);
    return [o.mul(o.div(hit, o.sum(hit, { axes, keepDims: true })), o.reshape(ct, ones))]; // equal maxima share
  },
  rewrite: (o, [x], attrs) => overOnes(o, x, attrs),
};

/** Maximum over axes. Where several elements are the maximum the gradient is shared evenly. */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  return bind(maxOp, [x], attributes(x, options));
}

const argMaxOp: Primitive<1, { axis: number }> = {
  name: "arg_max",
  shape: ([x], { axis }) => ({ dtype: "int64", shape: x.shape.filter((_, i) => i !== axis) }),
  emit: (onnx, [x], { axis }) => onnx.node("ArgMax", [x], { axis, keepdims: 0 }),
  vjp: () => [null],
};

/** Index of the (first) maximum along one axis → int64 without that axis. */
export function argMax(x: Tensor, axis = -1): Tensor {
  return bind(argMaxOp, [x], { axis: axisOf(axis, x.rank) });
}

const cumulativeSumOp: Primitive<1, { axis: number; reverse: boolean }> = {
  name: "cumulative_sum",
  shape: ([x]) => x,
  emit: (onnx, [x], { axis, reverse }) =>
    onnx.node("CumSum", [x, onnx.constant("int64", [], BigInt64Array.of(BigInt(axis)))], { reverse: reverse ? 1 : 0 }),
  vjp: (o, { ct, attrs: { axis, reverse } }) => [o.cumulativeSum(ct, axis, { reverse: !reverse })],
};

/** Sums of all elements up to each along an axis: for the last, `y_j = Σ_{i ≤ j} x_i`. @param options.reverse from the end: `i ≥ j` */
export function cumulativeSum(x: Tensor, axis = -1, { reverse = false }: { readonly reverse?: boolean } = {}): Tensor {
  return bind(cumulativeSumOp, [x], { axis: axisOf(axis, x.rank), reverse });
}
