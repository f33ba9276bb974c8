import { resolveDim, type Shape } from "../core/dim.js";
import { allocate, type DType, type TypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { ModelFacts } from "../models/model.js";
import type { Binding, RunOptions, Session } from "../runtime/session.js";
import { SLOTS, type StateSlot } from "./decoding-context.js";

/** What a decoder starts with. */
export interface DecoderOptions {
  /** Rows: texts that are continued at the same time. Default 1. */
  readonly batch?: number;
  /** Tokens of a row that memory is set aside for at the start; more is taken when they are used up. Default 256. */
  readonly capacity?: number;
}

/**
 * Cached decoding of several rows of text, each of its own length. A row starts with {@link Decoder.append}; then every
 * {@link Decoder.step} continues the rows by a token each. Logits are views that the next call overwrites. One call at a time.
 */
export interface Decoder extends Disposable {
  readonly batch: number;
  readonly vocabSize: number;
  /** Most tokens of a row; undefined: no bound. */
  readonly contextLength: number | undefined;
  /** Tokens that a row has. */
  length(row: number): number;
  /** Forgets a row's text. */
  clear(row: number): void;
  /**
   * Adds tokens, such as a prompt, to one row, in one run.
   *
   * @returns logits of the token after them, `[v]`
   * @throws TesseraError `argument` for no tokens, ids outside the vocabulary or more tokens than the model sees at once; `aborted`
   */
  append(row: number, ids: readonly number[], options?: RunOptions): Promise<Float32Array>;
  /**
   * Adds a token to each row, in one run.
   *
   * @param ids one for each row; undefined leaves a row as it is
   * @returns logits of the next token for each row, `[v]`; those of rows left as they are mean nothing
   * @throws TesseraError as {@link Decoder.append}; after an error every row is as it was
   */
  step(ids: readonly (number | undefined)[], options?: RunOptions): Promise<readonly Float32Array[]>;
  /** Makes row `to` a copy of row `from`. */
  copyRow(from: number, to: number): void;
  /** Frees the memory. */
  dispose(): void;
}

/** A compiled model as a decoder sees it. */
export interface DecoderProgram extends ModelFacts {
  readonly session: Session;
  readonly states: readonly (Pick<StateSlot, "name" | "kind"> & { readonly dtype: DType; readonly shape: Shape })[];
}

const ROUNDING = 64; // slots come in blocks of this many

/** Opens a decoder; {@link CompiledModel.decoder} is the public way to one. @throws TesseraError `argument` for wrong options */
export function openDecoder(program: DecoderProgram, { batch = 1, capacity = 256 }: DecoderOptions): Decoder {
  const { session, vocabSize, contextLength } = program;
  for (const [name, value] of Object.entries({ batch, capacity }))
    if (!(Number.isSafeInteger(value) && value > 0))
      throw new TesseraError("argument", `decoder: ${name} must be a whole number above 0, got ${value}`);
  const has = new Set(session.inputs.map(({ name }) => name));
  const logits = new Float32Array(batch * vocabSize);
  const views = Array.from({ length: batch }, (_, r) => logits.subarray(r * vocabSize, (r + 1) * vocabSize));
  const ids = new BigInt64Array(batch);
  const positions = new BigInt64Array(batch);
  const last = new Int32Array(batch);
  const slots = new Int32Array(1);
  const lengths = new Array<number>(batch).fill(0);
  let states: State[] = [];
  let binding: Binding | undefined;

  const roundUp = (n: number) =>
    Math.min(Math.ceil(n / ROUNDING) * ROUNDING, contextLength ?? Number.POSITIVE_INFINITY);
  reserve(roundUp(capacity));

  /** Makes room for `count` slots a row, keeping what there is. */
  function reserve(count: number): void {
    if (count <= slots[0]!) return;
    const old = states;
    slots[0] = count;
    states = program.states.map((state, i) => {
      if (state.kind === "replace" && old[i]) return old[i];
      const fresh = allocateState(state, batch, count);
      if (old[i]) for (const [r, length] of lengths.entries()) copySlots(old[i], r, fresh, r, length);
      return fresh;
    });
    binding?.dispose();
    binding = undefined;
  }

  function requireRow(where: string, row: number): void {
    if (!(Number.isInteger(row) && row >= 0 && row < batch))
      throw new TesseraError("argument", `decoder.${where}: there is no row ${row} (${batch} rows)`);
  }

  function requireIds(where: string, row: number, given: readonly (number | undefined)[]): void {
    for (const id of given)
      if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < vocabSize))
        throw new TesseraError(
          "argument",
          `decoder.${where}: token id ${id} is not in the vocabulary (${vocabSize} tokens)`,
        );
    const total = lengths[row]! + given.length;
    if (contextLength !== undefined && total > contextLength)
      throw new TesseraError(
        "argument",
        `decoder.${where}: row ${row} would have ${total} tokens, the model sees ${contextLength} at once (${total} vs ${contextLength})`,
      );
  }

  /** Room for a row's next tokens: twice what there is, so that growing costs little in the long run. */
  function makeRoom(total: number): void {
    if (total > slots[0]!) reserve(roundUp(Math.max(total, 2 * slots[0]!)));
  }

  /** The tensors of a run over `count` rows from `row` on, with `t` tokens each; only those that the model uses. */
  function tensors(
    row: number,
    count: number,
    t: number,
    given: { ids: BigInt64Array; positions: BigInt64Array; last: Int32Array },
  ) {
    const inputs: Record<string, HostTensor> = {};
    const outputs: Record<string, HostTensor> = {};
    const feed = (name: string, tensor: HostTensor) => {
      if (has.has(name)) inputs[name] = tensor;
    };
    feed("ids", { dtype: "int64", shape: [count, t], data: given.ids });
    feed("positions", { dtype: "int64", shape: [count, t], data: given.positions });
    feed("last", { dtype: "int32", shape: [count], data: given.last });
    feed("slots", { dtype: "int32", shape: [], data: slots });
    for (const { name, dtype, shape, row: size, before, after } of states) {
      const part = (data: TypedArray): HostTensor => ({
        dtype,
        shape: [count, ...shape.slice(1)],
        data: data.subarray(row * size, (row + count) * size),
      });
      feed(`${name}.before`, part(before));
      outputs[`${name}.after`] = part(after);
    }
    outputs.logits = {
      dtype: "float32",
      shape: [count, 1, vocabSize],
      data: logits.subarray(row * vocabSize, (row + count) * vocabSize),
    };
    return { inputs, outputs };
  }

  /** What the run computed becomes what the next one reads. */
  function advance(row: number, count: number): void {
    lengths[row]! += count;
    for (const { kind, row: size, before, after } of states)
      if (kind === "replace") copyRange(after, row * size, before, row * size, size);
  }

  const decoder: Decoder = {
    batch,
    vocabSize,
    contextLength,
    length(row) {
      requireRow("length", row);
      return lengths[row]!;
    },
    clear(row) {
      requireRow("clear", row);
      lengths[row] = 0;
      for (const { kind, row: size, before } of states) if (kind === "replace") zero(before, row * size, size);
    },
    async append(row, given, options) {
      requireRow("append", row);
      if (given.length === 0) throw new TesseraError("argument", `decoder.append: no tokens for row ${row}`);
      requireIds("append", row, given);
      const [start, end] = [lengths[row]!, lengths[row]! + given.length];
      makeRoom(end);
      const { inputs, outputs } = tensors(row, 1, given.length, {
        ids: BigInt64Array.from(given, BigInt),
        positions: BigInt64Array.from(given, (_, i) => BigInt(start + i)),
        last: Int32Array.of(end - 1),
      });
      using once = session.bind(inputs, outputs);
      await once.run(options);
      advance(row, given.length);
      return views[row]!;
    },
    async step(given, options) {
      if (given.length !== batch)
        throw new TesseraError(
          "argument",
          `decoder.step: ${given.length} tokens for ${batch} rows (${given.length} vs ${batch})`,
        );
      for (const [row, id] of given.entries()) if (id !== undefined) requireIds("step", row, [id]);
      makeRoom(1 + Math.max(...lengths.filter((_, row) => given[row] !== undefined)));
      for (const [row, id] of given.entries()) {
        // A row that waits computes something all the same: into the slot after its text, which its next token overwrites.
        ids[row] = BigInt(id ?? 0);
        positions[row] = id === undefined ? 0n : BigInt(lengths[row]!);
        last[row] = Math.min(lengths[row]!, slots[0]! - 1);
      }
      if (!binding) {
        const { inputs, outputs } = tensors(0, batch, 1, { ids, positions, last });
        binding = session.bind(inputs, outputs);
      }
      await binding.run(options);
      for (const [row, id] of given.entries()) if (id !== undefined) advance(row, 1);
      return views;
    },
    copyRow(from, to) {
      requireRow("copyRow", from);
      requireRow("copyRow", to);
      if (from === to) return;
      lengths[to] = lengths[from]!;
      for (const state of states) copySlots(state, from, state, to, lengths[from]!);
    },
    dispose() {
      binding?.dispose();
      binding = undefined;
      states = [];
    },
    [Symbol.dispose]: () => decoder.dispose(),
  };
  return decoder;
}

