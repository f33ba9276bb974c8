import { expect } from "vitest";
import type { Dim, Shape } from "../../src/core/dim.js";
import { type DType, isFloating } from "../../src/core/dtype.js";
import { renode, topologicalOrder } from "../../src/core/graph.js";
import { type HostTensor, hostTensor } from "../../src/core/host-tensor.js";
import type { Graph } from "../../src/core/primitive.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import type { SafetensorsFile } from "../../src/hub/safetensors.js";
import { emitOnnx } from "../../src/onnx/index.js";
import { ops } from "../../src/ops/index.js";
import { pullback, rebuild, simplify, verify } from "../../src/transforms/index.js";
import { compileModel, numbersOf } from "../support/run-graph.js";
import type { NdArray } from "./oracle.js";

/** What an input of a case looks like. */
export interface InputSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Its elements, from a source of numbers in [0, 1). */
  values(random: () => number, count: number): readonly number[];
}

/** Uniform float32 numbers between `low` and `high`. */
export const floats = (shape: readonly number[], low = -2, high = 2): InputSpec => ({
  shape,
  dtype: "float32",
  values: (random, count) => Array.from({ length: count }, () => Math.fround(low + (high - low) * random())),
});

/** Whole numbers in 0 … `below` − 1. */
export const ints = (shape: readonly number[], below: number, dtype: DType = "int64"): InputSpec => ({
  shape,
  dtype,
  values: (random, count) => Array.from({ length: count }, () => Math.floor(below * random())),
});

/** Fair coins. */
export const bools = (shape: readonly number[]): InputSpec => ints(shape, 2, "bool");

/** Given numbers. */
export const fixed = (values: readonly number[], shape = [values.length], dtype: DType = "float32"): InputSpec => ({
  shape,
  dtype,
  values: () => values,
});

type Values<T> = Readonly<Record<string, T>>;

/** One way to call an operation: inputs, the call, and what must come out. */
export interface Case {
  readonly inputs: Values<InputSpec>;
  readonly build: (x: Values<Tensor>) => readonly Tensor[];
  readonly oracle: (x: Values<NdArray>) => readonly NdArray[];
  readonly torch: string | undefined;
  readonly constants: readonly string[];
  readonly exportable: boolean;
  readonly named: readonly number[] | false;
  readonly tolerance: number;
}

/**
 * A case of an operation.
 *
 * @param inputs tensors that the call gets, by name; gradients are taken with respect to those that are floats
 * @param parts.build the call
 * @param parts.oracle the same on plain arrays in double precision
 * @param parts.torch the same in PyTorch, over the same names: a line of Python whose values are recorded
 * @param parts.constants floats that no gradient is taken for
 * @param parts.exportable false: it runs on the engine's own operators only
 * @param parts.named which sizes are given names when the case runs with named sizes; default: all above 1
 * @param parts.tolerance largest difference allowed, relative to the largest entry; default 1e-5
 */
export function check<K extends string>(
  inputs: Readonly<Record<K, InputSpec>>,
  parts: {
    readonly build: (x: Readonly<Record<K, Tensor>>) => Tensor | readonly Tensor[];
    readonly oracle: (x: Readonly<Record<K, NdArray>>) => NdArray | readonly NdArray[];
    readonly torch?: string;
    readonly constants?: readonly NoInfer<K>[];
    readonly exportable?: boolean;
    readonly named?: readonly number[] | false;
    readonly tolerance?: number;
  },
): Case {
  const sizes = Object.values<InputSpec>(inputs).flatMap(({ shape }) => shape.filter((d) => d > 1));
  return {
    inputs,
    build: (x) => [parts.build(x as Readonly<Record<K, Tensor>>)].flat(),
    oracle: (x) => [parts.oracle(x as Readonly<Record<K, NdArray>>)].flat(),
    torch: parts.torch,
    constants: parts.constants ?? [],
    exportable: parts.exportable ?? true,
    named: parts.named ?? sizes,
    tolerance: parts.tolerance ?? 1e-5,
  };
}

/** The cases of one operation, by name. */
export type Check = Readonly<Record<string, Case>>;

