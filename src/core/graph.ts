import type { Graph, GraphNode } from "./primitive.js";
import { Tensor } from "./tensor.js";

export type { Graph, GraphNode };

/**
 * The nodes that the outputs depend on, producers before consumers. Iterative: gradients of deep models are tens of thousands of nodes long.
 *
 * @param known tensors to stop at: what produces them is left out. Default none
 */
export function topologicalOrder(outputs: readonly Tensor[], known?: ReadonlySet<Tensor>): readonly GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const open = (x: Tensor) => {
    const { node } = x;
    if (!node || seen.has(node) || known?.has(x)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  for (const output of outputs) {
    open(output);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const child = top.node.inputs[top.next++];
      if (child) open(child);
      else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}

/** A copy of a node over other inputs of the same types. */
export function renode(node: GraphNode, inputs: readonly Tensor[]): GraphNode {
  const outputs: Tensor[] = [];
  const copy: GraphNode = { ...node, inputs, outputs };
  for (const [i, y] of node.outputs.entries()) outputs.push(new Tensor(y.dtype, y.shape, copy, i, y.name));
  return copy;
}
