import { addDims, type Dim } from "../core/dim.js";
import { topologicalOrder } from "../core/graph.js";
import type { Graph } from "../core/primitive.js";

/** Multiplications and additions of a graph's matrix products: nearly all its work. Named sizes stay names. */
export function flops(graph: Graph): Dim {
  return topologicalOrder(graph.outputs).reduce<Dim>(
    (sum, { op, inputs, outputs, attrs }) => addDims(sum, op.flops?.(inputs, outputs, attrs) ?? 0),
    0,
  );
}
