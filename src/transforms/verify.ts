import { formatShape, sameShape } from "../core/dim.js";
import { messageOf, TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import type { Graph, GraphNode } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";

/**
 * Checks a graph: every value is an input or produced by a node, names of inputs are unique, and every node's types are what its
 * primitive says of its inputs; also in the graphs that nodes hold. Throws at the first fault, naming the node's path.
 *
 * @returns the graph itself
 * @throws TesseraError `argument` for a value that nothing produces or two inputs of one name; what the primitive's rule throws, or
 *   `shape`, for types that differ from it
 */
export function verify(graph: Graph): Graph {
  const names = new Set<string>();
  for (const { name } of graph.inputs) {
    if (names.has(name)) throw new TesseraError("argument", `verify: two inputs are named ${name}`);
    names.add(name);
  }
  verifyNodes(graph, "verify");
  return graph;
}

function verifyNodes(graph: Graph, where: string): void {
  const inputs = new Set(graph.inputs);
  for (const x of graph.inputs)
    if (x.node) throw new TesseraError("argument", `${where}: input ${x.name} is the result of a node`);
  const known = (x: Tensor, by: string) => {
    if (!x.node && !inputs.has(x))
      throw new TesseraError("argument", `${by}: uses ${x.name}, which is no input of the graph`);
  };
  for (const node of topologicalOrder(graph.outputs)) {
    for (const x of node.inputs) known(x, node.path);
    for (const inner of Object.values(node.attrs)) if (isGraph(inner)) verifyNodes(inner, node.path);
    const avals = typesOf(node);
    for (let i = 0; i < Math.max(avals.length, node.outputs.length); i++) {
      const [is, says] = [node.outputs[i], avals[i]];
      if (!is || !says || says.dtype !== is.dtype || !sameShape(says.shape, is.shape))
        throw new TesseraError("shape", `${node.path}: output ${i} is ${text(is)}, the rule says ${text(says)}`);
    }
  }
  for (const y of graph.outputs) known(y, `${where}: an output`);
}

/** What the primitive's rule says of a node's outputs. */
function typesOf({ op, inputs, attrs, path }: GraphNode): readonly Aval[] {
  try {
    const says: Aval | readonly Aval[] = op.shape(inputs, attrs);
    return Array.isArray(says) ? says : [says as Aval];
  } catch (cause) {
    if (!(cause instanceof TesseraError)) throw cause;
    throw new TesseraError(cause.code, `${path}: ${messageOf(cause)}`, { cause });
  }
}

const text = (x: Aval | undefined) => (x ? x.dtype + formatShape(x.shape) : "none");

function isGraph(value: unknown): value is Graph {
  return typeof value === "object" && value !== null && "inputs" in value && "outputs" in value;
}
