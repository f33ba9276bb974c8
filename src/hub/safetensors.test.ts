import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { allocate, bytesOf, type DType } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { openSafetensors, parseSafetensors, writeSafetensors } from "./safetensors.js";

const folder = mkdtempSync(join(tmpdir(), "safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "m.safetensors");

const parity = new URL("../../../shared/parity/", import.meta.url).pathname;
const recorded = existsSync(parity)
  ? readdirSync(parity).flatMap((name) =>
      ["model", "golden"].map((file) => join(parity, name, `${file}.safetensors`)).filter((file) => existsSync(file)),
    )
  : [];

/** A file made of a header and data. */
function fileOf(header: string | Uint8Array, data = 0): Uint8Array {
  const bytes = typeof header === "string" ? Buffer.from(header) : header;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc(data, 7)]);
}
const headerOf = (file: Uint8Array) =>
  Buffer.from(file).toString("utf8", 8, 8 + Number(Buffer.from(file).readBigUInt64LE()));

describe.skipIf(recorded.length === 0)(
  "files that Hugging Face's library wrote (skipped: shared/parity is not there)",
  () => {
    it("are written again byte for byte, whatever the order they are given in", () => {
      expect(recorded.length).toBeGreaterThanOrEqual(37);
      for (const original of recorded) {
        using file = openSafetensors(original);
        const tensors = Array.from(file.tensors.keys(), (name) => [name, file.read(name)] as const).reverse();
        writeSafetensors(path, tensors, Object.keys(file.metadata).length > 0 ? { metadata: file.metadata } : {});
        if (!readFileSync(path).equals(readFileSync(original))) expect.fail(`${original} differs`);
      }
    });

    it("are read alike from disk and from memory", () => {
      for (const original of recorded.slice(0, 10)) {
        using file = openSafetensors(original);
        using other = parseSafetensors(readFileSync(original));
        expect(other.metadata).toEqual(file.metadata);
        for (const name of file.tensors.keys()) expect(other.read(name)).toEqual(file.read(name));
      }
    });
  },
);

// Recorded from the Python package safetensors 0.8.0: safetensors.serialize of zero-filled tensors.
it("orders all element types as Hugging Face's library does", () => {
  const dtypes: DType[] = [
    "uint8",
    "int8",
    "bool",
    "float16",
    "bfloat16",
    "int32",
    "uint32",
    "float32",
    "float64",
    "int64",
  ];
  writeSafetensors(
    path,
    dtypes.map((dtype) => [`a.${dtype}`, { dtype, shape: [2], data: allocate(dtype, 2) }]),
    { metadata: { k: "9" } },
  );
  expect(headerOf(readFileSync(path)).trimEnd()).toBe(
    '{"__metadata__":{"k":"9"},"a.int64":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},' +
      '"a.float64":{"dtype":"F64","shape":[2],"data_offsets":[16,32]},"a.float32":{"dtype":"F32","shape":[2],"data_offsets":[32,40]},' +
      '"a.uint32":{"dtype":"U32","shape":[2],"data_offsets":[40,48]},"a.int32":{"dtype":"I32","shape":[2],"data_offsets":[48,56]},' +
      '"a.bfloat16":{"dtype":"BF16","shape":[2],"data_offsets":[56,60]},"a.float16":{"dtype":"F16","shape":[2],"data_offsets":[60,64]},' +
      '"a.int8":{"dtype":"I8","shape":[2],"data_offsets":[64,66]},"a.uint8":{"dtype":"U8","shape":[2],"data_offsets":[66,68]},' +
      '"a.bool":{"dtype":"BOOL","shape":[2],"data_offsets":[68,70]}}',
  );
});

