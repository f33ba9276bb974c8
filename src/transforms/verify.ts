import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import type { Graph } from "../core/primitive.js";
import type { Aval } from "../core/tensor.js";

/**
 * Checks a graph: every value is an input or produced by a node, names of inputs are unique, and every node's types are what its
 * primitive says of its inputs. Throws at the first fault, naming the node's path.
 *
 * @returns the graph itself
 */
export function verify(graph: Graph): Graph {
  const inputs = new Set(graph.inputs);
  const names = new Set<string>();
  for (const x of graph.inputs) {
    if (x.node) throw new TesseraError("argument", `verify: input ${x.name} is the result of a node`);
    if (names.has(x.name)) throw new TesseraError("argument", `verify: two inputs are named ${x.name}`);
    names.add(x.name);
  }
  const known = (x: Graph["inputs"][number], by: string) => {
    if (!x.node && !inputs.has(x)) throw new TesseraError("argument", `${by}: uses ${x.name}, which is no input of the graph`);
  };
  for (const node of topologicalOrder(graph.outputs)) {
    for (const x of node.inputs) known(x, node.path);
    const says: Aval | readonly Aval[] = node.op.shape(node.inputs, node.attrs);
    const avals: readonly Aval[] = Array.isArray(says) ? says : [says as Aval];
    for (const [i, y] of node.outputs.entries()) {
      const aval = avals[i];
      if (!aval || aval.dtype !== y.dtype || !sameShape(aval.shape, y.shape))
        throw new TesseraError("shape", `${node.path}: output ${i} is ${y.dtype}${formatShape(y.shape)}, the rule says ${aval ? aval.dtype + formatShape(aval.shape) : "there is none"}`);
    }
  }
  for (const y of graph.outputs) known(y, "output");
  return graph;
}
