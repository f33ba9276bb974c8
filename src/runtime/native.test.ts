import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { node, onnxModel, type Value } from "../../test/support/tiny-onnx.js";
import { allocate, bytesOf, type DType } from "../core/dtype.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { nativeRuntime } from "./native.js";

const runtime = nativeRuntime();

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const addition = onnxModel({
  nodes: [node("Add", ["x", "y"], ["sum"])],
  inputs: [
    ["x", "float32", ["b", "t"]],
    ["y", "float32", ["t"]],
  ],
  outputs: [["sum", "float32", ["b", "t"]]],
});

/** `steps` products of 256 × 256 matrices one after the other: a run long enough to be met under way. */
function longModel(steps: number): Uint8Array {
  const size = 256;
  const weight = hostTensor(new Float32Array(size * size).fill(1 / size), [size, size]);
  return onnxModel({
    nodes: Array.from({ length: steps }, (_, i) => node("MatMul", [`x${i}`, "weight"], [`x${i + 1}`])),
    inputs: [["x0", "float32", ["b", size]]],
    outputs: [[`x${steps}`, "float32", ["b", size]]],
    constants: { weight },
  });
}

const longInput = () => hostTensor(new Float32Array(256 * 256).fill(1), [256, 256]);

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("nothing was thrown"),
    (error: unknown) => error,
  );
}

