// The part of ONNX's protobuf schema (onnx.proto3) that a graph needs. A protobuf library would bring a schema compiler or a
// reflection runtime into every start; the wire format of these seven messages is a page.
import { type DType, onnxTypeCode, type TypedArray } from "../core/dtype.js";

/** A message as pieces of bytes, concatenated once at the end: weights are not copied on the way. */
export interface Message {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
}

const text = new TextEncoder();

function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const message = (...parts: readonly Message[]): Message => ({
  pieces: parts.flatMap((p) => p.pieces),
  length: parts.reduce((sum, p) => sum + p.length, 0),
});
const raw = (bytes: Uint8Array): Message => ({ pieces: [bytes], length: bytes.length });
const key = (field: number, wire: number) => raw(varint((field << 3) | wire));

const integer = (field: number, value: number | bigint) => message(key(field, 0), raw(varint(value)));
const embedded = (field: number, body: Message) => message(key(field, 2), raw(varint(body.length)), body);
const bytes = (field: number, value: Uint8Array) => embedded(field, raw(value));
const string = (field: number, value: string) => bytes(field, text.encode(value));
const float = (field: number, value: number) =>
  message(key(field, 5), raw(new Uint8Array(Float32Array.of(value).buffer)));
const none = message();

/** One attribute of a node (AttributeProto). */
export type AttributeValue = number | string | readonly number[] | { readonly f: number } | { readonly graph: Message };

function attribute(name: string, value: AttributeValue): Message {
  if (typeof value === "number") return message(string(1, name), integer(3, value), integer(20, 2));
  if (typeof value === "string") return message(string(1, name), string(4, value), integer(20, 3));
  if ("f" in value) return message(string(1, name), float(2, value.f), integer(20, 1));
  if ("graph" in value) return message(string(1, name), embedded(6, value.graph), integer(20, 5));
  return message(string(1, name), ...value.map((v) => integer(8, v)), integer(20, 7));
}

/** A node (NodeProto). A domain stands before the operator with a dot: `com.microsoft.FusedMatMul`. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>>,
  name: string,
): Message {
  const dot = operator.lastIndexOf(".");
  return message(
    ...inputs.map((x) => string(1, x)),
    ...outputs.map((y) => string(2, y)),
    string(3, name),
    string(4, operator.slice(dot + 1)),
    ...Object.entries(attributes).map(([k, v]) => embedded(5, attribute(k, v))),
    dot < 0 ? none : string(7, operator.slice(0, dot)),
  );
}

/** A stored tensor (TensorProto) with its data inside. */
export function tensor(name: string, dtype: DType, shape: readonly number[], data: TypedArray): Message {
  const view = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return message(...shape.map((d) => integer(1, d)), integer(2, onnxTypeCode(dtype)), string(8, name), bytes(9, view));
}

/** A stored tensor (TensorProto) whose data is elsewhere: a file beside the model, or memory given to the session. */
export function externalTensor(
  name: string,
  dtype: DType,
  shape: readonly number[],
  where: { readonly location: string; readonly offset: number; readonly length: number },
): Message {
  const entry = (k: string, v: string | number) => embedded(13, message(string(1, k), string(2, String(v))));
  return message(
    ...shape.map((d) => integer(1, d)),
    integer(2, onnxTypeCode(dtype)),
    string(8, name),
    ...Object.entries(where).map(([k, v]) => entry(k, v)),
    integer(14, 1), // data_location: EXTERNAL
  );
}

/** The type of an input or output (ValueInfoProto). */
export function valueInfo(name: string, dtype: DType, shape: readonly (number | string)[]): Message {
  const dims = shape.map((d) => embedded(1, typeof d === "number" ? integer(1, d) : string(2, d)));
  const type = message(integer(1, onnxTypeCode(dtype)), embedded(2, message(...dims)));
  return message(string(1, name), embedded(2, embedded(1, type)));
}

/** A graph (GraphProto). */
export function graph(
  name: string,
  parts: {
    readonly nodes: readonly Message[];
    readonly initializers: readonly Message[];
    readonly inputs: readonly Message[];
    readonly outputs: readonly Message[];
  },
): Message {
  return message(
    ...parts.nodes.map((n) => embedded(1, n)),
    string(2, name),
    ...parts.initializers.map((t) => embedded(5, t)),
    ...parts.inputs.map((v) => embedded(11, v)),
    ...parts.outputs.map((v) => embedded(12, v)),
  );
}

/** A whole model (ModelProto), serialized. */
export function model(body: Message, opset: number, contrib: boolean, irVersion: number): Uint8Array {
  const domain = (name: string, version: number) => embedded(8, message(string(1, name), integer(2, version)));
  const whole = message(
    integer(1, irVersion),
    string(2, "tessera"),
    embedded(7, body),
    domain("", opset),
    contrib ? domain("com.microsoft", 1) : none,
  );
  const out = new Uint8Array(whole.length);
  let at = 0;
  for (const piece of whole.pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
