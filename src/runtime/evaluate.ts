import type { HostTensor } from "../core/host-tensor.js";
import { input, type Tensor } from "../core/tensor.js";
import { compileGraph } from "./compile.js";
import type { Runtime } from "./session.js";

/**
 * Traces a function on inputs of given types, compiles it, runs it once and returns its results: for looking at a block and for
 * tests. What runs many times compiles once with {@link compileGraph} instead.
 *
 * @example
 * const { y } = await evaluate(nativeRuntime(), { x: hostTensor([-1, 0, 2], [3]) }, ({ x }) => ({ y: relu(x) }));
 */
export async function evaluate<I extends string, O extends string>(
  runtime: Runtime,
  inputs: Readonly<Record<I, HostTensor>>,
  f: (inputs: Readonly<Record<I, Tensor>>) => Readonly<Record<O, Tensor>>,
): Promise<Record<O, HostTensor>> {
  const given = Object.entries<HostTensor>(inputs).map(([name, { shape, dtype }]) => input(name, shape, dtype));
  const results = f(Object.fromEntries(given.map((x) => [x.name, x])) as Record<I, Tensor>);
  const graph = { inputs: given, outputs: Object.values<Tensor>(results) };
  using session = await compileGraph(runtime, graph, { outputNames: Object.keys(results) });
  return (await session.run(inputs)) as Record<O, HostTensor>;
}