describe("tensors", () => {
  test("are the caller's arrays, in and out", async () => {
    using session = await runtime.compile(addition);
    const x = hostTensor([1, 2, 3, 4], [2, 2]);
    const y = hostTensor([10, 20], [2]);
    const sum = hostTensor(new Float32Array(4), [2, 2]);
    using binding = session.bind({ x, y }, { sum });
    binding.runSync();
    expect([...sum.data]).toEqual([11, 22, 13, 24]);
    x.data[3] = 5;
    await binding.run();
    expect([...sum.data]).toEqual([11, 22, 13, 25]);
  });

  test("may be parts of larger arrays", async () => {
    using session = await runtime.compile(addition);
    const memory = Float32Array.from([0, 1, 2, 3, 0, 0, 0, 9]);
    const x = hostTensor(memory.subarray(1, 4), [1, 3]);
    const sum = hostTensor(memory.subarray(4, 7), [1, 3]);
    using binding = session.bind({ x, y: hostTensor([1, 1, 1], [3]) }, { sum });
    binding.runSync();
    expect([...memory]).toEqual([0, 1, 2, 3, 2, 3, 4, 9]);
  });

  test("may be input and output at once", async () => {
    using session = await runtime.compile(addition);
    const x = hostTensor([1, 2, 3], [1, 3]);
    using binding = session.bind({ x, y: hostTensor([1, 10, 100], [3]) }, { sum: x });
    for (let i = 0; i < 5; i++) binding.runSync();
    expect([...x.data]).toEqual([6, 52, 503]);
  });

  test("small arrays stay where the engine looks for them when garbage is collected", async () => {
    using session = await runtime.compile(addition);
    const x = hostTensor(new Float32Array(1), [1, 1]);
    const sum = hostTensor(new Float32Array(1), [1, 1]);
    using binding = session.bind({ x, y: hostTensor([1], [1]) }, { sum });
    for (let i = 0; i < 5; i++) {
      collectGarbage();
      x.data[0] = i;
      binding.runSync();
      expect(sum.data[0]).toBe(i + 1);
    }
  });

  test("arrays that only a binding knows live as long as it does", async () => {
    using session = await runtime.compile(addition);
    const sum = hostTensor(new Float32Array(4), [1, 4]);
    using binding = session.bind({ x: hostTensor([1, 2, 3, 4], [1, 4]), y: hostTensor([1, 1, 1, 1], [4]) }, { sum });
    const rubbish = [];
    for (let i = 0; i < 100; i++) {
      collectGarbage();
      rubbish.push(new Float32Array(4).fill(7), new Float32Array(4).fill(8));
    }
    binding.runSync();
    expect([...sum.data]).toEqual([2, 3, 4, 5]);
    expect(rubbish.length).toBe(200);
  });

  test("of any size: fresh outputs have the shapes of the run", async () => {
    using session = await runtime.compile(addition);
    for (const [b, t] of [
      [1, 1],
      [3, 2],
      [2, 5],
    ] as const) {
      const x = hostTensor(new Float32Array(b * t).fill(1), [b, t]);
      const { sum } = await session.run({ x, y: hostTensor(new Float32Array(t).fill(2), [t]) });
      expect(sum).toEqual({ dtype: "float32", shape: [b, t], data: new Float32Array(b * t).fill(3) });
    }
  });

  test("without elements", async () => {
    using session = await runtime.compile(addition);
    const none = hostTensor(new Float32Array(0), [0, 3]);
    const y = hostTensor([1, 2, 3], [3]);
    expect((await session.run({ x: none, y })).sum).toEqual({
      dtype: "float32",
      shape: [0, 3],
      data: new Float32Array(0),
    });
    using binding = session.bind({ x: none, y }, { sum: none });
    binding.runSync();
  });

  test("without dimensions", async () => {
    const model = onnxModel({
      nodes: [node("Add", ["x", "y"], ["sum"])],
      inputs: [
        ["x", "int64", []],
        ["y", "int64", []],
      ],
      outputs: [["sum", "int64", []]],
    });
    using session = await runtime.compile(model);
    const scalar = (value: bigint): HostTensor => ({ dtype: "int64", shape: [], data: BigInt64Array.of(value) });
    expect((await session.run({ x: scalar(40n), y: scalar(2n) })).sum).toEqual(scalar(42n));
  });

  const dtypes: DType[] = [
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
  ];
  test.each(dtypes)("of %s", async (dtype) => {
    const model = onnxModel({
      nodes: [node("Concat", ["x", "x"], ["twice"], { axis: 0 })],
      inputs: [["x", dtype, ["n"]]],
      outputs: [["twice", dtype, ["m"]]],
    });
    using session = await runtime.compile(model);
    expect(session.inputs).toEqual([{ name: "x", dtype, shape: ["n"] }]);
    const bits = dtype === "bool" ? [1, 0, 1] : Array.from({ length: 3 * bytesOf(dtype) }, (_, i) => (i * 7 + 1) % 60);
    const data = allocate(dtype, 3);
    new Uint8Array(data.buffer).set(bits);
    const { twice } = await session.run({ x: { dtype, shape: [3], data } });
    expect(twice?.dtype).toBe(dtype);
    expect(twice?.data.constructor).toBe(data.constructor);
    expect([...new Uint8Array(twice!.data.buffer)]).toEqual([...bits, ...bits]);
    const output = { dtype, shape: [6], data: allocate(dtype, 6) };
    using binding = session.bind({ x: { dtype, shape: [3], data } }, { twice: output });
    binding.runSync();
    expect(output.data).toEqual(twice!.data);
  });
});

describe("outputs", () => {
  const model = onnxModel({
    nodes: [node("Add", ["x", "x"], ["double"]), node("Mul", ["x", "x"], ["square"])],
    inputs: [["x", "float32", ["n"]]],
    outputs: [
      ["double", "float32", ["n"]],
      ["square", "float32", ["n"]],
    ],
  });
  const x = hostTensor([3], [1]);

  test("are chosen by name", async () => {
    using session = await runtime.compile(model);
    expect(Object.keys(await session.run({ x }))).toEqual(["double", "square"]);
    const chosen = await session.run({ x }, { outputs: ["square"] });
    expect(chosen).toEqual({ square: hostTensor([9], [1]) });
    expect(await session.run({ x }, { outputs: [] })).toEqual({});
    const square = hostTensor(new Float32Array(1), [1]);
    using binding = session.bind({ x }, { square });
    binding.runSync();
    expect(square.data[0]).toBe(9);
  });

  test("may all be dropped", async () => {
    using session = await runtime.compile(model);
    using binding = session.bind({ x }, {});
    binding.runSync();
    await binding.run();
  });
});

