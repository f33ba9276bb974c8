import {
  addDims,
  broadcastShapes,
  type Dim,
  formatShape,
  mulDims,
  type Shape,
  sameShape,
  sizeOf,
} from "../core/dim.js";
import { toTypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, bindAll, type Primitive } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { uniform, uniformValue } from "./constant.js";
import { axisOf } from "./reduce.js";

const reshapeOp: Primitive<1, { shape: Shape }> = {
  name: "reshape",
  shape: ([x], { shape }) => {
    if (sizeOf(x.shape) !== sizeOf(shape))
      throw new TesseraError(
        "shape",
        `element counts differ, ${formatShape(x.shape)} to ${formatShape(shape)} (${sizeOf(x.shape)} vs ${sizeOf(shape)})`,
      );
    return { dtype: x.dtype, shape };
  },
  emit: (onnx, [x], { shape }, { inputs }) => {
    // 0 copies the size at the same place and −1 is inferred, so most named sizes need no arithmetic when the graph runs.
    const sizes = shape.map((d, i) => (typeof d === "number" ? d : d === inputs[0].shape[i] ? 0 : -1));
    const plain = sizes.filter((d) => d === -1).length <= 1 && shape.every((d) => d !== 0);
    return onnx.node("Reshape", [x, plain ? onnx.ints(sizes) : onnx.shape(shape)], plain ? {} : { allowzero: 1 });
  },
  vjp: (o, { inputs: [x], ct }) => [o.reshape(ct, x.shape)],
  rewrite: (o, [x], { shape }) => {
    if (x.node?.op === reshapeOp) return o.reshape(x.node.inputs[0]!, shape);
    const value = uniformValue(x);
    return value === undefined ? undefined : uniform(shape, value, x.dtype);
  },
};

/** The same elements, row-major, under other sizes. @throws TesseraError `shape` when the element counts differ */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : bind(reshapeOp, [x], { shape });
}

export const transposeOp: Primitive<1, { perm: readonly number[] }> = {
  name: "transpose",
  shape: ([x], { perm }) => {
    if (
      perm.length !== x.shape.length ||
      new Set(perm).size !== perm.length ||
      perm.some((p) => !(p >= 0 && p < perm.length))
    )
      throw new TesseraError("shape", `[${perm.join(", ")}] is no permutation of the axes of ${formatShape(x.shape)}`);
    return { dtype: x.dtype, shape: perm.map((p) => x.shape[p]!) };
  },
  emit: (onnx, [x], { perm }) => onnx.node("Transpose", [x], { perm }),
  vjp: (o, { ct, attrs: { perm } }) => [
    o.transpose(
      ct,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  rewrite: (o, [x], { perm }) => {
    const value = uniformValue(x);
    const shape = perm.map((p) => x.shape[p]!);
    if (value !== undefined) return uniform(shape, value, x.dtype);
    if (x.node?.op !== transposeOp) return undefined;
    const inner = x.node.attrs as { perm: readonly number[] };
    const composed = perm.map((p) => inner.perm[p]!);
    return o.transpose(x.node.inputs[0]!, composed);
  },
};

/** Axes in another order: axis `i` of the result is axis `perm[i]` of `x`. Default: the last two exchanged. */
export function transpose(
  x: Tensor,
  perm: readonly number[] = [...Array(x.rank - 2).keys(), x.rank - 1, x.rank - 2],
): Tensor {
  return perm.every((p, i) => p === i) ? x : bind(transposeOp, [x], { perm });
}

const broadcastToOp: Primitive<1, { shape: Shape }> = {
  name: "broadcast_to",
  shape: ([x], { shape }) => {
    if (!sameShape(broadcastShapes(x.shape, shape), shape))
      throw new TesseraError("shape", `${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`);
    return { dtype: x.dtype, shape };
  },
  emit: (onnx, [x], { shape }) => onnx.node("Expand", [x, onnx.shape(shape)]),
  vjp: (_, { ct }) => [ct], // the driver sums it down
  rewrite: (o, [x], { shape }) => {
    if (x.node?.op === broadcastToOp) return o.broadcastTo(x.node.inputs[0]!, shape);
    const value = uniformValue(x);
    return value === undefined ? undefined : uniform(shape, value, x.dtype);
  },
};

/** `x` repeated along axes of size 1 (and new ones on the left) to `shape`. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : bind(broadcastToOp, [x], { shape });
}

/** The difference `a − b` of sizes. */
const minus = (a: Dim, b: Dim) => addDims(a, mulDims(-1, b));

const sliceOp: Primitive<1, { axis: number; start: Dim; end: Dim }> = {
  name: "slice",
  shape: ([x], { axis, start, end }) => {
    const size = x.shape[axis]!;
    const inside = [start, end, size].every((d) => typeof d === "number")
      ? 0 <= +start && start <= end && end <= size
      : true;
    if (!inside)
      throw new TesseraError("shape", `${start}:${end} is outside axis ${axis} of ${formatShape(x.shape)} (${size})`);
    return { dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? minus(end, start) : d)) };
  },
  emit: (onnx, [x], { axis, start, end }) =>
    onnx.node("Slice", [x, onnx.shape([start]), onnx.shape([end]), onnx.ints([axis])]),
  vjp: (o, { inputs: [x], ct, attrs: { axis, start, end } }) => [o.pad(ct, axis, start, minus(x.shape[axis]!, end))],
  rewrite: (_, [x], { axis, start, end }) => {
    if (x.node?.op !== sliceOp) return undefined;
    const inner = x.node.attrs as { axis: number; start: Dim };
    if (inner.axis !== axis) return undefined;
    const moved = { axis, start: addDims(inner.start, start), end: addDims(inner.start, end) };
    return bind(sliceOp, [x.node.inputs[0]!], moved);
  },
};

