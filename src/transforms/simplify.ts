import { renode } from "../core/graph.js";
import type { Graph, GraphNode } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { withScope } from "../core/trace.js";
import { ops } from "../ops/index.js";
import { rebuild } from "./rebuild.js";

/**
 * The same computation with less: every operation's own rewrites (`x · 1` is `x`) until none applies, equal nodes and equal constants
 * computed once, and nothing that no output needs. Simplifying the result again changes nothing.
 */
export function simplify(graph: Graph): Graph {
  const seen = new Map<string, GraphNode>();
  const settled = new Set<Tensor>();
  const ids = new Map<Tensor | object, number>();
  const idOf = (x: object) => {
    if (!ids.has(x)) ids.set(x, ids.size);
    return ids.get(x)!;
  };

  const settle = (node: GraphNode, inputs: readonly Tensor[]): readonly Tensor[] => {
    const simpler = node.op.rewrite && withScope(scopeOf(node), () => node.op.rewrite!(ops, inputs, node.attrs));
    if (simpler) return [settleResult(simpler)];
    const key = `${node.op.name}(${inputs.map(idOf).join()})${JSON.stringify(node.attrs, (_, v) => attribute(v, idOf))}`;
    const twin = seen.get(key);
    if (twin) return twin.outputs;
    const copy = inputs.every((x, i) => x === node.inputs[i]) ? node : renode(node, inputs);
    seen.set(key, copy);
    for (const y of copy.outputs) settled.add(y);
    return copy.outputs;
  };
  // A rewrite returns one of its inputs or some new nodes over them, which may be equal to others or simplify further.
  const settleResult = (x: Tensor): Tensor =>
    x.node && !settled.has(x) ? settle(x.node, x.node.inputs.map(settleResult))[x.index]! : x;

  return rebuild(graph, settle);
}

/** The module that a node was traced in. */
function scopeOf({ op, path }: GraphNode): string {
  return path.slice(0, Math.max(0, path.length - op.name.length - 1));
}

/** Small arrays compare by content, large ones and inner graphs by identity. */
function attribute(value: unknown, idOf: (x: object) => number): unknown {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return value.byteLength <= 4096 ? bytes.toString("latin1") : `#${idOf(value)}`;
  }
  if (typeof value === "object" && value !== null && "outputs" in value && "inputs" in value) return `#${idOf(value)}`;
  // What JSON has no number for, or the same text as for another one.
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) return `${1 / value}/${value}`;
  return value;
}