it("orders and escapes odd names as Hugging Face's library does", () => {
  const names = [
    "é",
    "\x7f",
    "\x01\t\n\b\f\r",
    '"\\/',
    "\u2028",
    "𝄞",
    "\uffff",
    "B",
    "a",
    "",
    "10",
    "9",
    "2",
    "A",
    "ÿ",
    "__proto__",
  ];
  writeSafetensors(
    path,
    names.map((name) => [name, hostTensor([1], [])]),
  );
  const keys = [...headerOf(readFileSync(path)).matchAll(/"((?:[^"\\]|\\.)*)":\{"dtype"/g)].map((match) => match[1]);
  const expected = [
    "",
    "\\u0001\\t\\n\\b\\f\\r",
    '\\"\\\\/',
    "10",
    "2",
    "9",
    "A",
    "B",
    "__proto__",
    "a",
    "\x7f",
    "é",
    "ÿ",
    "\u2028",
    "\uffff",
    "𝄞",
  ];
  expect(keys).toEqual(expected);
  using file = openSafetensors(path);
  expect([...file.tensors.keys()].sort()).toEqual([...names].sort());
  expect(file.read("__proto__").data).toEqual(Float32Array.of(1));
});

const tensor: fc.Arbitrary<HostTensor> = fc
  .tuple(
    fc.constantFrom<DType>(
      "float32",
      "float64",
      "float16",
      "bfloat16",
      "int64",
      "int32",
      "uint32",
      "uint8",
      "int8",
      "bool",
    ),
    fc.array(fc.nat(4), { maxLength: 4 }),
  )
  .chain(([dtype, shape]) => {
    const bytes = shape.reduce((a, b) => a * b, 1) * bytesOf(dtype);
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => {
      const data = allocate(dtype, bytes / bytesOf(dtype));
      new Uint8Array(data.buffer).set(raw);
      return { dtype, shape, data };
    });
  });
const text = fc.string({ unit: "binary" }).filter((s) => s !== "__metadata__");

it("reads back any tensors under any names", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(text, tensor), { selector: ([name]) => name, maxLength: 6 }),
      fc.dictionary(text, text),
      (entries, metadata) => {
        writeSafetensors(path, entries, { metadata });
        using file = openSafetensors(path);
        expect({ ...file.metadata }).toEqual(metadata);
        expect(file.tensors.size).toBe(entries.length);
        for (const [name, { dtype, shape, data }] of entries) {
          const got = file.read(name);
          expect([got.dtype, got.shape]).toEqual([dtype, shape]);
          expect(Buffer.compare(Buffer.from(got.data.buffer), Buffer.from(data.buffer))).toBe(0);
        }
      },
    ),
    { numRuns: 100 },
  );
});

it("reads a tensor that lies beyond 4 GB, and nothing but it", () => {
  const many = 2 ** 32 + 2 ** 30;
  const header = `{"big":{"dtype":"U8","shape":[${many}],"data_offsets":[0,${many}]},"end":{"dtype":"F32","shape":[2],"data_offsets":[${many},${many + 8}]}}`;
  const start = fileOf(header);
  const fd = openSync(path, "w");
  writeSync(fd, start);
  ftruncateSync(fd, start.length + many); // sparse: it takes no space
  writeSync(fd, new Uint8Array(Float32Array.of(1.5, -2).buffer), 0, 8, start.length + many);
  closeSync(fd);
  const before = process.memoryUsage().arrayBuffers;
  using file = openSafetensors(path);
  expect(file.tensors.get("end")!.byteOffset).toBe(start.length + many);
  expect(file.read("end")).toEqual(hostTensor(Float32Array.of(1.5, -2), [2]));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  rmSync(path);
});

it("converts on the fly when data is a getter, asked for once", () => {
  let asked = 0;
  const lazy: HostTensor = {
    dtype: "float32",
    shape: [2],
    get data() {
      asked++;
      return Float32Array.of(3, 4);
    },
  };
  writeSafetensors(path, [["a", lazy]]);
  expect(asked).toBe(1);
  using file = openSafetensors(path);
  expect(file.read("a").data).toEqual(Float32Array.of(3, 4));
});

it("reads unaligned data, zero-copy where it is aligned", () => {
  const odd = fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ', 4);
  for (const shift of [0, 1]) {
    const bytes = new Uint8Array(odd.length + shift).subarray(shift);
    bytes.set(odd);
    writeFileSync(path, bytes);
    using onDisk = openSafetensors(path);
    using inMemory = parseSafetensors(bytes);
    expect(inMemory.read("a")).toEqual(onDisk.read("a"));
    expect(inMemory.read("a").data.buffer === bytes.buffer).toBe(
      (inMemory.tensors.get("a")!.byteOffset + shift) % 4 === 0,
    );
  }
});

