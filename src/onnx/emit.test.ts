import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { compileGraph, numbersOf, runGraph } from "../../test/support/run-graph.js";
import { bind, type Graph, hostTensor, input, type Primitive, type Tensor } from "../core/index.js";
import { add, constant, full, gelu, matmul, mul, range, reshape, scan, silu, sub, sum } from "../ops/index.js";
import { nativeRuntime } from "../runtime/native.js";
import { emitOnnx, IN_MEMORY } from "./emit.js";

const x = input("x", [2, 3]);
const w = input("w", [3, 2]);
const product: Graph = { inputs: [x, w], outputs: [matmul(x, w)] };
const xs = hostTensor([1, 2, 3, 4, 5, 6], [2, 3]);
const ws = hostTensor([1, 0, 0, 1, 10, 100], [3, 2]);

/** How often a text occurs in a model. */
const occurrences = (model: Uint8Array, text: string) => Buffer.from(model).toString("latin1").split(text).length - 1;

describe("emitOnnx", () => {
  it("writes inputs and outputs with their names, types and sizes", async () => {
    const [a, ids] = [input("h.0.a", ["b", "t", 4]), input("ids", ["b", "t"], "int64")];
    const graph = { inputs: [a, ids], outputs: [sum(a, { axes: [2] }), reshape(a, ["b", "4*t"]), ids] };
    using session = await nativeRuntime().compile(emitOnnx(graph, { outputNames: ["s", "r", "same"] }), { threads: 1 });
    expect(session.inputs).toEqual([
      { name: "h.0.a", dtype: "float32", shape: ["b", "t", 4] },
      { name: "ids", dtype: "int64", shape: ["b", "t"] },
    ]);
    expect(session.outputs.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ["s", "float32", ["b", "t"]],
      ["r", "float32", ["b", "4*t"]],
      ["same", "int64", ["b", "t"]],
    ]);
  });

  it("gives an input, or one value twice, as outputs", async () => {
    const y = add(x, 1);
    const results = await runGraph({ inputs: [x], outputs: [x, y, y] }, { x: xs });
    expect(results.map(numbersOf)).toEqual([
      [1, 2, 3, 4, 5, 6],
      [2, 3, 4, 5, 6, 7],
      [2, 3, 4, 5, 6, 7],
    ]);
  });

  it("keeps names of its own apart from those of inputs and outputs", async () => {
    const [v0, v1] = [input("v0", [2]), input("v1", [2])];
    const graph = { inputs: [v0, v1], outputs: [mul(add(v0, v1), 3)] };
    const values = { v0: hostTensor([1, 2], [2]), v1: hostTensor([3, 4], [2]) };
    const [result] = await runGraph(graph, values, { outputNames: ["v2"] });
    expect(numbersOf(result!)).toEqual([12, 18]);
  });

  it("takes initializers into the model", async () => {
    using compiled = await compileGraph(product, { initializers: { w: ws } });
    expect(numbersOf((await compiled.run({ x: xs }))[0]!)).toEqual([31, 302, 64, 605]);
  });

  it("leaves the data of external ones in a file, at any offset", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "emit-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const data = new Uint8Array(ws.data.buffer);
    writeFileSync(
      path.join(folder, "weights.bin"),
      Buffer.concat([Buffer.from("not aligned"), data, Buffer.from("more")]),
    );
    const model = emitOnnx(product, { external: { w: { location: "weights.bin", offset: 11 } } });
    expect(model.length).toBeLessThan(400);
    const config = { "session.model_external_initializers_file_folder_path": folder };
    using session = await nativeRuntime().compile(model, { threads: 1, config });
    expect(numbersOf((await session.run({ x: xs })).out0!)).toEqual([31, 302, 64, 605]);
  });

  it("leaves the data of external ones to the session", async () => {
    const model = emitOnnx(product, { external: { w: { location: IN_MEMORY, offset: 0 } } });
    using session = await nativeRuntime().compile(model, { threads: 1, initializers: { w: ws } });
    expect(session.inputs.map((i) => i.name)).toEqual(["x"]);
    expect(numbersOf((await session.run({ x: xs })).out0!)).toEqual([31, 302, 64, 605]);
  });

  it("stores equal small constants once", () => {
    const twice = emitOnnx({ inputs: [x], outputs: [mul(add(x, constant([7, 8, 9])), constant([7, 8, 9]))] });
    expect(occurrences(twice, Buffer.from(Float32Array.of(7, 8, 9).buffer).toString("latin1"))).toBe(1);
  });

  it("uses the engine's own operators only where it may", () => {
    const graph = { inputs: [x], outputs: [silu(gelu(x)), matmul(x, x, { transB: true, scale: 2 })] };
    expect(occurrences(emitOnnx(graph), "com.microsoft")).toBeGreaterThan(2);
    expect(occurrences(emitOnnx(graph, { contrib: false }), "com.microsoft")).toBe(0);
  });
});

