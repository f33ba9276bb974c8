import { resolveDim, type Shape } from "../core/dim.js";
import { allocate, type DType, type TypedArray } from "../core/dtype.js";
import { SLOTS, type StateSlot } from "./decoding-context.js";

/** A state as a compiled model declares it. */
export interface StateProgram extends Pick<StateSlot, "name" | "kind"> {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Name of the kept value that it starts with; undefined: zeros. */
  readonly initial: string | undefined;
}

/** The memory of one state of all rows. */
export interface State {
  readonly name: string;
  readonly kind: StateSlot["kind"];
  readonly initial: string | undefined;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements of one row. */
  readonly row: number;
  readonly before: TypedArray;
  /** The same array where the graph appends in place. */
  readonly after: TypedArray;
}

/** Memory of a state for `batch` rows of `slots` tokens. */
export function allocateState(
  { name, kind, initial, dtype, shape: symbolic }: StateProgram,
  batch: number,
  slots: number,
): State {
  const shape = [batch, ...symbolic.slice(1).map((dim) => resolveDim(dim, { [SLOTS]: slots }))];
  const row = shape.slice(1).reduce((product, size) => product * size, 1);
  const before = allocate(dtype, batch * row);
  return {
    name,
    kind,
    initial,
    dtype,
    shape,
    row,
    before,
    after: kind === "append" ? before : allocate(dtype, batch * row),
  };
}

/** Copies a row: of keys and values the first `length` slots of each head, of other states all. */
export function copySlots(from: State, fromRow: number, to: State, toRow: number, length: number): void {
  if (from.kind === "replace") {
    copyRange(from.before, fromRow * from.row, to.before, toRow * to.row, from.row);
    return;
  }
  const [, heads, slots, d] = from.shape as [number, number, number, number];
  const wider = to.shape[2]!;
  for (let h = 0; h < heads; h++)
    copyRange(from.before, fromRow * from.row + h * slots * d, to.before, toRow * to.row + h * wider * d, length * d);
}

/** Copies `count` elements. */
export function copyRange(from: TypedArray, at: number, to: TypedArray, toAt: number, count: number): void {
  // Both are of one element type; the union's `set` cannot say so.
  (to as Float32Array).set((from as Float32Array).subarray(at, at + count), toAt);
}

/** Sets `count` elements to zero. */
export function zero(array: TypedArray, at: number, count: number): void {
  (array.subarray(at, at + count) as Float32Array).fill(array instanceof BigInt64Array ? (0n as never) : 0);
}