describe("runs", () => {
  test("leave the event loop free", async () => {
    using session = await runtime.compile(longModel(300));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const begin = performance.now();
    await session.run({ x0: longInput() });
    const elapsed = performance.now() - begin;
    clearInterval(timer);
    expect(elapsed).toBeGreaterThan(20);
    expect(turns).toBeGreaterThan(5);
  });

  test("end when aborted; the session goes on", async () => {
    using session = await runtime.compile(longModel(3000));
    const controller = new AbortController();
    const begin = performance.now();
    const run = session.run({ x0: longInput() }, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    expect(await failure(run)).toMatchObject({
      code: "aborted",
      message: "Session.run: aborted",
      cause: new Error("enough"),
    });
    const aborted = performance.now() - begin;
    const { x3000 } = await session.run({ x0: longInput() }, { signal: new AbortController().signal });
    expect(x3000!.data[7]).toBeCloseTo(1, 3);
    expect(aborted).toBeLessThan((performance.now() - begin) / 2);
    using binding = session.bind({ x0: longInput() }, {});
    const second = new AbortController();
    const bound = binding.run({ signal: second.signal });
    setTimeout(() => second.abort(), 10);
    expect(await failure(bound)).toMatchObject({ code: "aborted", message: "Binding.run: aborted" });
  });

  test("never begin when aborted before", async () => {
    using session = await runtime.compile(addition);
    const sum = hostTensor(new Float32Array(1), [1, 1]);
    const inputs = { x: hostTensor([1], [1, 1]), y: hostTensor([1], [1]) };
    using binding = session.bind(inputs, { sum });
    const error = await failure(binding.run({ signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: "aborted", message: "Binding.run: aborted before it began" });
    expect(sum.data[0]).toBe(0);
    binding.runSync();
    expect(sum.data[0]).toBe(2);
  });

  test("of one binding do not overlap, of two they may", async () => {
    using session = await runtime.compile(longModel(200));
    using first = session.bind({ x0: longInput() }, {});
    using second = session.bind({ x0: longInput() }, {});
    const runs = [first.run(), second.run()];
    expect(() => first.runSync()).toThrow(
      "Binding.runSync: the binding is running already. Wait for it, or bind twice",
    );
    await Promise.all(runs);
    first.runSync();
  });
});

describe("faults", () => {
  test("of the model are the engine's words in one line", async () => {
    const error = await failure(runtime.compile(new TextEncoder().encode("not a model")));
    expect(error).toMatchObject({ code: "runtime", message: expect.stringMatching(/^Runtime\.compile: .*protobuf/) });
    const unknown = onnxModel({
      nodes: [node("Nonsense", ["x"], ["y"])],
      inputs: [["x", "float32", [1]]],
      outputs: [],
    });
    expect(await failure(runtime.compile(unknown))).toMatchObject({
      message: expect.stringMatching(/^[^\n]*Nonsense[^\n]*$/),
    });
  });

  const gather = onnxModel({
    nodes: [node("Gather", ["x", "i"], ["y"])],
    inputs: [
      ["x", "float32", ["n"]],
      ["i", "int64", ["m"]],
    ],
    outputs: [["y", "float32", ["m"]]],
  });
  const outside = { x: hostTensor([1, 2], [2]), i: hostTensor([5], [1], "int64") };

  test("of a run are, too, and the session goes on", async () => {
    using session = await runtime.compile(gather);
    expect(await failure(session.run(outside))).toMatchObject({
      code: "runtime",
      message: expect.stringMatching(/^Session\.run: [^\n]*Gather[^\n]*out of data bounds[^\n]*$/),
    });
    using binding = session.bind(outside, { y: hostTensor([0], [1]) });
    expect(() => binding.runSync()).toThrow(/^Binding\.runSync: .*out of data bounds/);
    const { y } = await session.run({ ...outside, i: hostTensor([1], [1], "int64") });
    expect([...y!.data]).toEqual([2]);
  });

  test("are not printed", () => {
    const script = `
      import { nativeRuntime } from ${JSON.stringify(new URL("./native.ts", import.meta.url).href)};
      const runtime = nativeRuntime();
      await runtime.compile(new Uint8Array(3)).catch(() => {});
      const session = await runtime.compile(Buffer.from(${JSON.stringify(Buffer.from(gather).toString("base64"))}, "base64"));
      const float32 = (...v) => ({ dtype: "float32", shape: [v.length], data: Float32Array.from(v) });
      await session.run({ x: float32(1), i: { dtype: "int64", shape: [1], data: BigInt64Array.of(5n) } })
        .then(() => process.exit(3), (error) => console.log(error.code));`;
    const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
      encoding: "utf8",
    });
    expect([child.stdout, child.stderr]).toEqual(["runtime\n", ""]);
  });

  test("of names, types and shapes are found before the engine runs", async () => {
    using session = await runtime.compile(addition);
    const x = hostTensor([1, 2], [1, 2]);
    const y = hostTensor([1, 2], [2]);
    expect(() => session.bind({ x }, {})).toThrow("Session.bind: input y is missing (got x)");
    expect(() => session.bind({ x, y }, { total: x })).toThrow("Session.bind: there is no output total (it has sum)");
    expect(await failure(session.run({ x, y }, { outputs: ["total"] }))).toMatchObject({ code: "argument" });
    expect(await failure(session.run({ x, y: hostTensor([1], [1]) }))).toMatchObject({
      code: "shape",
      message: 'Session.run: input y: size "t" differs, expected [t], got [1]; it is 2 in input x (2 vs 1)',
    });
  });

  test("of options", async () => {
    for (const threads of [0, -1, 1.5, Number.NaN])
      expect(await failure(runtime.compile(addition, { threads }))).toMatchObject({ code: "argument" });
    expect(await failure(runtime.compile(addition, { config: { "": "1" } }))).toMatchObject({ code: "runtime" });
  });

  test("a transferred array is noticed", async () => {
    using session = await runtime.compile(addition);
    const x = hostTensor(new Float32Array(2), [1, 2]);
    using binding = session.bind({ x, y: hostTensor([1, 2], [2]) }, {});
    structuredClone(x.data, { transfer: [x.data.buffer as ArrayBuffer] });
    expect(() => binding.runSync()).toThrow(
      "Binding.runSync: an array of the binding was transferred away. Bind again",
    );
  });
});

