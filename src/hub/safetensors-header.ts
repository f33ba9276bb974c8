import { bytesOf, type DType } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { jsonCursor } from "./json-cursor.js";

// The format: 8 bytes little-endian header length · the header, JSON in UTF-8, padded with spaces · the tensors' bytes, without gaps.
// https://github.com/huggingface/safetensors#format

/** Where one tensor lies in a safetensors file. */
export interface SafetensorsTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What a header says: free text by key, and every tensor by name, in the order of the bytes. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/** Longest header that is read or written, in bytes: the limit of Hugging Face's own library. */
export const maxHeaderBytes = 100_000_000;

/** Names of element types in files, in the order in which the format lays tensors out, last first. */
const fileNames: Readonly<Record<DType, string>> = {
  bool: "BOOL",
  uint8: "U8",
  int8: "I8",
  float16: "F16",
  bfloat16: "BF16",
  int32: "I32",
  uint32: "U32",
  float32: "F32",
  float64: "F64",
  int64: "I64",
};
const dtypes = Object.keys(fileNames) as readonly DType[];
const dtypeOf = new Map(dtypes.map((dtype) => [fileNames[dtype], dtype]));
/** Types that the format has and this library does not. */
const foreign = /^(?:[IU]16|U64|C64|F4|F6_E\dM\d|F8_E\dM\d(?:FNUZ)?)$/;
const maxRank = 64;
const metadataKey = "__metadata__";

/**
 * The length of the header that its first 8 bytes announce, checked against the file.
 *
 * @param prefix the first 8 bytes, or all of a shorter file
 * @throws TesseraError `checkpoint`
 */
export function headerLength(prefix: Uint8Array, fileSize: number, path: string): number {
  const refuse = (what: string): never => {
    throw new TesseraError("checkpoint", `${path}: not a safetensors file, ${what}`);
  };
  if (fileSize < 8 || prefix.length < 8) return refuse(`it has ${fileSize} bytes (at least 8)`);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true));
  if (length < 2) refuse(`its header length is ${length} (at least 2)`);
  if (length > maxHeaderBytes) refuse(`its header length is ${length} (at most ${maxHeaderBytes})`);
  if (length > fileSize - 8)
    refuse(`its header ends after the file (byte ${length + 8} vs ${fileSize}). Is the file complete?`);
  return length;
}