it("refuses reading after disposal, unknown names, and a file that shrank", () => {
  writeSafetensors(path, [["a", hostTensor([1, 2], [2])]]);
  const file = openSafetensors(path);
  expect(() => file.read("b")).toThrow(new TesseraError("checkpoint", `${path}: it has no tensor "b" (it has 1)`));
  writeFileSync(path, readFileSync(path).subarray(0, -4));
  expect(() => file.read("a")).toThrow(/the file became shorter while it was read/);
  file[Symbol.dispose]();
  file[Symbol.dispose]();
  expect(() => file.read("a")).toThrow("read after it was disposed");
});

it("refuses to write what the format cannot hold, and leaves the old file", () => {
  writeSafetensors(path, [["a", hostTensor([1], [1])]]);
  const old = readFileSync(path);
  const one = hostTensor([1], [1]);
  const cases: [Iterable<readonly [string, HostTensor]>, string, Record<string, string>?][] = [
    [
      [
        ["a", one],
        ["a", one],
      ],
      'tensor "a" is given twice',
    ],
    [[["__metadata__", one]], '"__metadata__" cannot be the name of a tensor'],
    [[["\ud800", one]], '"\\ud800" cannot be the name of a tensor'],
    [[["a", { ...one, shape: [-1] }]], 'tensor "a": [-1] is not a shape'],
    [[["a", { ...one, shape: [0.5] }]], 'tensor "a": [0.5] is not a shape'],
    [[["a", { ...one, shape: [2 ** 50, 2 ** 50] }]], 'tensor "a" is too large to count'],
    [
      [
        ["a", one],
        ["b", { ...one, shape: [2] }],
      ],
      "1 elements of 4 bytes for float32 [2] (4 vs 8 bytes)",
    ],
    [[["a", { ...one, dtype: "float64" }]], "1 elements of 4 bytes for float64 [1] (4 vs 8 bytes)"],
    [[], 'metadata "k" is not text, 1', { k: 1 as never }],
  ];
  for (const [tensors, message, metadata] of cases)
    expect(() => writeSafetensors(path, tensors, metadata ? { metadata } : {})).toThrow(message);
  expect(readFileSync(path)).toEqual(old);
  expect(readdirSync(folder)).toEqual(["m.safetensors"]);
});