/** Elements `start … end − 1` along one axis. Numbers below zero count from the end; sizes may be named. */
export function slice(x: Tensor, axis: number, start: Dim, end: Dim = x.shape[axisOf(axis, x.rank)]!): Tensor {
  const at = axisOf(axis, x.rank);
  const size = x.shape[at]!;
  const fromLeft = (d: Dim) => (typeof d === "number" && d < 0 ? addDims(size, d) : d);
  const [from, to] = [fromLeft(start), fromLeft(end)];
  return from === 0 && to === size ? x : bind(sliceOp, [x], { axis: at, start: from, end: to });
}

const padOp: Primitive<1, { axis: number; before: Dim; after: Dim; value: number }> = {
  name: "pad",
  shape: ([x], { axis, before, after }) => ({
    dtype: x.dtype,
    shape: x.shape.map((d, i) => (i === axis ? addDims(addDims(d, before), after) : d)),
  }),
  // Every axis is written: ONNX Runtime 1.30 takes the pads of a few axes for those of all when it moves a transposition past a Pad.
  emit: (onnx, [x], { axis, before, after, value }, { outputs }) => {
    const { dtype, shape } = outputs[0]!;
    const of = (count: Dim) => shape.map((_, i) => (i === axis ? count : 0));
    const pads = onnx.shape([...of(before), ...of(after)]);
    return onnx.node("Pad", [x, pads, onnx.constant(dtype, [], toTypedArray(dtype, [value]))]);
  },
  vjp: (o, { inputs: [x], ct, attrs: { axis, before } }) => [
    o.slice(ct, axis, before, addDims(before, x.shape[axis]!)),
  ],
};

/** `x` with `before` and `after` more elements along one axis, each `value` (default 0). */
export function pad(x: Tensor, axis: number, before: Dim, after: Dim, value = 0): Tensor {
  return before === 0 && after === 0 ? x : bind(padOp, [x], { axis: axisOf(axis, x.rank), before, after, value });
}

const concatOp: Primitive<"any", { axis: number }> = {
  name: "concat",
  shape: (xs, { axis }) => {
    const first = xs[0]!;
    for (const x of xs)
      if (
        x.dtype !== first.dtype ||
        x.shape.length !== first.shape.length ||
        x.shape.some((d, i) => i !== axis && d !== first.shape[i])
      )
        throw new TesseraError(
          "shape",
          `parts differ beside axis ${axis}, ${formatShape(first.shape)} and ${formatShape(x.shape)} (${first.dtype} and ${x.dtype})`,
        );
    const size = xs.map((x) => x.shape[axis]!).reduce(addDims);
    return { dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? size : d)) };
  },
  emit: (onnx, xs, { axis }) => onnx.node("Concat", xs, { axis }),
  vjp: (o, { inputs: xs, ct, attrs: { axis } }) => {
    let start: Dim = 0;
    return xs.map((x) => {
      const end: Dim = addDims(start, x.shape[axis]!);
      const part = o.slice(ct, axis, start, end);
      start = end;
      return part;
    });
  },
};

/** Tensors one behind the other along an axis. */
export function concat(xs: readonly Tensor[], axis = -1): Tensor {
  const first = xs[0];
  if (!first) throw new TesseraError("argument", "concat: no tensors");
  return xs.length === 1 ? first : bind(concatOp, xs, { axis: axisOf(axis, first.rank) });
}

const splitOp: Primitive<1, { sizes: readonly number[]; axis: number }> = {
  name: "split",
  shape: ([x], { sizes, axis }) => {
    const total = sizes.reduce((a, b) => a + b, 0);
    if (x.shape[axis] !== total)
      throw new TesseraError(
        "shape",
        `parts [${sizes.join(", ")}] of axis ${axis} of ${formatShape(x.shape)} (${total} vs ${x.shape[axis]})`,
      );
    return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? size : d)) }));
  },
  emit: (onnx, [x], { sizes, axis }) => onnx.nodes("Split", [x, onnx.ints(sizes)], sizes.length, { axis }),
  vjp: (o, { outputs, cts, attrs: { axis } }) => [
    o.concat(
      outputs.map((y, i) => cts[i] ?? o.full(y.shape, 0, y.dtype)),
      axis,
    ),
  ],
};

/**
 * Parts of `x` along an axis.
 *
 * @param parts how many equal parts, or their sizes
 * @throws TesseraError `shape` when the sizes do not add up to the axis, or it does not divide evenly
 */
export function split(x: Tensor, parts: number | readonly number[], axis = -1): readonly Tensor[] {
  const at = axisOf(axis, x.rank);
  const size = x.shape[at]!;
  if (typeof parts === "number" && (typeof size !== "number" || size % parts !== 0))
    throw new TesseraError(
      "shape",
      `split: axis ${axis} of ${formatShape(x.shape)} does not divide into ${parts} parts (${size})`,
    );
  const sizes = typeof parts === "number" ? Array<number>(parts).fill(Number(size) / parts) : parts;
  return bindAll(splitOp, [x], { sizes, axis: at });
}

/** `x` with a new axis of size 1 before axis `axis` (negative: counted from the right of the result). */
export function expandDims(x: Tensor, axis: number): Tensor {
  const at = axisOf(axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}
