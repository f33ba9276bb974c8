import { topologicalOrder } from "../core/graph.js";
import type { HostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { type CompileOptions, compileGraph } from "../runtime/compile.js";
import type { Runtime, Session } from "../runtime/session.js";

/** How the graphs of a model are compiled. */
export interface ModelGraphsOptions extends Omit<CompileOptions, "outputNames" | "weights"> {
  /** Whether the engine keeps matrices a second time. Default: for weights up to 2 GiB. */
  readonly packWeights?: boolean | undefined;
}

/** A model's parameters, and a compiler of graphs over them. */
export interface ModelGraphs {
  readonly parameters: ReturnType<typeof parameterTree>;
  /**
   * Compiles a graph with the weights it uses.
   *
   * @param given inputs; those that the results do not depend on are left out
   * @param results outputs by name
   */
  compile(given: readonly Tensor[], results: Readonly<Record<string, Tensor>>): Promise<Session>;
}

const PACKED_UP_TO = 2 ** 31;

/** Several graphs over the same weights, which are used where they lie. */
export function modelGraphs(
  { module, weights }: Pick<LanguageModel, "module" | "weights">,
  runtime: Runtime,
  { packWeights, config, ...options }: ModelGraphsOptions = {},
): ModelGraphs {
  const inputs = new Map([...parametersOf(module)].map(([path, { shape }]) => [path, input(path, shape)]));
  return {
    parameters: parameterTree(module, (path) => inputs.get(path)),
    compile(given, results) {
      const outputs = Object.values(results);
      const used = new Set([...outputs, ...topologicalOrder(outputs).flatMap((node) => node.inputs)]);
      const needed: Record<string, HostTensor> = {};
      for (const [path, tensor] of weights) if (used.has(inputs.get(path)!)) needed[path] = tensor;
      const bytes = Object.values(needed).reduce((sum, { data }) => sum + data.byteLength, 0);
      const packing = (packWeights ?? bytes <= PACKED_UP_TO) ? {} : { "session.disable_prepacking": "1" };
      return compileGraph(
        runtime,
        { inputs: [...given, ...inputs.values()].filter((x) => used.has(x)), outputs },
        { ...options, config: { ...packing, ...config }, outputNames: Object.keys(results), weights: needed },
      );
    },
  };
}