describe("options", () => {
  test("threads, optimization and config give the same results", async () => {
    const inputs = { x: hostTensor([1, 2], [1, 2]), y: hostTensor([3, 4], [2]) };
    for (const options of [
      { threads: 1 },
      { threads: 2 },
      { optimization: "none" },
      { optimization: "extended" },
      { config: { "session.intra_op.allow_spinning": "0" } },
    ] as const) {
      using session = await runtime.compile(addition, options);
      expect([...(await session.run(inputs)).sum!.data]).toEqual([4, 6]);
    }
  });

  test.runIf(process.platform === "linux")("sessions share their threads, unless told otherwise", async () => {
    const threads = () => readdirSync("/proc/self/task").length;
    using _first = await runtime.compile(addition);
    const before = threads();
    using _second = await runtime.compile(addition);
    using _third = await runtime.compile(addition);
    expect(threads()).toBe(before);
    using _own = await runtime.compile(addition, { threads: 4 });
    expect(threads()).toBe(before + 3);
  });

  test("the optimization level reaches the engine", async () => {
    // What only constants feed is computed once, when optimized.
    const model = onnxModel({
      nodes: [node("Neg", ["two"], ["y"]), node("Add", ["x", "y"], ["z"])],
      inputs: [["x", "float32", ["n"]]],
      outputs: [["z", "float32", ["n"]]],
      constants: { two: hostTensor([2], [1]) },
    });
    const operators = async (optimization: "none" | "all") => {
      using session = await runtime.compile(model, { optimization, profile: true });
      await session.run({ x: hostTensor([1], [1]) });
      return session.profile().map(({ operator }) => operator);
    };
    expect((await operators("none")).sort()).toEqual(["Add", "Neg"]);
    expect(await operators("all")).toEqual(["Add"]);
  });

  test("a profile counts operators, once, and leaves no file", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "tessera-test-"));
    const before = process.env.TMPDIR;
    process.env.TMPDIR = directory;
    try {
      using session = await runtime.compile(longModel(20), { profile: true });
      using dropped = await runtime.compile(addition, { profile: true });
      expect(readdirSync(directory).length).toBe(2);
      for (let i = 0; i < 3; i++) await session.run({ x0: longInput() });
      const [first, ...others] = session.profile();
      expect(first).toMatchObject({ operator: "MatMul", calls: 60 });
      expect(first!.milliseconds).toBeGreaterThan(0.1);
      expect(others).toEqual([]);
      expect(() => session.profile()).toThrow("Session.profile: the profile was taken already");
      await session.run({ x0: longInput() });
      dropped.dispose();
      expect(await failure(runtime.compile(new Uint8Array(3), { profile: true }))).toMatchObject({ code: "runtime" });
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      rmSync(directory, { recursive: true });
    }
    using session = await runtime.compile(addition);
    expect(() => session.profile()).toThrow("Session.profile: the session was compiled without profile: true");
  });
});

