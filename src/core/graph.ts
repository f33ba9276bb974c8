import type { Graph, GraphNode } from "./primitive.js";
import type { Tensor } from "./tensor.js";

export type { Graph, GraphNode };

/** The nodes that the outputs depend on, producers before consumers. Iterative: gradients of deep models are tens of thousands of nodes long. */
export function topologicalOrder(outputs: readonly Tensor[]): readonly GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const open = (node: GraphNode | undefined) => {
    if (!node || seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  for (const output of outputs) {
    open(output.node);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const child = top.node.inputs[top.next++];
      if (child) open(child.node);
      else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
