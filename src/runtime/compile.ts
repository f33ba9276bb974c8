import type { HostTensor } from "../core/host-tensor.js";
import type { Graph } from "../core/primitive.js";
import { emitOnnx, IN_MEMORY } from "../onnx/emit.js";
import { simplify } from "../transforms/simplify.js";
import { verify } from "../transforms/verify.js";
import type { Runtime, Session, SessionOptions } from "./session.js";

/** How a graph becomes a session. */
export interface CompileOptions extends Omit<SessionOptions, "initializers"> {
  /** Names of the outputs, in order. Default `out0`, `out1`, …. */
  readonly outputNames?: readonly string[];
  /** Inputs of the graph that are fixed for the life of the session, by name: the weights. Used in place, not copied. */
  readonly weights?: Readonly<Record<string, HostTensor>>;
}

/**
 * Simplifies, verifies and compiles a graph.
 *
 * @throws TesseraError naming the faulty node, or `runtime` with the engine's words
 */
export function compileGraph(
  runtime: Runtime,
  graph: Graph,
  { outputNames, weights = {}, ...options }: CompileOptions = {},
): Promise<Session> {
  const external = Object.fromEntries(Object.keys(weights).map((name) => [name, { location: IN_MEMORY, offset: 0 }]));
  const model = emitOnnx(verify(simplify(graph)), { external, ...(outputNames ? { outputNames } : {}) });
  return runtime.compile(model, { ...options, initializers: weights });
}
