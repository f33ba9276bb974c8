import { type Dim, formatShape, sameShape, sizeOf } from "../core/dim.js";
import { isFloating, onnxTypeCode } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { axisOf } from "./reduce.js";

function indices(x: Aval): void {
  if (x.dtype !== "int64" && x.dtype !== "int32")
    throw new TesseraError("dtype", `indices must be integers, got ${x.dtype}`);
}

const gatherOp: Primitive<2, { frozenRow: number | undefined }> = {
  name: "gather",
  shape: ([table, ids]) => {
    indices(ids);
    if (table.shape.length === 0) throw new TesseraError("shape", "needs a table with an axis, got a scalar");
    return { dtype: table.dtype, shape: [...ids.shape, ...table.shape.slice(1)] };
  },
  emit: (onnx, inputs) => onnx.node("Gather", inputs, { axis: 0 }),
  vjp: (o, { inputs: [table, ids], ct, attrs: { frozenRow } }) => {
    const each = [...ids.shape, ...table.shape.slice(1).map(() => 1)];
    const felt = frozenRow === undefined ? ct : o.where(o.equal(o.reshape(ids, each), frozenRow), 0, ct);
    return [o.scatterAdd(ids, felt, table.shape[0]!), null];
  },
};

/**
 * Rows of a table. `table: [n, ...]`, `ids: [...]` integers in 0 … n − 1 → `[...ids, ...row]`.
 *
 * @param frozenRow a row that gets no gradient. Default none
 */
export function gather(
  table: Tensor,
  ids: Tensor,
  { frozenRow }: { readonly frozenRow?: number | undefined } = {},
): Tensor {
  return bind(gatherOp, [table, ids], { frozenRow });
}

// ONNX Runtime 1.30 gives a ScatterND of more elements than about this to several threads, and two that add to one row at the same
// time lose one of the sums. Smaller ones it runs on one thread, in order.
const ONE_THREAD = 200_000;

const scatterAddOp: Primitive<2, { rows: Dim }> = {
  name: "scatter_add",
  shape: ([ids, updates], { rows }) => {
    indices(ids);
    const lead = updates.shape.slice(0, ids.shape.length);
    if (lead.length !== ids.shape.length || lead.some((d, i) => d !== ids.shape[i]))
      throw new TesseraError(
        "shape",
        `updates ${formatShape(updates.shape)} do not start with the shape of the ids ${formatShape(ids.shape)}`,
      );
    return { dtype: updates.dtype, shape: [rows, ...updates.shape.slice(ids.shape.length)] };
  },
  emit: (onnx, [ids, updates], _, { inputs: [i], outputs }) => {
    const { dtype, shape } = outputs[0]!;
    const row = shape.slice(1);
    const [count, width] = [sizeOf(i.shape), sizeOf(row)];
    const zeros = onnx.node("Expand", [onnx.scalar(0, dtype), onnx.shape(shape)]);
    const flat = onnx.node("Reshape", [updates, onnx.shape([count, ...row])]);
    const long = i.dtype === "int64" ? ids : onnx.node("Cast", [ids], { to: onnxTypeCode("int64") });
    if (typeof count === "string" || typeof width === "string") {
      const each = onnx.node("Reshape", [long, onnx.shape([count, ...row.map(() => 1)])]);
      const at = onnx.node("Expand", [each, onnx.shape([count, ...row])]);
      return onnx.node("ScatterElements", [zeros, at, flat], { axis: 0, reduction: "add" }); // always one thread, but slow
    }
    const most = Math.max(1, Math.floor(ONE_THREAD / Math.max(1, width)));
    const sizes = Array.from({ length: Math.ceil(count / most) }, (_, k) => Math.min(most, count - k * most));
    const parts = (x: string) =>
      sizes.length < 2 ? [x] : onnx.nodes("Split", [x, onnx.ints(sizes)], sizes.length, { axis: 0 });
    const at = parts(onnx.node("Reshape", [long, onnx.ints([count, 1])]));
    return parts(flat).reduce((table, y, k) => onnx.node("ScatterND", [table, at[k]!, y], { reduction: "add" }), zeros);
  },
  vjp: (o, { inputs: [ids], ct }) => [null, o.gather(ct, ids)],
};

/** Sums rows into a zero table: `table[ids[j]] += updates[j]`. `ids: [...]`, `updates: [...ids, ...row]` → `[rows, ...row]`. */
export function scatterAdd(ids: Tensor, updates: Tensor, rows: Dim): Tensor {
  return bind(scatterAddOp, [ids, updates], { rows });
}

const takeAlongOp: Primitive<2, { axis: number }> = {
  name: "take_along",
  shape: ([x, ids], { axis }) => {
    indices(ids);
    if (x.shape.length !== ids.shape.length || x.shape.some((d, i) => i !== axis && d !== ids.shape[i]))
      throw new TesseraError(
        "shape",
        `indices ${formatShape(ids.shape)} differ from ${formatShape(x.shape)} beside axis ${axis}`,
      );
    return { dtype: x.dtype, shape: ids.shape };
  },
  emit: (onnx, inputs, { axis }) => onnx.node("GatherElements", inputs, { axis }),
  vjp: (o, { inputs: [x, ids], ct, attrs: { axis } }) => [
    isFloating(x.dtype) ? o.putAlong(o.full(x.shape, 0, x.dtype), ids, ct, axis) : null,
    null,
  ],
};

/** Picks along an axis: for the last, `y[..., j] = x[..., ids[..., j]]`. Shapes agree beside the axis. */
export function takeAlong(x: Tensor, ids: Tensor, axis = -1): Tensor {
  return bind(takeAlongOp, [x, ids], { axis: axisOf(axis, x.rank) });
}

const putAlongOp: Primitive<3, { axis: number }> = {
  name: "put_along",
  shape: ([x, ids, updates]) => {
    indices(ids);
    if (!sameShape(ids.shape, updates.shape) || ids.shape.length !== x.shape.length)
      throw new TesseraError(
        "shape",
        `indices ${formatShape(ids.shape)} and updates ${formatShape(updates.shape)} of ${formatShape(x.shape)} must have one shape and its rank`,
      );
    return { dtype: x.dtype, shape: x.shape };
  },
  emit: (onnx, inputs, { axis }) => onnx.node("ScatterElements", inputs, { axis, reduction: "add" }),
  vjp: (o, { inputs: [, ids], ct, attrs: { axis } }) => [ct, null, o.takeAlong(ct, ids, axis)],
};

/** Adds along an axis: for the last, `y = x` with `updates[..., j]` added at `ids[..., j]`. */
export function putAlong(x: Tensor, ids: Tensor, updates: Tensor, axis = -1): Tensor {
  return bind(putAlongOp, [x, ids, updates], { axis: axisOf(axis, x.rank) });
}