describe("initializers from memory", () => {
  const table = (rows: number, width: number, data: Float32Array) => ({
    model: onnxModel({
      nodes: [node("Gather", ["table", "i"], ["y"])],
      inputs: [["i", "int64", ["n"]]],
      outputs: [["y", "float32", ["n", width]]],
      external: { table: hostTensor(data, [rows, width]) },
    }),
    initializers: { table: hostTensor(data, [rows, width]) },
  });
  const row = (i: number) => ({ i: hostTensor([i], [1], "int64") });

  test("are found by name", async () => {
    const { model, initializers } = table(2, 3, Float32Array.from([1, 2, 3, 4, 5, 6]));
    using session = await runtime.compile(model, { initializers });
    expect([...(await session.run(row(1))).y!.data]).toEqual([4, 5, 6]);
  });

  test("work under weights that the engine packs for itself", async () => {
    const weight = hostTensor(
      Float32Array.from({ length: 64 * 48 }, (_, i) => Math.sin(i)),
      [64, 48],
    );
    const model = onnxModel({
      nodes: [node("MatMul", ["x", "w"], ["y"])],
      inputs: [["x", "float32", ["b", 64]]],
      outputs: [["y", "float32", ["b", 48]]],
      external: { w: weight },
    });
    using session = await runtime.compile(model, { initializers: { w: weight } });
    const { y } = await session.run({ x: hostTensor(new Float32Array(64).fill(1), [1, 64]) });
    const column = Array.from({ length: 64 }, (_, k) => Math.sin(k * 48 + 5)).reduce((a, b) => a + b);
    expect(y!.data[5]).toBeCloseTo(column, 4);
  });

  test("are not copied", async () => {
    const rows = 1 << 16;
    const data = new Float32Array(rows * 1024).fill(1); // 256 MB
    data[(rows - 1) * 1024] = 5;
    const { model, initializers } = table(rows, 1024, data);
    collectGarbage();
    const before = process.memoryUsage().rss;
    using session = await runtime.compile(model, { initializers });
    expect((await session.run(row(rows - 1))).y!.data[0]).toBe(5);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
  });

  test("missing or wrong ones are refused", async () => {
    const { model, initializers } = table(2, 3, new Float32Array(6));
    expect(await failure(runtime.compile(model))).toMatchObject({ code: "runtime" });
    const other = { table: hostTensor(new Float32Array(4), [2, 2]) };
    expect(await failure(runtime.compile(model, { initializers: other }))).toMatchObject({ code: "runtime" });
    const short: HostTensor = { ...initializers.table, data: new Float32Array(5) };
    expect(await failure(runtime.compile(model, { initializers: { table: short } }))).toMatchObject({
      code: "shape",
      message: expect.stringContaining("Runtime.compile: initializer table: element count differs"),
    });
  });
});

