import type { Dim, Shape } from "./dim.js";
import type { DType, TypedArray } from "./dtype.js";
import { messageOf, TesseraError } from "./errors.js";
import { type Aval, Tensor } from "./tensor.js";
import { currentPath } from "./trace.js";

/** How many inputs a primitive takes; `"any"` is variadic. */
export type Arity = 0 | 1 | 2 | 3 | 4 | "any";

/** Input tuple of a primitive: `Inputs<2, T>` is `[T, T]`. */
export type Inputs<N extends Arity, T> = N extends 0
  ? readonly []
  : N extends 1
    ? readonly [T]
    : N extends 2
      ? readonly [T, T]
      : N extends 3
        ? readonly [T, T, T]
        : N extends 4
          ? readonly [T, T, T, T]
          : readonly T[];

/** The public operations, as gradient rules receive them. `ops/index.ts` fills this in, so that imports only run downwards. */
// biome-ignore lint/suspicious/noEmptyInterface: augmented by ops/index.ts
export interface Ops {}

/** An attribute of an ONNX node: an integer, `{ f }` a float, text, or a list of integers. */
export type OnnxAttribute =
  | number
  | string
  | readonly number[]
  | { readonly f: number }
  | { readonly graph: OnnxSubgraph };

/** The body of a control-flow node, emitted within the scope of the node's graph. */
export interface OnnxSubgraph {
  readonly inputs: readonly { readonly name: string; readonly aval: Aval }[];
  readonly nodes: readonly unknown[];
  readonly outputs: readonly { readonly name: string; readonly aval: Aval }[];
}

/** What a primitive writes ONNX nodes with. Values are known by name. */
export interface OnnxEmitter {
  /** Whether ONNX Runtime's own operators (`com.microsoft`) may be used; false when exporting for any engine. */
  readonly contrib: boolean;
  /** Adds a node with one output and returns the output's name. `com.microsoft.` before the operator names that domain. */
  node(operator: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>): string;
  /** The same for a node with several outputs. */
  nodes(
    operator: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
  ): string[];
  /** A constant; equal ones are stored once. */
  constant(dtype: DType, shape: readonly number[], data: TypedArray): string;
  /** A one-dimensional int64 constant: axes, sizes, indices. */
  ints(values: readonly number[]): string;
  /** A scalar constant of a floating type. */
  scalar(value: number, dtype?: DType): string;
  /** A one-dimensional int64 value holding a shape; named sizes are read from the graph's inputs when it runs. */
  shape(shape: Shape): string;
  /** Emits a graph as the body of a control-flow node. `outer[i]`, where given, is what the body's input i is called outside. */
  subgraph(graph: Graph, outer: readonly (string | undefined)[]): OnnxSubgraph;
}

/** What a gradient rule is given: `ct` is the cotangent of the first output; `cts` those of all (undefined: none reached it). */
export interface VjpArguments<N extends Arity, Attributes> {
  readonly inputs: Inputs<N, Tensor>;
  readonly output: Tensor;
  readonly outputs: readonly Tensor[];
  readonly ct: Tensor;
  readonly cts: readonly (Tensor | undefined)[];
  readonly attrs: Attributes;
  /** Which inputs a gradient is wanted for; a rule may skip the others. */
  readonly wanted: readonly boolean[];
  /** The driver itself, for primitives that hold graphs: cotangents of `inputs` from those of `outputs`. */
  pullback(
    outputs: readonly Tensor[],
    cts: readonly (Tensor | undefined)[],
    inputs: readonly Tensor[],
  ): readonly (Tensor | undefined)[];
}

/** One operation, whole: its shape rule, its ONNX form and its gradient. */
export interface Primitive<N extends Arity = Arity, Attributes = Record<never, never>> {
  readonly name: string;
  /** Types of the outputs from those of the inputs; throws a {@link TesseraError} without a path, `bind` adds it. */
  shape(inputs: Inputs<N, Aval>, attrs: Attributes): Aval | readonly Aval[];
  /** Writes the operation as ONNX nodes and returns the name of each output; one that is not `used` may be `""`. */
  emit(
    onnx: OnnxEmitter,
    inputs: Inputs<N, string>,
    attrs: Attributes,
    types: { readonly inputs: Inputs<N, Aval>; readonly outputs: readonly Aval[]; readonly used: readonly boolean[] },
  ): string | readonly string[];
  /**
   * Cotangents of the inputs. A result may be larger than its input where the operation broadcast: the driver sums it down.
   * `null` in place of an entry: no gradient flows there. `null` in place of the rule: asking for a gradient is an error.
   */
  readonly vjp:
    | ((o: Ops, at: VjpArguments<N, Attributes>) => Inputs<N, Tensor | null> | readonly (Tensor | null)[])
    | null;
  /**
   * Applied to inputs that are stacked along a new first axis (those of lower rank than the result as they are) it gives the results
   * stacked, and its gradient for an input does not read that input. So a loop needs one application over all its steps to find the
   * gradient of a weight, instead of one in each.
   */
  readonly stackable?: true;
  /** Multiplications and additions of one application, where they are many: matrix products. Everything else counts as none. */
  flops?(inputs: Inputs<N, Aval>, outputs: readonly Aval[], attrs: Attributes): Dim;
  /** A simpler equal of one application, or undefined: `x · 1` is `x`. */
  rewrite?(o: Ops, inputs: Inputs<N, Tensor>, attrs: Attributes): Tensor | undefined;
  /** The same in simpler operations: for engines without the fused form, for gradients of gradients, and as the test's oracle. */
  decompose?(o: Ops, inputs: Inputs<N, Tensor>, attrs: Attributes): Tensor | readonly Tensor[];
}

// biome-ignore lint/suspicious/noExplicitAny: a primitive's attributes are its own business
export type AnyPrimitive = Primitive<any, any>;

/** An application of a primitive. */
export interface GraphNode {
  readonly op: AnyPrimitive;
  readonly inputs: readonly Tensor[];
  // biome-ignore lint/suspicious/noExplicitAny: see AnyPrimitive
  readonly attrs: any;
  /** Module path and operation: `h.0.attn.c_attn.matmul`. */
  readonly path: string;
  readonly outputs: readonly Tensor[];
}

/** A computation: what goes in and what comes out. The nodes between are reached from the outputs. */
export interface Graph {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** Applies a primitive with several outputs. @throws TesseraError with the module path in front of the primitive's own message */
export function bindAll<N extends Arity, Attributes>(
  op: Primitive<N, Attributes>,
  inputs: Inputs<N, Tensor>,
  attrs: Attributes,
): readonly Tensor[] {
  const at = currentPath();
  const path = at ? `${at}.${op.name}` : op.name;
  let avals: Aval | readonly Aval[];
  try {
    avals = op.shape(inputs as unknown as Inputs<N, Aval>, attrs);
  } catch (cause) {
    if (!(cause instanceof TesseraError)) throw cause;
    throw new TesseraError(cause.code, `${path}: ${messageOf(cause)}`, { cause });
  }
  const outputs: Tensor[] = [];
  const node: GraphNode = { op, inputs: inputs as readonly Tensor[], attrs, path, outputs };
  for (const [i, { dtype, shape }] of (Array.isArray(avals) ? avals : [avals as Aval]).entries())
    outputs.push(new Tensor(dtype, shape, node, i, path));
  return outputs;
}

/** Applies a primitive with one output. */
export function bind<N extends Arity, Attributes>(
  op: Primitive<N, Attributes>,
  inputs: Inputs<N, Tensor>,
  attrs: Attributes,
): Tensor {
  return bindAll(op, inputs, attrs)[0]!;
}