describe("damaged and hostile files", () => {
  const f32 = (shape: string, offsets: string) => `{"a":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`;
  const two = (b: string, c: string) =>
    `{"a":{"dtype":"F32","shape":[1],"data_offsets":${b}},"b":{"dtype":"F32","shape":[1],"data_offsets":${c}}}`;
  const cases: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(0), "not a safetensors file, it has 0 bytes (at least 8)"],
    ["7 bytes", new Uint8Array(7), "not a safetensors file, it has 7 bytes (at least 8)"],
    ["length 0", new Uint8Array(8), "not a safetensors file, its header length is 0 (at least 2)"],
    [
      "length 1",
      Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0x7b),
      "not a safetensors file, its header length is 1 (at least 2)",
    ],
    [
      "length beyond the file",
      fileOf("{}").subarray(0, 9),
      "its header ends after the file (byte 10 vs 9). Is the file complete?",
    ],
    [
      "length of 100 MB and one",
      Uint8Array.of(1, 0xe1, 0xf5, 5, 0, 0, 0, 0),
      "its header length is 100000001 (at most 100000000)",
    ],
    ["length 2^64 - 1", new Uint8Array(16).fill(255), "its header length is 18446744073709552000 (at most 100000000)"],
    ["text", Buffer.from("hello, this is not a model"), "not a safetensors file, its header length is"],
    ["a zip of pickles", Buffer.from("PK\x03\x04\0\0\0\0pytorch_model/data.pkl"), "not a safetensors file"],
    ["spaces", fileOf("        "), 'header: expected "{", found the end (character 8)'],
    ["no JSON", fileOf("xx"), 'header: expected "{", found "x" (character 0)'],
    ["a list", fileOf("[]"), 'header: expected "{", found "[" (character 0)'],
    ["a string", fileOf('"a"'), 'header: expected "{", found "\\"" (character 0)'],
    ["null", fileOf("null"), 'header: expected "{", found "n"'],
    ["an unfinished object", fileOf('{"a"'), 'header: expected ":", found the end'],
    ["something after the object", fileOf("{}x"), 'header: expected the end, found "x" (character 2)'],
    ["a zero byte after the object", fileOf("{}\0"), 'header: expected the end, found "\\u0000"'],
    ["a byte order mark", fileOf("\ufeff{}"), 'header: expected "{", found "\\ufeff"'],
    ["no UTF-8", fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "header is not UTF-8"],
    ["overlong UTF-8", fileOf(Uint8Array.of(0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d)), "header is not UTF-8"],
    ["half a surrogate pair", fileOf('{"\\ud800":{}}'), '"\\ud800" cannot be the name of a tensor'],
    ["a key without quotes", fileOf("{a:1}"), 'header: expected a string, found "a"'],
    ["a comma at the end", fileOf(`${f32("[1]", "[0,4]").slice(0, -1)},}`, 4), "header: expected a string"],
    [
      "the same tensor twice",
      fileOf(`${f32("[1]", "[0,4]").slice(0, -1)},${f32("[1]", "[0,4]").slice(1)}`, 4),
      'header: the key "a" appears twice',
    ],
    [
      "the same field twice",
      fileOf('{"a":{"dtype":"F32","shape":[],"shape":[1],"data_offsets":[0,4]}}', 4),
      'tensor "a": the key "shape" appears twice',
    ],
    [
      "__metadata__ twice",
      fileOf('{"__metadata__":{},"__metadata__":{}}'),
      'header: the key "__metadata__" appears twice',
    ],
    [
      "a metadata key twice",
      fileOf('{"__metadata__":{"k":"","k":""}}'),
      'header, __metadata__: the key "k" appears twice',
    ],
    ["metadata that is no object", fileOf('{"__metadata__":[]}'), 'header, __metadata__: expected "{", found "["'],
    ["metadata that is null", fileOf('{"__metadata__":null}'), 'header, __metadata__: expected "{", found "n"'],
    [
      "metadata that is a number",
      fileOf('{"__metadata__":{"k":1}}'),
      'header, __metadata__: expected a string, found "1"',
    ],
    [
      "metadata that is nested",
      fileOf('{"__metadata__":{"k":{}}}'),
      'header, __metadata__: expected a string, found "{"',
    ],
    ["a tensor that is a number", fileOf('{"a":1}'), 'tensor "a": expected "{", found "1"'],
    ["a tensor that is a list", fileOf('{"a":[]}'), 'tensor "a": expected "{", found "["'],
    ["a tensor without fields", fileOf('{"a":{}}'), 'tensor "a": dtype, shape and two data_offsets are needed'],
    [
      "__proto__ with nothing in it",
      fileOf('{"__proto__":{}}'),
      'tensor "__proto__": dtype, shape and two data_offsets are needed',
    ],
    ["no dtype", fileOf('{"a":{"shape":[],"data_offsets":[0,4]}}', 4), "dtype, shape and two data_offsets are needed"],
    [
      "no shape",
      fileOf('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4),
      "dtype, shape and two data_offsets are needed",
    ],
    ["no offsets", fileOf('{"a":{"dtype":"F32","shape":[]}}', 4), "dtype, shape and two data_offsets are needed"],
    ["one offset", fileOf(f32("[1]", "[4]"), 4), "dtype, shape and two data_offsets are needed"],
    ["three offsets", fileOf(f32("[1]", "[0,4,8]"), 4), 'tensor "a": more than 2 numbers in the list'],
    [
      "an unknown field",
      fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4),
      'tensor "a": unknown field "x"',
    ],
    [
      "an unknown element type",
      fileOf('{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', 4),
      'tensor "a": unknown element type "F33" (one of BOOL, U8',
    ],
    [
      "an element type in small letters",
      fileOf('{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}', 4),
      'unknown element type "f32"',
    ],
    [
      "an element type of a prototype",
      fileOf('{"a":{"dtype":"constructor","shape":[1],"data_offsets":[0,4]}}', 4),
      'unknown element type "constructor"',
    ],
    [
      "an element type that is a number",
      fileOf('{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}', 4),
      'tensor "a": expected a string, found "3"',
    ],
    ["a shape that is a number", fileOf(f32("1", "[0,4]"), 4), 'tensor "a": expected "[", found "1"'],
    ["a shape that is null", fileOf(f32("null", "[0,4]"), 4), 'tensor "a": expected "[", found "n"'],
    ["a negative size", fileOf(f32("[-1]", "[0,4]"), 4), 'tensor "a": -1 is not a whole number from 0 to 2^53 - 1'],
    ["a size of minus zero", fileOf(f32("[-0]", "[0,0]")), 'tensor "a": -0 is not a whole number'],
    ["a fraction", fileOf(f32("[1.5]", "[0,4]"), 4), 'tensor "a": 1.5 is not a whole number'],
    ["a whole number with a point", fileOf(f32("[1.0]", "[0,4]"), 4), 'tensor "a": 1.0 is not a whole number'],
    ["an exponent", fileOf(f32("[1e0]", "[0,4]"), 4), 'tensor "a": 1e0 is not a whole number'],
    ["a size of 2^53", fileOf(f32("[9007199254740992]", "[0,4]"), 4), "9007199254740992 is not a whole number"],
    ["a size with 400 digits", fileOf(f32(`[${"9".repeat(400)}]`, "[0,4]"), 4), "is not a whole number"],
    ["NaN", fileOf(f32("[NaN]", "[0,4]"), 4), 'tensor "a": expected a whole number, found "N"'],
    ["a size in quotes", fileOf(f32('["1"]', "[0,4]"), 4), 'tensor "a": expected a whole number, found "\\""'],
    ["a size with a leading zero", fileOf(f32("[01]", "[0,4]"), 4), 'tensor "a": 0 is not a whole number'],
    ["a nested shape", fileOf(f32("[[1]]", "[0,4]"), 4), 'tensor "a": expected a whole number, found "["'],
    ["65 sizes", fileOf(f32(`[${Array(65).fill(1)}]`, "[0,4]"), 4), 'tensor "a": more than 64 numbers in the list'],
    [
      "a product beyond 2^53",
      fileOf(f32("[4503599627370496,4]", "[0,4]"), 4),
      'tensor "a": shape [4503599627370496, 4] is too large to count',
    ],
    [
      "a product that wraps around 2^64 to 4",
      fileOf(f32("[4294967296,4294967296,1]", "[0,0]")),
      "is too large to count",
    ],
    [
      "a shape larger than its bytes",
      fileOf(f32("[2]", "[0,4]"), 4),
      'tensor "a": F32 [2] and data_offsets [0, 4] differ in length (8 vs 4 bytes)',
    ],
    ["a shape smaller than its bytes", fileOf(f32("[1]", "[0,8]"), 8), "differ in length (4 vs 8 bytes)"],
    ["no elements but bytes", fileOf(f32("[0]", "[0,4]"), 4), "differ in length (0 vs 4 bytes)"],
    ["reversed offsets", fileOf(f32("[1]", "[4,0]"), 4), 'tensor "a": data_offsets are reversed, [4, 0]'],
    ["negative offsets", fileOf(f32("[1]", "[-4,0]"), 4), 'tensor "a": -4 is not a whole number'],
    [
      "offsets beyond the file",
      fileOf(f32("[1]", "[0,4]"), 3),
      'the file is cut short, tensor "a" ends after it (byte 66 vs 65)',
    ],
    ["offsets far beyond the file", fileOf(f32("[1099511627776]", "[0,4398046511104]"), 4), "the file is cut short"],
    ["a hole at the start", fileOf(f32("[1]", "[4,8]"), 8), 'tensor "a": its bytes leave a hole after the header'],
    ["a hole between", fileOf(two("[0,4]", "[8,12]"), 12), 'tensor "b": its bytes leave a hole after tensor "a"'],
    ["an overlap", fileOf(two("[0,4]", "[2,6]"), 6), 'tensor "b": its bytes overlap tensor "a"'],
    ["the same bytes twice", fileOf(two("[0,4]", "[0,4]"), 4), 'tensor "b": its bytes overlap tensor "a"'],
    [
      "bytes at the end",
      fileOf(f32("[1]", "[0,4]"), 5),
      'bytes after tensor "a" belong to no tensor (it ends at byte 66, the file at 67)',
    ],
    ["bytes without tensors", fileOf("{}", 5), "bytes after the header belong to no tensor"],
    ["10,000 nested objects", fileOf('{"a":'.repeat(10_000)), 'tensor "a": unknown field "a"'],
    [
      "10,000 nested lists",
      fileOf(`{"a":{"shape":${"[".repeat(10_000)}`),
      'tensor "a": expected a whole number, found "["',
    ],
    ["a name of a megabyte", fileOf(`{"${"n".repeat(1e6)}":1}`), `tensor "${"n".repeat(79)}…: expected "{"`],
    ["line breaks in a name", fileOf('{"a\\nb\\u2028":1}'), 'tensor "a\\nb\\u2028": expected "{"'],
  ];

  it.each(cases)("%s", (_, bytes, message) => {
    writeFileSync(path, bytes);
    for (const open of [() => openSafetensors(path), () => parseSafetensors(bytes, path)]) {
      const error = thrownBy(open);
      expect(error).toBeInstanceOf(TesseraError);
      expect(error).toMatchObject({ code: "checkpoint", message: expect.stringContaining(message) });
      expect((error as Error).message).toMatch(/^\/.*m\.safetensors: [^\n]+$/);
    }
  });

  it.each(["I16", "U16", "U64", "C64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4"])(
    "refuses element type %s by name",
    (dtype) => {
      const bytes = fileOf(`{"a":{"dtype":"${dtype}","shape":[1],"data_offsets":[0,1]}}`, 1);
      expect(() => parseSafetensors(bytes)).toThrow(
        new TesseraError(
          "unsupported",
          `safetensors: tensor "a": element type ${dtype} is not supported (one of BOOL, U8, I8, F16, BF16, I32, U32, F32, F64, I64)`,
        ),
      );
    },
  );
});

