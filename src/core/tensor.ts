import type { Shape } from "./dim.js";
import { formatShape } from "./dim.js";
import type { DType } from "./dtype.js";
import type { GraphNode } from "./primitive.js";

/** The type of a tensor: element type and shape, without a value. */
export interface Aval {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * A symbolic tensor: what a block receives and returns while a graph is traced. It has a type and knows which operation
 * produces it; values exist only where a session runs the graph.
 */
export class Tensor implements Aval {
  constructor(
    readonly dtype: DType,
    readonly shape: Shape,
    /** The operation that produces it; undefined for an input of the graph. */
    readonly node: GraphNode | undefined,
    /** Which output of `node` it is. */
    readonly index: number,
    /** For an input its name; else the module path and operation, for messages. */
    readonly name: string,
  ) {}

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.name}: ${this.dtype}${formatShape(this.shape)}`;
  }
}

/**
 * A named input of a graph.
 *
 * @param dtype element type; default `float32`
 * @example input("ids", ["b", "t"], "int64")
 */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  return new Tensor(dtype, shape, undefined, 0, name);
}
