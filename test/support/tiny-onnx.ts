import type { DType } from "../../src/core/dtype.js";
import type { HostTensor } from "../../src/core/host-tensor.js";

/**
 * A few lines of protobuf, enough to write the models that tests of the runtime need without the library's own ONNX writer.
 * Field numbers are those of onnx.proto.
 */

const codes: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  bfloat16: 16,
};

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function int(field: number, value: number | bigint): Buffer {
  return Buffer.from([...varint(field << 3), ...varint(value)]);
}

function bytes(field: number, content: Uint8Array | string): Buffer {
  const body = Buffer.from(content as string);
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(body.length)]), body]);
}

function float(field: number, value: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeFloatLE(value);
  return Buffer.concat([Buffer.from(varint((field << 3) | 5)), body]);
}

/** `{ float: x }` makes a float attribute; plain numbers are integers. */
export type Attribute = number | string | { readonly float: number } | readonly number[];

function attribute(name: string, value: Attribute): Buffer {
  const [type, body] =
    typeof value === "number"
      ? [2, int(3, value)]
      : typeof value === "string"
        ? [3, bytes(4, value)]
        : "float" in value
          ? [1, float(2, value.float)]
          : [7, Buffer.concat(value.map((v) => int(8, v)))];
  return Buffer.concat([bytes(1, name), body, int(20, type)]);
}

/** A node, as `node("MatMul", ["x", "w"], ["y"])`. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = "",
): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => bytes(1, name)),
    ...outputs.map((name) => bytes(2, name)),
    bytes(4, operator),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
    bytes(7, domain),
  ]);
}

/** An input or output, as `["x", "float32", ["b", 3]]`. */
export type Value = readonly [name: string, dtype: DType, shape: readonly (number | string)[]];

function valueInfo([name, dtype, shape]: Value): Buffer {
  const sizes = shape.map((size) => bytes(1, typeof size === "string" ? bytes(2, size) : int(1, size)));
  const type = Buffer.concat([int(1, codes[dtype]), bytes(2, Buffer.concat(sizes))]);
  return Buffer.concat([bytes(1, name), bytes(2, bytes(1, type))]);
}

/** A constant with its data in the model, or, with `external`, only declared: the session gets the data by name. */
function initializer(name: string, { dtype, shape, data }: HostTensor, external: boolean): Buffer {
  const head = [...shape.map((size) => int(1, size)), int(2, codes[dtype]), bytes(8, name)];
  const location = Buffer.concat([bytes(1, "location"), bytes(2, "memory")]);
  if (external) return Buffer.concat([...head, bytes(13, location), int(14, 1)]);
  return Buffer.concat([...head, bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))]);
}

/** A serialized `ModelProto`. */
export function onnxModel(graph: {
  readonly nodes: readonly Buffer[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly constants?: Readonly<Record<string, HostTensor>>;
  readonly external?: Readonly<Record<string, HostTensor>>;
  /** Default 21. */
  readonly opset?: number;
}): Uint8Array {
  const body = [
    ...graph.nodes.map((n) => bytes(1, n)),
    bytes(2, "test"),
    ...Object.entries(graph.constants ?? {}).map(([name, tensor]) => bytes(5, initializer(name, tensor, false))),
    ...Object.entries(graph.external ?? {}).map(([name, tensor]) => bytes(5, initializer(name, tensor, true))),
    ...graph.inputs.map((value) => bytes(11, valueInfo(value))),
    ...graph.outputs.map((value) => bytes(12, valueInfo(value))),
  ];
  const opset = (domain: string, version: number) => bytes(8, Buffer.concat([bytes(1, domain), int(2, version)]));
  return Buffer.concat([
    int(1, 10),
    bytes(7, Buffer.concat(body)),
    opset("", graph.opset ?? 21),
    opset("com.microsoft", 1),
  ]);
}