/** Mutations of a file of this library's own, so that they run without recorded data. */
describe("mutated files are read or refused in one line, never worse", () => {
  writeSafetensors(
    path,
    [
      ["wte.weight", hostTensor(new Float32Array(6), [2, 3])],
      ["h.0.bias", { dtype: "float16", shape: [3], data: new Uint16Array(3) }],
      ["ids", { dtype: "int64", shape: [], data: new BigInt64Array(1) }],
      ["empty", hostTensor(new Float32Array(0), [0, 4])],
    ],
    { metadata: { format: "pt", note: "é" } },
  );
  const good = readFileSync(path);
  const headerEnd = 8 + Number(good.readBigUInt64LE());
  const judge = (bytes: Uint8Array): "read" | "refused" => {
    try {
      using file = parseSafetensors(bytes, "m.safetensors");
      for (const name of file.tensors.keys()) file.read(name);
      return "read";
    } catch (error) {
      if (!(error instanceof TesseraError) || !/^m\.safetensors: [^\n]+$/.test(error.message)) throw error;
      return "refused";
    }
  };

  it("is read itself", () => expect(judge(good)).toBe("read"));

  it("cut at every byte", () => {
    for (let end = 0; end < good.length; end++) expect(judge(good.subarray(0, end))).toBe("refused");
  });

  it("cut at every byte of the header, with a length that says so", () => {
    for (let end = 8; end < headerEnd; end++) {
      const cut = fileOf(good.subarray(8, end), good.length - headerEnd);
      expect(judge(cut)).toBe(/^ *$/.test(good.toString("utf8", end, headerEnd)) ? "read" : "refused");
    }
  });

  it("with every single bit of length and header flipped", () => {
    let read = 0;
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const bytes = Uint8Array.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      if (judge(bytes) === "read") read++;
    }
    expect(read).toBeGreaterThan(0); // a flipped bit in a name makes another name
    expect(read).toBeLessThan(headerEnd * 4);
  });

  it("with pieces of JSON spliced in", () => {
    const pieces = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "-",
      "0",
      "9".repeat(20),
      "1e9",
      "null",
      "\0",
      "é",
      '"a":',
      '"__proto__":{},',
    ];
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: headerEnd }),
        fc.nat(12),
        fc.constantFrom(...pieces),
        (at, remove, piece) => {
          const header = Buffer.concat([
            good.subarray(8, at),
            Buffer.from(piece),
            good.subarray(Math.min(at + remove, headerEnd), headerEnd),
          ]);
          judge(fileOf(header, good.length - headerEnd));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("made of random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => judge(bytes) === "refused"),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 64 }), (bytes) => judge(fileOf(bytes)) === "refused"),
    );
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
