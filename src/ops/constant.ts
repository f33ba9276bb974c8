import { countOf, type Dim, type Shape } from "../core/dim.js";
import { type DType, isFloating, type TypedArray, toTypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import { Tensor } from "../core/tensor.js";

/** A tensor, or a number that takes the other operand's element type. */
export type Operand = Tensor | number;

/** A constant: its type and its values. */
export interface ConstantAttributes {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export const constantOp: Primitive<0, ConstantAttributes> = {
  name: "constant",
  shape: (_, { dtype, shape }) => ({ dtype, shape }),
  emit: (onnx, _, { dtype, shape, data }) => onnx.constant(dtype, shape, data),
  vjp: () => [],
};

/**
 * A constant that becomes part of the graph.
 *
 * @param data numbers, row-major, or a typed array (kept, not copied)
 * @param shape sizes; default: one axis over all of `data`
 * @param dtype default `float32`
 * @throws TesseraError `shape` when the count of values is not that of the shape
 */
export function constant(
  data: ArrayLike<number> | TypedArray,
  shape: readonly number[] = [data.length],
  dtype: DType = "float32",
): Tensor {
  if (countOf(shape) !== data.length)
    throw new TesseraError("shape", `constant: ${data.length} values for shape [${shape.join(", ")}]`);
  const array = ArrayBuffer.isView(data) ? (data as TypedArray) : toTypedArray(dtype, data as ArrayLike<number>);
  return bind(constantOp, [], { dtype, shape, data: array });
}

/** A constant without axes. */
export function scalar(value: number, dtype: DType = "float32"): Tensor {
  return constant([value], [], dtype);
}

/** A number as a constant of the element type of `like`; a tensor as it is. */
export function asTensor(x: Operand, like: DType = "float32"): Tensor {
  if (x instanceof Tensor) return x;
  if (!isFloating(like) && !Number.isInteger(x))
    throw new TesseraError("dtype", `asTensor: ${x} beside a tensor of ${like}`);
  return scalar(x, like);
}

const fullOp: Primitive<0, { shape: Shape; value: number; dtype: DType }> = {
  name: "full",
  shape: (_, { dtype, shape }) => ({ dtype, shape }),
  emit: (onnx, _, { dtype, shape, value }) =>
    onnx.node("Expand", [onnx.constant(dtype, [], toTypedArray(dtype, [value])), onnx.shape(shape)]),
  vjp: () => [],
};

/** A tensor with every element equal to `value`; sizes may be named. */
export function full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
  return bind(fullOp, [], { shape, value, dtype });
}

const rangeOp: Primitive<0, { length: Dim; dtype: "int64" }> = {
  name: "range",
  shape: (_, { length, dtype }) => ({ dtype, shape: [length] }),
  emit: (onnx, _, { length }) => {
    if (typeof length === "number")
      return onnx.constant(
        "int64",
        [length],
        BigInt64Array.from({ length }, (_, i) => BigInt(i)),
      );
    const limit = onnx.node("Squeeze", [onnx.shape([length])]);
    const at = (n: bigint) => onnx.constant("int64", [], BigInt64Array.of(n));
    return onnx.node("Range", [at(0n), limit, at(1n)]);
  },
  vjp: () => [],
};

/** The number that all elements of a constant are; undefined where they differ, are not written down or come in 16 bits. */
export function uniformValue(x: Tensor): number | undefined {
  if (x.node?.op === fullOp) return (x.node.attrs as { value: number }).value;
  if (x.node?.op !== constantOp) return undefined;
  const { dtype, data } = x.node.attrs as ConstantAttributes;
  return data.length === 1 && dtype !== "float16" && dtype !== "bfloat16" ? Number(data[0]) : undefined;
}

/** A constant of one number in the form that is smallest: a scalar, or {@link full}. */
export function uniform(shape: Shape, value: number, dtype: DType): Tensor {
  return shape.length === 0 ? scalar(value, dtype) : full(shape, value, dtype);
}

/** `0, 1, …, length − 1` as int64. `length` may be named. */
export function range(length: Dim): Tensor {
  return bind(rangeOp, [], { length, dtype: "int64" });
}
