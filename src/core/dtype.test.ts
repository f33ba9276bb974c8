import { describe, expect, it } from "vitest";
import { allocate, bytesOf, type DType, isFloating, onnxTypeCode, toTypedArray, viewAs } from "./dtype.js";
import { hostTensor } from "./host-tensor.js";

const all: DType[] = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint32", "uint8", "int8", "bool"];

describe("element types", () => {
  it("are numbered as TensorProto.DataType numbers them", () => {
    expect(all.map(onnxTypeCode)).toEqual([1, 11, 10, 16, 7, 6, 12, 2, 3, 9]);
  });

  it("know their size and kind", () => {
    expect(all.map(bytesOf)).toEqual([4, 8, 2, 2, 8, 4, 4, 1, 1, 1]);
    expect(all.filter(isFloating)).toEqual(["float32", "float64", "float16", "bfloat16"]);
  });

  it("are held in arrays of their size", () => {
    for (const dtype of all) {
      const array = allocate(dtype, 3);
      expect([array.length, array.byteLength]).toEqual([3, 3 * bytesOf(dtype)]);
    }
    expect(allocate("int64", 1)[0]).toBe(0n);
  });

  it("view aligned bytes in place and copy others", () => {
    const bytes = new Uint8Array(Float32Array.of(1.5, -2).buffer);
    const aligned = viewAs("float32", bytes);
    expect(Array.from(aligned)).toEqual([1.5, -2]);
    expect(aligned.buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(9);
    shifted.set(bytes, 1);
    const copied = viewAs("float32", shifted.subarray(1));
    expect(Array.from(copied)).toEqual([1.5, -2]);
    expect(copied.buffer).not.toBe(shifted.buffer);
    expect(() => viewAs("float32", bytes.subarray(0, 7))).toThrow(
      "viewAs: 7 bytes are not whole float32 elements of 4 bytes",
    );
  });

  it("come from numbers", () => {
    expect(toTypedArray("int64", [1, -2])).toEqual(BigInt64Array.of(1n, -2n));
    expect(toTypedArray("bool", [0, 1])).toEqual(Uint8Array.of(0, 1));
    expect(toTypedArray("float32", [0.1])).toEqual(Float32Array.of(0.1));
    expect(() => toTypedArray("bfloat16", [1])).toThrow("numbers to bfloat16 are not converted here");
  });
});

describe("hostTensor", () => {
  it("keeps a typed array and converts numbers", () => {
    const data = Float32Array.of(1, 2);
    expect(hostTensor(data, [2, 1]).data).toBe(data);
    expect(hostTensor([3, 4], [2], "int32")).toEqual({ dtype: "int32", shape: [2], data: Int32Array.of(3, 4) });
    expect(hostTensor([7], []).dtype).toBe("float32");
  });

  it("refuses another count of elements", () => {
    expect(() => hostTensor([1, 2, 3], [2, 2])).toThrow("hostTensor: 3 values for shape [2, 2] (4)");
  });
});
