import { formatShape } from "../core/dim.js";
import { topologicalOrder } from "../core/graph.js";
import type { Graph } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";

/**
 * A graph as text, one node a line: `%2: float32[b, t, 64] = matmul(%1, fc.weight) {transB: true}`.
 * Attributes at their usual value (false, 1 for `scale`) are left out. Equal graphs print equal text, so tests compare it.
 */
export function print(graph: Graph): string {
  const names = new Map<Tensor, string>(graph.inputs.map((x) => [x, x.name]));
  const typed = (x: Tensor) => `${names.get(x)}: ${x.dtype}${formatShape(x.shape)}`;
  const lines = [`graph(${graph.inputs.map(typed).join(", ")})`];
  let count = 0;
  for (const { op, inputs, attrs, outputs } of topologicalOrder(graph.outputs)) {
    for (const y of outputs) names.set(y, `%${count++}`);
    const shown = attributes(attrs);
    lines.push(
      `  ${outputs.map(typed).join(", ")} = ${op.name}(${inputs.map((x) => names.get(x) ?? `?${x.name}`).join(", ")})${shown ? ` {${shown}}` : ""}`,
    );
  }
  return [...lines, `  return ${graph.outputs.map((y) => names.get(y)).join(", ")}`].join("\n");
}

function attributes(attrs: Readonly<Record<string, unknown>>): string {
  return Object.entries(attrs)
    .filter(
      ([key, value]) => value !== false && !(key === "scale" && value === 1) && key !== "dtype" && key !== "shape",
    )
    .map(([key, value]) => `${key}: ${attribute(value)}`)
    .join(", ");
}

function attribute(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    const all = Array.from(value as unknown as ArrayLike<number | bigint>, String);
    return all.length > 4 ? `[${all.slice(0, 4).join(", ")}, … ${all.length}]` : `[${all.join(", ")}]`;
  }
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  if (typeof value === "object" && value !== null && "outputs" in value)
    return print(value as Graph).replaceAll("\n", "\n    ");
  return String(value);
}