describe("disposal", () => {
  const inputs = { x: hostTensor([1], [1, 1]), y: hostTensor([1], [1]) };

  test("may be repeated; use after it is an error", async () => {
    const session = await runtime.compile(addition);
    const binding = session.bind(inputs, {});
    const other = session.bind(inputs, {});
    binding.dispose();
    binding.dispose();
    expect(() => binding.runSync()).toThrow("Binding.runSync: the binding is disposed, or its session");
    other.runSync();
    session.dispose();
    session[Symbol.dispose]();
    expect(await failure(other.run())).toMatchObject({ code: "runtime" });
    other.dispose();
    expect(await failure(session.run(inputs))).toMatchObject({ message: "Session.run: the session is disposed" });
    expect(() => session.bind(inputs, {})).toThrow("Session.bind: the session is disposed");
    expect(() => session.profile()).toThrow("Session.profile: the session is disposed");
  });

  test("waits for the runs under way", async () => {
    const session = await runtime.compile(longModel(300));
    const output = hostTensor(new Float32Array(256 * 256), [256, 256]);
    const binding = session.bind({ x0: longInput() }, { x300: output });
    const runs = [binding.run(), session.run({ x0: longInput() })] as const;
    binding.dispose();
    session.dispose();
    expect((await runs[1]).x300!.data[9]).toBeCloseTo(1, 3);
    await runs[0];
    expect(output.data[9]).toBeCloseTo(1, 3);
  });

  test("of what was forgotten happens with the garbage", async () => {
    const forget = async () => {
      const session = await runtime.compile(addition);
      const binding = session.bind(inputs, {});
      binding.runSync();
      return [new WeakRef(session), new WeakRef(binding)];
    };
    const references = await forget();
    for (let i = 0; i < 50 && references.some((r) => r.deref()); i++) {
      await sleep(2);
      collectGarbage();
    }
    expect(references.map((r) => r.deref())).toEqual([undefined, undefined]);
  });
});

describe("memory", () => {
  const values: Value[] = Array.from({ length: 8 }, (_, i) => [`x${i}`, "float32", ["n"]]);
  const model = onnxModel({
    nodes: [
      node(
        "Sum",
        values.map(([name]) => name),
        ["y"],
      ),
    ],
    inputs: values,
    outputs: [["y", "float32", ["n"]]],
  });
  const tensors = () => Object.fromEntries(values.map(([name]) => [name, hostTensor(new Float32Array(256), [256])]));

  async function growth(warm: number, rounds: number, round: () => Promise<void> | void): Promise<number> {
    for (let i = 0; i < warm; i++) await round();
    collectGarbage();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < rounds; i++) await round();
    await sleep(10);
    collectGarbage();
    return (process.memoryUsage().rss - before) / 2 ** 20;
  }

  test("does not grow over 10,000 runs", async () => {
    using session = await runtime.compile(model, { threads: 1 });
    const given = tensors();
    using binding = session.bind(given, { y: hostTensor(new Float32Array(256), [256]) });
    using dropping = session.bind(given, {});
    expect(await growth(1000, 10_000, () => binding.runSync())).toBeLessThan(8);
    expect(await growth(1000, 10_000, () => dropping.runSync())).toBeLessThan(8);
    expect(await growth(500, 5_000, () => binding.run())).toBeLessThan(8);
    const run = async () => {
      await session.run(given);
    };
    expect(await growth(1000, 10_000, run)).toBeLessThan(16);
  });

  test("does not grow over 200 sessions and 2,000 bindings", async () => {
    const cycle = async () => {
      using session = await runtime.compile(model, { threads: 2 });
      for (let i = 0; i < 10; i++) {
        using binding = session.bind(tensors(), {});
        binding.runSync();
      }
    };
    expect(await growth(40, 200, cycle)).toBeLessThan(16);
  });

  test("does not grow over failing and aborted runs", async () => {
    using session = await runtime.compile(addition);
    const fail = async () => {
      await failure(runtime.compile(new Uint8Array(3)));
      const given = { x: hostTensor([1], [1, 1]), y: hostTensor([1], [1]) };
      await session.run(given, { signal: new AbortController().signal });
      await failure(session.run(given, { signal: AbortSignal.abort() }));
    };
    expect(await growth(1000, 2000, fail)).toBeLessThan(16);
  });
});