/**
 * Reads a header and holds every statement in it against the size of the file.
 *
 * @param bytes the header, without the 8 bytes before it
 * @param fileSize length of the whole file in bytes
 * @throws TesseraError `checkpoint` for a damaged or lying header, `unsupported` for an element type that the library does not have
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, path: string): SafetensorsHeader {
  const fail = (what: string, cause?: unknown): never => {
    throw new TesseraError("checkpoint", `${path}: ${what}`, { cause });
  };
  const text = decode(bytes) ?? fail("header is not UTF-8");
  let place = "header"; // what the messages name
  const cursor = jsonCursor(text, (what, at) => fail(`${place}: ${what} (character ${at})`));

  // Without a prototype, so that no key has a meaning of its own.
  const metadata: Record<string, string> = Object.create(null);
  const tensors: [string, SafetensorsTensor][] = [];
  const dataStart = 8 + bytes.length;
  cursor.object((name) => {
    if (name === metadataKey) {
      place = `header, ${metadataKey}`;
      cursor.object((key) => {
        metadata[key] = cursor.string();
      });
    } else {
      place = `tensor ${quote(name)}`;
      checkName(name, path);
      tensors.push([name, readTensor()]);
    }
    place = "header";
  });
  cursor.end();

  function readTensor(): SafetensorsTensor {
    let dtype: DType | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    const counts = (most: number) => {
      const values: number[] = [];
      cursor.array(() => {
        if (values.length === most) cursor.fail(`more than ${most} numbers in the list`);
        values.push(cursor.count());
      });
      return values;
    };
    cursor.object((field) => {
      if (field === "dtype") dtype = readDType(cursor.string());
      else if (field === "shape") shape = counts(maxRank);
      else if (field === "data_offsets") offsets = counts(2);
      else cursor.fail(`unknown field ${quote(field)}`);
    });
    if (!dtype || !shape || offsets?.length !== 2) return cursor.fail("dtype, shape and two data_offsets are needed");
    const [begin, end] = offsets as [number, number];
    const byteLength = bytesFor(dtype, shape) ?? fail(`${place}: shape [${shape.join(", ")}] is too large to count`);
    if (end < begin) fail(`${place}: data_offsets are reversed, [${begin}, ${end}]`);
    if (end - begin !== byteLength)
      fail(
        `${place}: ${fileNames[dtype]} [${shape.join(", ")}] and data_offsets [${begin}, ${end}] differ in length ` +
          `(${byteLength} vs ${end - begin} bytes)`,
      );
    return { dtype, shape, byteOffset: dataStart + begin, byteLength };
  }

  function readDType(name: string): DType {
    const dtype = dtypeOf.get(name);
    if (dtype) return dtype;
    const known = [...dtypeOf.keys()].join(", ");
    if (foreign.test(name))
      throw new TesseraError(
        "unsupported",
        `${path}: ${place}: element type ${name} is not supported (one of ${known})`,
      );
    return fail(`${place}: unknown element type ${quote(name)} (one of ${known})`);
  }

  const end = (t: SafetensorsTensor) => t.byteOffset + t.byteLength;
  tensors.sort(([, a], [, b]) => a.byteOffset - b.byteOffset || end(a) - end(b));
  let at = dataStart;
  let previous = "the header";
  for (const [name, tensor] of tensors) {
    if (tensor.byteOffset !== at) {
      const relation = tensor.byteOffset < at ? "overlap" : "leave a hole after";
      fail(
        `tensor ${quote(name)}: its bytes ${relation} ${previous} (begins at byte ${tensor.byteOffset}, expected ${at})`,
      );
    }
    at = end(tensor);
    previous = `tensor ${quote(name)}`;
  }
  if (at > fileSize) fail(`the file is cut short, ${previous} ends after it (byte ${at} vs ${fileSize})`);
  if (at < fileSize)
    fail(`bytes after ${previous} belong to no tensor (it ends at byte ${at}, the file at ${fileSize})`);
  return { metadata, tensors: new Map(tensors) };
}

/** What a writer needs to know of a tensor before its bytes. */
export interface TensorHead {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * The first bytes of a safetensors file, and the order in which the tensors follow: by element type, then by name, with the
 * header padded to 8 bytes, byte for byte as Hugging Face's library does it. `metadata` keeps its order.
 *
 * @throws TesseraError `checkpoint` for a name, shape or text that the format cannot hold
 */
export function formatHeader<T extends TensorHead>(
  entries: Iterable<readonly [string, T]>,
  metadata: Readonly<Record<string, string>> | undefined,
  path: string,
): { readonly bytes: Uint8Array; readonly order: readonly (readonly [string, T])[] } {
  const fail = (what: string): never => {
    throw new TesseraError("checkpoint", `${path}: ${what}`);
  };
  const sorted = Array.from(entries, ([name, tensor]) => ({ name, tensor, utf8: Buffer.from(name) })).sort(
    (a, b) => dtypes.indexOf(b.tensor.dtype) - dtypes.indexOf(a.tensor.dtype) || Buffer.compare(a.utf8, b.utf8),
  );
  const fields: string[] = [];
  if (metadata !== undefined) {
    for (const [key, value] of Object.entries(metadata))
      if (typeof value !== "string" || isBroken(key) || isBroken(value))
        fail(`metadata ${quote(key)} is not text, ${quote(value)}`);
    fields.push(`"${metadataKey}":${formatObject(Object.entries(metadata))}`);
  }
  const seen = new Set<string>();
  let at = 0;
  for (const { name, tensor } of sorted) {
    checkName(name, path);
    if (seen.has(name)) fail(`tensor ${quote(name)} is given twice`);
    seen.add(name);
    if (!tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0) || tensor.shape.length > maxRank)
      fail(`tensor ${quote(name)}: [${tensor.shape.join(", ")}] is not a shape`);
    const length = bytesFor(tensor.dtype, tensor.shape) ?? fail(`tensor ${quote(name)} is too large to count`);
    const info = { dtype: fileNames[tensor.dtype], shape: tensor.shape, data_offsets: [at, at + length] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(info)}`);
    at += length;
  }
  const json = Buffer.from(`{${fields.join(",")}}`);
  const bytes = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  if (bytes.length - 8 > maxHeaderBytes)
    fail(`the header would have ${bytes.length - 8} bytes (at most ${maxHeaderBytes})`);
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8));
  json.copy(bytes, 8);
  return { bytes, order: sorted.map(({ name, tensor }) => [name, tensor] as const) };
}

/** Bytes of a tensor, or undefined when they are not a number that can be counted with. */
function bytesFor(dtype: DType, shape: readonly number[]): number | undefined {
  let bytes = bytesOf(dtype);
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

function checkName(name: string, path: string): void {
  if (name === metadataKey || isBroken(name))
    throw new TesseraError("checkpoint", `${path}: ${quote(name)} cannot be the name of a tensor`);
}

/** Half of a surrogate pair has no UTF-8 form. */
function isBroken(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

function formatObject(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
