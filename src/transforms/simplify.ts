import { renode } from "../core/graph.js";
import type { Graph, GraphNode } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { ops } from "../ops/index.js";
import { rebuild } from "./rebuild.js";

/**
 * The same computation with less: every operation's own rewrites (`x · 1` is `x`), equal nodes and equal constants computed once,
 * and nothing that no output needs.
 */
export function simplify(graph: Graph): Graph {
  const seen = new Map<string, GraphNode>();
  const ids = new Map<Tensor | object, number>();
  const idOf = (x: object) => ids.get(x) ?? (ids.set(x, ids.size), ids.size - 1);
  return rebuild(graph, (node, inputs) => {
    const simpler = node.op.rewrite?.(ops, inputs, node.attrs);
    if (simpler) return [simpler];
    const key = `${node.op.name}(${inputs.map((x) => idOf(x)).join()})${JSON.stringify(node.attrs, (_, v) => attribute(v, idOf))}`;
    const twin = seen.get(key);
    if (twin) return twin.outputs;
    const copy = inputs.every((x, i) => x === node.inputs[i]) ? node : renode(node, inputs);
    seen.set(key, copy);
    return copy.outputs;
  });
}

/** Small arrays compare by content, large ones and inner graphs by identity. */
function attribute(value: unknown, idOf: (x: object) => number): unknown {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return value.byteLength <= 4096 ? bytes.toString("latin1") : `#${idOf(value)}`;
  }
  if (typeof value === "object" && value !== null && "outputs" in value && "inputs" in value) return `#${idOf(value)}`;
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}
