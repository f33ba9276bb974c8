import { countOf, formatShape } from "./dim.js";
import { allocate, type DType, type TypedArray, toTypedArray } from "./dtype.js";
import { TesseraError } from "./errors.js";
import type { Aval } from "./tensor.js";

/** A tensor in this process's memory: a typed array with a shape, row-major. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/**
 * A host tensor from plain numbers or a typed array (which is kept, not copied).
 *
 * @param dtype element type; default `float32`
 * @throws TesseraError `shape` when the element count is not that of the shape
 * @example hostTensor([1, 2, 3, 4], [2, 2])
 */
export function hostTensor(
  data: ArrayLike<number> | TypedArray,
  shape: readonly number[],
  dtype: DType = "float32",
): HostTensor {
  const array = ArrayBuffer.isView(data) ? (data as TypedArray) : toTypedArray(dtype, data as ArrayLike<number>);
  const count = countOf(shape);
  if (array.length !== count)
    throw new TesseraError("shape", `hostTensor: ${array.length} values for shape ${formatShape(shape)} (${count})`);
  return { dtype, shape, data: array };
}

/** Zeros of a type and a shape without names. */
export function zeroTensor({ dtype, shape }: Aval): HostTensor {
  const sizes = shape as readonly number[];
  return { dtype, shape: sizes, data: allocate(dtype, countOf(sizes)) };
}
