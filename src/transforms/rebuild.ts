import { topologicalOrder } from "../core/graph.js";
import type { Graph, GraphNode } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";

/**
 * A graph made anew node by node: `visit` gets each node with its inputs already made anew and returns what stands for its outputs.
 * The inputs of the graph stay the same tensors.
 */
export function rebuild(graph: Graph, visit: (node: GraphNode, inputs: readonly Tensor[]) => readonly Tensor[]): Graph {
  const made = new Map<Tensor, Tensor>();
  const of = (x: Tensor) => made.get(x) ?? x;
  for (const node of topologicalOrder(graph.outputs)) {
    const outputs = visit(node, node.inputs.map(of));
    for (const [i, y] of node.outputs.entries()) made.set(y, outputs[i]!);
  }
  return { inputs: graph.inputs, outputs: graph.outputs.map(of) };
}
