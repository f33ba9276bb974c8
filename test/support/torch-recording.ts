import { readFileSync } from "node:fs";
import type { HostTensor } from "../../src/core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../../src/core/module.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { reshape, slice } from "../../src/ops/shape.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { grad } from "../../src/transforms/grad.js";
import { numbersOf } from "./run-graph.js";

interface Recording {
  readonly loss: number;
  readonly outputs: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

/** What PyTorch 1.13 computed row by row, without padding, for models with the weights of {@link wave}. */
const recordings = JSON.parse(readFileSync(new URL("../models/recurrent.json", import.meta.url), "utf8")) as Readonly<
  Record<string, Recording>
>;

/** Weights anybody can write down: element i of the k-th name in alphabetical order is `sin(0.7 i + k) / 2`. */
export function wave(module: AnyModule): Map<string, HostTensor> {
  const all = [...parametersOf(module)].filter(([, { fixed }]) => !fixed);
  const order = all.map(([path]) => path).sort();
  return new Map(
    all.map(([path, { shape }]) => {
      const k = order.indexOf(path);
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(0.7 * i + k) / 2);
      return [path, { dtype: "float32", shape, data }];
    }),
  );
}

/** Row `r` of `[b, t, ...]`, its first `length` elements: `[length, ...]`. */
export function rowOf(x: Tensor, r: number, length?: number): Tensor {
  const row = reshape(slice(x, 0, r, r + 1), x.shape.slice(1));
  return length === undefined ? row : slice(row, 0, 0, length);
}

/**
 * Runs a model with the weights of {@link wave} and compares it with its recording.
 *
 * @param buffers values of parameters that are not learned
 * @param trace from the tree of parameters to the outputs by their recorded names, and the loss
 * @returns the largest difference of an output, and of a gradient relative to the largest gradient
 */
export async function againstTorch(
  name: string,
  module: AnyModule,
  feeds: Readonly<Record<string, HostTensor>>,
  trace: (
    params: never,
    feeds: Readonly<Record<string, Tensor>>,
  ) => { readonly outputs: Readonly<Record<string, Tensor>>; readonly loss: Tensor },
  buffers: Readonly<Record<string, HostTensor>> = {},
): Promise<{ readonly output: number; readonly gradient: number }> {
  const recording = recordings[name]!;
  const weights = new Map([...wave(module), ...Object.entries(buffers)]);
  const params = new Map([...weights].map(([path, { shape }]) => [path, input(path, shape)]));
  const given = Object.fromEntries(Object.entries(feeds).map(([key, x]) => [key, input(key, x.shape, x.dtype)]));
  const { outputs, loss } = trace(parameterTree(module, (path) => params.get(path)) as never, given);
  const learned = [...params.keys()].filter((path) => !(path in buffers));
  const gradients = grad(
    loss,
    learned.map((path) => params.get(path)!),
  );
  const results = { ...outputs, loss, ...Object.fromEntries(gradients.map((g, i) => [`grad.${learned[i]}`, g])) };
  using session = await compileGraph(
    nativeRuntime(),
    { inputs: [...Object.values(given), ...params.values()], outputs: Object.values(results) },
    { outputNames: Object.keys(results) },
  );
  const got = await session.run({ ...feeds, ...Object.fromEntries(weights) });
  const differences = (key: string, expected: readonly number[]) => {
    const numbers = numbersOf(got[key]!);
    if (numbers.length !== expected.length) throw new Error(`${key}: ${numbers.length} vs ${expected.length} numbers`);
    return Math.max(...numbers.map((x, i) => Math.abs(x - expected[i]!)));
  };
  const names = Object.keys(recording.gradients).sort().join();
  if (names !== [...learned].sort().join()) throw new Error(`parameters differ: ${names} vs ${learned.sort().join()}`);
  const largest = Math.max(...Object.values(recording.gradients).flatMap((g) => g.map(Math.abs)));
  return {
    output: Math.max(
      differences("loss", [recording.loss]),
      ...Object.entries(recording.outputs).map(([key, { data }]) => differences(key, data)),
    ),
    gradient:
      Math.max(...Object.entries(recording.gradients).map(([path, g]) => differences(`grad.${path}`, g))) / largest,
  };
}