describe("named sizes", () => {
  const run = async (
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    sizes: Readonly<Record<string, readonly number[]>>,
  ) => {
    const values = Object.entries(sizes).map(([name, shape]) => [
      name,
      hostTensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape),
    ]);
    return (await runGraph({ inputs, outputs }, Object.fromEntries(values))).map(numbersOf);
  };

  it("are computed from the inputs", async () => {
    const a = input("a", ["b", 3, "t"]);
    expect(await run([a], [full(["t"], 1), range("2*b*t + -1"), full(["b"], 2)], { a: [2, 3, 2] })).toEqual([
      [1, 1],
      [0, 1, 2, 3, 4, 5, 6],
      [2, 2],
    ]);
  });

  it("are found inside sums too", async () => {
    const [a, b] = [input("a", ["past + t", 1]), input("b", ["t"])];
    expect(await run([a, b], [range("past")], { a: [5, 1], b: [2] })).toEqual([[0, 1, 2]]);
  });

  it("may be zero when the graph runs", async () => {
    const [a, b] = [input("a", ["past", 2]), input("b", ["t", 2])];
    const both = [reshape(a, ["past*2", 1]), reshape(a, ["past", 1, 2]), reshape(add(a, 1), [2, "past"])].map((y) =>
      sum(y),
    );
    expect(await run([a, b], [...both, range("past + t")], { a: [0, 2], b: [3, 2] })).toEqual([
      [0],
      [0],
      [0],
      [0, 1, 2],
    ]);
  });

  it("must be sizes of some input", () => {
    const a = input("a", ["b"]);
    expect(() => emitOnnx({ inputs: [a], outputs: [range("t")] })).toThrow(
      'emitOnnx: no input of the graph has the size "t"',
    );
    const sums = input("a", ["past + t"]);
    expect(() => emitOnnx({ inputs: [sums], outputs: [range("t")] })).toThrow(
      "emitOnnx: no input of the graph has the size",
    );
  });
});

describe("graphs inside nodes", () => {
  it("see the values and sizes of the graph around them", async () => {
    const [s, e, bias] = [input("s", ["b"]), input("e", ["b", "t"]), input("bias", [1])];
    const outside = mul(bias, 10);
    const { carries, ys } = scan(
      ([before], [now]) => {
        const after = add(add(before!, now!), mul(outside, full(["b"], 1)));
        return { carries: [after], ys: [sub(after, outside), before!] };
      },
      [s],
      [e],
    );
    const [last, shifted, before] = await runGraph(
      { inputs: [s, e, bias], outputs: [...carries, ...ys] },
      { s: hostTensor([0, 100], [2]), e: hostTensor([1, 2, 3, 4, 5, 6], [2, 3]), bias: hostTensor([1], [1]) },
    );
    expect(numbersOf(last!)).toEqual([36, 145]);
    expect(numbersOf(shifted!)).toEqual([1, 13, 26, 104, 119, 135]);
    expect(numbersOf(before!)).toEqual([0, 11, 23, 100, 114, 129]);
  });
});

describe("emitOnnx refuses", () => {
  it("names that are not there or not the only ones", () => {
    expect(() => emitOnnx(product, { outputNames: [] })).toThrow("emitOnnx: 0 output names for 1 outputs");
    expect(() => emitOnnx(product, { outputNames: ["w"] })).toThrow("emitOnnx: two inputs or outputs are named w");
    expect(() => emitOnnx({ inputs: [x], outputs: [x, x] }, { outputNames: ["y", "y"] })).toThrow(
      "emitOnnx: two inputs or outputs are named y",
    );
    expect(() => emitOnnx(product, { initializers: { v: ws } })).toThrow(
      "emitOnnx: initializer v is no input of the graph",
    );
    expect(() => emitOnnx(product, { external: { v: { location: IN_MEMORY, offset: 0 } } })).toThrow(
      "emitOnnx: initializer v is no input",
    );
  });

  it("initializers of another type, and external ones of no fixed size", () => {
    expect(() => emitOnnx(product, { initializers: { w: xs } })).toThrow(
      "emitOnnx: initializer w is float32[2, 3], the input float32[3, 2]",
    );
    const open = input("open", ["b"]);
    expect(() =>
      emitOnnx({ inputs: [open], outputs: [open] }, { external: { open: { location: IN_MEMORY, offset: 0 } } }),
    ).toThrow("countOf: [b] has a size that is not a number");
  });

  it("values from nowhere", () => {
    expect(() => emitOnnx({ inputs: [x], outputs: [matmul(x, w)] })).toThrow(
      "matmul: uses w, which is no input of the graph",
    );
  });
});

it("leaves out outputs that nobody uses", async () => {
  const usedOf: (readonly boolean[])[] = [];
  const pair: Primitive<1> = {
    name: "pair",
    shape: ([a]) => [a, a],
    emit: (onnx, [a], _, { used }) => {
      usedOf.push(used);
      return ["", onnx.node("Neg", [a])];
    },
    vjp: null,
  };
  const second = bind(pair, [x], {}).node!.outputs[1]!;
  const [result] = await runGraph({ inputs: [x], outputs: [second] }, { x: xs });
  expect(usedOf).toEqual([[false, true]]);
  expect(numbersOf(result!)).toEqual([-1, -2, -3, -4, -5, -6]);
});
