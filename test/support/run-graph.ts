import { TesseraError } from "../../src/core/errors.js";
import type { HostTensor } from "../../src/core/host-tensor.js";
import type { Graph } from "../../src/core/primitive.js";
import { type EmitOptions, emitOnnx } from "../../src/onnx/index.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { verify } from "../../src/transforms/index.js";

type Tensors = Readonly<Record<string, HostTensor>>;

/** A graph ready to run. */
export interface CompiledGraph extends Disposable {
  /** Runs it with a tensor for every input, by name (others are ignored), and returns the outputs in order. */
  run(values: Tensors): Promise<readonly HostTensor[]>;
}

/** Verifies a graph and compiles it for the native runtime, on one thread. */
export function compileGraph(graph: Graph, options: EmitOptions = {}): Promise<CompiledGraph> {
  return compileModel(emitOnnx(verify(graph), options));
}

/** Compiles a serialized model for the native runtime, on one thread. */
export async function compileModel(model: Uint8Array): Promise<CompiledGraph> {
  const session = await nativeRuntime().compile(model, { threads: 1 });
  return {
    async run(values) {
      const inputs = session.inputs.map(({ name }) => [name, of(values, name)]);
      const results = await session.run(Object.fromEntries(inputs));
      return session.outputs.map(({ name }) => results[name]!);
    },
    [Symbol.dispose]: () => session.dispose(),
  };
}

/** Compiles a graph and runs it once. */
export async function runGraph(
  graph: Graph,
  values: Tensors,
  options: EmitOptions = {},
): Promise<readonly HostTensor[]> {
  using compiled = await compileGraph(graph, options);
  return await compiled.run(values);
}

function of(values: Tensors, name: string): HostTensor {
  const value = values[name];
  if (!value) throw new TesseraError("argument", `run: no value for input ${name}`);
  return value;
}

/** The elements as plain numbers. */
export function numbersOf({ data }: HostTensor): number[] {
  return Array.from(data as ArrayLike<number | bigint>, Number);
}