/** Numbers in [0, 1), the same for the same text. */
export function randomFrom(text: string): () => number {
  let state = Array.from(text).reduce((hash, c) => Math.imul(hash ^ c.codePointAt(0)!, 0x01000193), 0x811c9dc5);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The values of a case's inputs, the same every time. */
export function valuesOf(id: string, { inputs }: Case): Values<NdArray> {
  const random = randomFrom(id);
  return mapValues(inputs, ({ shape, values }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return { shape, data: values(random, count) };
  });
}

const mapValues = <T, U>(from: Values<T>, f: (value: T, name: string) => U): Values<U> =>
  Object.fromEntries(Object.entries(from).map(([name, value]) => [name, f(value, name)]));

/** Names of the inputs that gradients are taken for: the floats, if the operation returns floats. */
function differentiated({ inputs, constants }: Case, outputs: readonly Tensor[]): readonly string[] {
  if (!outputs.every((y) => isFloating(y.dtype))) return [];
  return Object.keys(inputs).filter((name) => isFloating(inputs[name]!.dtype) && !constants.includes(name));
}

interface Traced {
  readonly graph: Graph;
  readonly outputs: readonly Tensor[];
  readonly wanted: readonly string[];
}

/**
 * The call and its gradients as one graph: outputs, then the gradient for all inputs at once, then for each alone. Inputs `ct0`, `ct1`, …
 * are the cotangents of the outputs.
 */
function trace(one: Case, name: (size: number) => Dim, transform: (graph: Graph) => Graph = (g) => g): Traced {
  const inputs = mapValues(one.inputs, ({ shape, dtype }, key) => input(key, shape.map(name), dtype));
  const all = Object.values(inputs);
  const { outputs } = transform({ inputs: all, outputs: one.build(inputs) });
  const wanted = differentiated(one, outputs);
  const cts = wanted.length === 0 ? [] : outputs.map((y, i) => input(`ct${i}`, y.shape, y.dtype));
  const targets = wanted.map((key) => inputs[key]!);
  const found = [...pullback(outputs, cts, targets), ...targets.flatMap((x) => pullback(outputs, cts, [x]))];
  const gradients = found.map((ct, i) => ct ?? zeros(targets[i % targets.length]!));
  return { graph: { inputs: [...all, ...cts], outputs: [...outputs, ...gradients] }, outputs, wanted };
}

const zeros = ({ shape, dtype }: { shape: Shape; dtype: DType }) => ops.full(shape, 0, dtype);

/** A graph with every operation that has one replaced by its decomposition. */
function decompose(graph: Graph): Graph {
  return rebuild(graph, (node, inputs) => {
    const simpler = node.op.decompose?.(ops, inputs, node.attrs);
    return simpler ? [simpler].flat() : renode(node, inputs).outputs;
  });
}

/** The gradient of Σ ⟨ctᵢ, outputᵢ⟩ with respect to one input, by central differences of the oracle. */
function differences(one: Case, values: Values<NdArray>, cts: readonly NdArray[], name: string): NdArray {
  const step = 1e-5;
  const { shape, data } = values[name]!;
  const along = (i: number, by: number) => {
    const moved = { shape, data: data.map((v, j) => (j === i ? v + by : v)) };
    const outputs = one.oracle({ ...values, [name]: moved });
    return outputs.reduce((sum, y, k) => y.data.reduce((part, v, j) => part + v * cts[k]!.data[j]!, sum), 0);
  };
  return { shape, data: data.map((_, i) => (along(i, step) - along(i, -step)) / (2 * step)) };
}

/** Fails unless a result has the shape and, up to `tolerance` of the largest entry (or of 0.1), the elements of what is expected. */
export function expectClose(result: HostTensor, expected: NdArray, tolerance: number, what: string): void {
  expect(result.shape, `shape of ${what}`).toEqual(expected.shape);
  const exact = !isFloating(result.dtype);
  const largest = Math.max(0.1, ...expected.data.map((v) => (Number.isFinite(v) ? Math.abs(v) : 0)));
  numbersOf(result).forEach((got, i) => {
    const want = expected.data[i]!;
    if (Object.is(got, want) || (exact ? got === want : Math.abs(got - want) <= tolerance * largest)) return;
    expect.fail(`${what}: element ${i} is ${got}, expected ${want} (tolerance ${tolerance} of ${largest})`);
  });
}

/** Primitives that a graph applies. */
export function primitivesIn(graph: Graph): readonly string[] {
  return topologicalOrder(graph.outputs).map((node) => node.op.name);
}

/** The primitives that a case applies. */
export function primitivesOf(one: Case): readonly string[] {
  return primitivesIn(trace(one, (size) => size).graph);
}

/**
 * Runs a case in every form: with and without the engine's own operators, simplified, decomposed, with named sizes; outputs against the
 * oracle, gradients against its differences, and both against what PyTorch gave, where it was recorded.
 */
export async function runCase(id: string, one: Case, recorded: SafetensorsFile): Promise<void> {
  const values = valuesOf(id, one);
  const numeric = trace(one, (size) => size);
  const random = randomFrom(`${id} cotangents`);
  const expectedOutputs = one.oracle(values);
  const cts =
    numeric.wanted.length === 0
      ? []
      : expectedOutputs.map(({ shape, data }) => ({ shape, data: data.map(() => Math.fround(2 * random() - 1)) }));
  const gradients = numeric.wanted.map((name) => differences(one, values, cts, name));
  const expected = [...expectedOutputs, ...gradients, ...gradients];
  const labels = [
    ...expectedOutputs.map((_, i) => `output ${i}`),
    ...numeric.wanted.map((name) => `gradient of ${name}`),
    ...numeric.wanted.map((name) => `gradient of ${name} alone`),
  ];
  const host = {
    ...mapValues(one.inputs, ({ shape, dtype }, name) => hostTensor(values[name]!.data, shape, dtype)),
    ...Object.fromEntries(cts.map(({ shape, data }, i) => [`ct${i}`, hostTensor(data, shape)])),
  };
  const compare = (results: readonly HostTensor[], wanted: readonly NdArray[], form: string) =>
    wanted.forEach((array, i) => {
      expectClose(results[i]!, array, one.tolerance, `${form}, ${labels[i]}`);
    });

  const hasDecomposition = topologicalOrder(numeric.outputs).some((node) => node.op.decompose);
  const forms: [form: string, graph: Graph | undefined, contrib: boolean][] = [
    ["as it is", numeric.graph, true],
    ["without contributed operators", one.exportable ? numeric.graph : undefined, false],
    ["simplified", simplify(numeric.graph), true],
    ["decomposed", hasDecomposition ? trace(one, (size) => size, decompose).graph : undefined, false],
    ["with named sizes", namedTrace(one), true],
  ];
  const done: Uint8Array[] = [];
  for (const [form, graph, contrib] of forms) {
    if (!graph) continue;
    const model = emitOnnx(verify(graph), { contrib });
    // The list of operator sets ends a model, so one that differs in that alone starts with the other.
    if (done.some((other) => Buffer.compare(other.subarray(0, model.length), model) === 0)) continue;
    done.push(model);
    using compiled = await compileModel(model);
    compare(await compiled.run(host), expected, form);
    if (done.length > 1 || one.torch === undefined) continue;
    const read = (name: string) => recorded.read(`${id}.${name}`);
    const given = {
      ...mapValues(one.inputs, (_, name) => read(`in.${name}`)),
      ...Object.fromEntries(cts.map((_, i) => [`ct${i}`, read(`ct.${i}`)])),
    };
    const outputs = expectedOutputs.map((_, i) => array(read(`out.${i}`)));
    const grads = numeric.wanted.map((name) => array(read(`grad.${name}`)));
    compare(await compiled.run(given), [...outputs, ...grads, ...grads], "recorded");
  }
}

const array = (x: HostTensor): NdArray => ({ shape: x.shape, data: numbersOf(x) });

function namedTrace(one: Case): Graph | undefined {
  const { named } = one;
  return named && named.length > 0 ? trace(one, (size) => (named.includes(size) ? `n${size}` : size)).graph : undefined;
}
