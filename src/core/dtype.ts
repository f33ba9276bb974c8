import { TesseraError } from "./errors.js";

/** Element type of a tensor. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "uint32"
  | "uint8"
  | "int8"
  | "bool";

/** The typed array that holds one element type in memory; `float16` and `bfloat16` are held as raw 16-bit words. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Uint32Array
  | Uint8Array
  | Int8Array;

type TypedArrayOf = {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint32: Uint32Array;
  uint8: Uint8Array;
  int8: Int8Array;
  bool: Uint8Array;
};

const facts = {
  float32: { bytes: 4, floating: true, onnx: 1, array: Float32Array },
  float64: { bytes: 8, floating: true, onnx: 11, array: Float64Array },
  float16: { bytes: 2, floating: true, onnx: 10, array: Uint16Array },
  bfloat16: { bytes: 2, floating: true, onnx: 16, array: Uint16Array },
  int64: { bytes: 8, floating: false, onnx: 7, array: BigInt64Array },
  int32: { bytes: 4, floating: false, onnx: 6, array: Int32Array },
  uint32: { bytes: 4, floating: false, onnx: 12, array: Uint32Array },
  uint8: { bytes: 1, floating: false, onnx: 2, array: Uint8Array },
  int8: { bytes: 1, floating: false, onnx: 3, array: Int8Array },
  bool: { bytes: 1, floating: false, onnx: 9, array: Uint8Array },
} as const satisfies Record<DType, { bytes: number; floating: boolean; onnx: number; array: unknown }>;

/** Bytes that one element takes. */
export function bytesOf(dtype: DType): number {
  return facts[dtype].bytes;
}

/** Whether the type is a floating-point type. */
export function isFloating(dtype: DType): boolean {
  return facts[dtype].floating;
}

/** Every element type. */
export const dtypes = Object.keys(facts) as readonly DType[];

/** The number that ONNX knows the type by (TensorProto.DataType). */
export function onnxTypeCode(dtype: DType): number {
  return facts[dtype].onnx;
}

/** A zero-filled array of `length` elements of `dtype`. */
export function allocate<D extends DType>(dtype: D, length: number): TypedArrayOf[D] {
  return new facts[dtype].array(length) as TypedArrayOf[D];
}

/**
 * A view of raw little-endian bytes as elements of `dtype`; copies only when the bytes are not aligned to the element.
 *
 * @throws TesseraError `shape` when the byte length is not a whole number of elements
 */
export function viewAs<D extends DType>(dtype: D, bytes: Uint8Array): TypedArrayOf[D] {
  const { bytes: size, array } = facts[dtype];
  if (bytes.byteLength % size !== 0)
    throw new TesseraError(
      "shape",
      `viewAs: ${bytes.byteLength} bytes are not whole ${dtype} elements of ${size} bytes`,
    );
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes); // a Buffer's own slice would be a view
  return new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / size) as TypedArrayOf[D];
}

/** Numbers as elements of `dtype` (`int64` through BigInt; `bool` as 0 and 1). 16-bit floats are refused: see `hub/half`. */
export function toTypedArray(dtype: DType, values: ArrayLike<number>): TypedArray {
  if (dtype === "int64") return BigInt64Array.from(Array.from(values, (v) => BigInt(v)));
  if (dtype === "float16" || dtype === "bfloat16")
    throw new TesseraError("unsupported", `toTypedArray: numbers to ${dtype} are not converted here`);
  return facts[dtype].array.from(Array.from(values)) as TypedArray;
}