/** The memory of one state of all rows. */
interface State {
  readonly name: string;
  readonly kind: StateSlot["kind"];
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements of one row. */
  readonly row: number;
  readonly before: TypedArray;
  /** The same array where the graph appends in place. */
  readonly after: TypedArray;
}

function allocateState(
  { name, kind, dtype, shape: symbolic }: DecoderProgram["states"][number],
  batch: number,
  slots: number,
): State {
  const shape = symbolic.map((dim) => resolveDim(dim, { b: batch, [SLOTS]: slots }));
  const row = shape.slice(1).reduce((product, size) => product * size, 1);
  const before = allocate(dtype, batch * row);
  return { name, kind, dtype, shape, row, before, after: kind === "append" ? before : allocate(dtype, batch * row) };
}

/** Copies a row: of keys and values the first `length` slots of each head, of other states all. */
function copySlots(from: State, fromRow: number, to: State, toRow: number, length: number): void {
  if (from.kind === "replace") {
    copyRange(from.before, fromRow * from.row, to.before, toRow * to.row, from.row);
    return;
  }
  const [, heads, slots, d] = from.shape as [number, number, number, number];
  const wider = to.shape[2]!;
  for (let h = 0; h < heads; h++)
    copyRange(from.before, fromRow * from.row + h * slots * d, to.before, toRow * to.row + h * wider * d, length * d);
}

function copyRange(from: TypedArray, at: number, to: TypedArray, toAt: number, count: number): void {
  // Both are of one element type; the union's `set` cannot say so.
  (to as Float32Array).set((from as Float32Array).subarray(at, at + count), toAt);
}

function zero(array: TypedArray, at: number, count: number): void {
  (array.subarray(at, at + count) as Float32Array).fill(array instanceof BigInt64Array ? (0n as never) : 0);
}
