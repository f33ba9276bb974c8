import type { TypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { ModelFacts } from "../models/model.js";
import type { Binding, RunOptions, Session } from "../runtime/session.js";
import { allocateState, copyRange, copySlots, type State, type StateProgram, zero } from "./decoder-state.js";
import { openSourceMemory, type SourceReader } from "./source-memory.js";

/** What a decoder starts with. */
export interface DecoderOptions {
  /** Rows: texts that are continued at the same time. Default 1. */
  readonly batch?: number;
  /** Tokens of a row that memory is set aside for at the start; more is taken when they are used up. Default 256. */
  readonly capacity?: number;
  /** Of an encoder-decoder: rows that are decoded from one source, which lie together. Default 1. */
  readonly rowsPerSource?: number;
  /** Tokens of a source that memory is set aside for at the start. Default: those of the first that is read. */
  readonly sourceCapacity?: number;
}

/**
 * Cached decoding of several rows of text, each of its own length. A row starts with {@link Decoder.append}; then every
 * {@link Decoder.step} continues the rows by a token each. An encoder-decoder's rows hold its target, after {@link Decoder.read}
 * of their source. Logits are views that the next call overwrites. One call at a time.
 */
export interface Decoder extends Disposable {
  readonly batch: number;
  readonly vocabSize: number;
  /** Most tokens of a row; undefined: no bound. */
  readonly contextLength: number | undefined;
  /** Tokens that a row has. */
  length(row: number): number;
  /** Forgets a row's text, not its source. */
  clear(row: number): void;
  /**
   * Reads a source, in one run of the encoder; the texts of its rows are forgotten.
   *
   * @param source which one: rows `source · rowsPerSource` and after are decoded from it
   * @throws TesseraError `argument` for a model without an encoder, no tokens, or more than it reads at once; `aborted`
   */
  read(source: number, ids: readonly number[], options?: RunOptions): Promise<void>;
  /**
   * Adds tokens, such as a prompt, to one row, in one run.
   *
   * @returns logits of the token after them, `[v]`
   * @throws TesseraError `argument` for no tokens, ids outside the vocabulary, more tokens than the model sees at once, or a source
   *   that was not read; `aborted`
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
  /** Makes row `to` a copy of row `from`. @throws TesseraError `argument` for rows of different sources that have other rows, too */
  copyRow(from: number, to: number): void;
  /** Frees the memory. */
  dispose(): void;
}

/** A compiled model as a decoder sees it. */
export interface DecoderProgram extends ModelFacts {
  readonly session: Session;
  readonly states: readonly StateProgram[];
  /** Of an encoder-decoder. */
  readonly reader?: SourceReader | undefined;
}

const ROUNDING = 64; // slots come in blocks of this many

/** Opens a decoder; {@link CompiledModel.decoder} is the public way to one. @throws TesseraError `argument` for wrong options */
export function openDecoder(program: DecoderProgram, options: DecoderOptions): Decoder {
  const { session, vocabSize, contextLength } = program;
  const { batch = 1, capacity = 256, rowsPerSource = 1, sourceCapacity = 1 } = options;
  for (const [name, value] of Object.entries({ batch, capacity, rowsPerSource, sourceCapacity }))
    if (!(Number.isSafeInteger(value) && value > 0))
      throw new TesseraError("argument", `decoder: ${name} must be a whole number above 0, got ${value}`);
  if (batch % rowsPerSource !== 0)
    throw new TesseraError("argument", `decoder: batch ${batch} is no multiple of rowsPerSource ${rowsPerSource}`);
  const sources = batch / rowsPerSource;
  const sourceOf = (row: number) => Math.floor(row / rowsPerSource);
  const memory = program.reader && openSourceMemory(program.reader, sources, sourceCapacity);
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
    rebind();
  }

  /** The arrays have changed: the next step is tied to the new ones. */
  function rebind(): void {
    binding?.dispose();
    binding = undefined;
  }

  /** A row without text: its states are what a text starts with. */
  function restart(row: number): void {
    lengths[row] = 0;
    const kept = memory?.tensors(sourceOf(row), 1);
    for (const { kind, initial, row: size, before } of states) {
      if (kind !== "replace") continue;
      if (initial === undefined) zero(before, row * size, size);
      else copyRange(kept![initial]!.data, 0, before, row * size, size);
    }
  }

  function requireRow(where: string, row: number): void {
    if (!(Number.isInteger(row) && row >= 0 && row < batch))
      throw new TesseraError("argument", `decoder.${where}: there is no row ${row} (${batch} rows)`);
  }

  function requireSource(where: string, row: number): void {
    if (memory?.length(sourceOf(row)) === 0)
      throw new TesseraError("argument", `decoder.${where}: the source of row ${row} was not read. Call read first`);
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
    const from = Math.ceil(count / rowsPerSource); // sources: all of them, or the one of a single row
    feed("ids", { dtype: "int64", shape: memory ? [from, count / from, t] : [count, t], data: given.ids });
    for (const [name, tensor] of Object.entries(memory?.tensors(sourceOf(row), from) ?? {})) feed(name, tensor);
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
      restart(row);
    },
    async read(source, given, runOptions) {
      if (!memory) throw new TesseraError("argument", "decoder.read: the model has no encoder that reads a source");
      if (!(Number.isInteger(source) && source >= 0 && source < sources))
        throw new TesseraError("argument", `decoder.read: there is no source ${source} (${sources} sources)`);
      if (await memory.read(source, given, runOptions)) rebind();
      for (let i = 0; i < rowsPerSource; i++) restart(source * rowsPerSource + i);
    },
    async append(row, given, runOptions) {
      requireRow("append", row);
      requireSource("append", row);
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
      await once.run(runOptions);
      advance(row, given.length);
      return views[row]!;
    },
    async step(given, runOptions) {
      if (given.length !== batch)
        throw new TesseraError(
          "argument",
          `decoder.step: ${given.length} tokens for ${batch} rows (${given.length} vs ${batch})`,
        );
      for (const [row, id] of given.entries()) {
        if (id === undefined) continue;
        requireSource("step", row);
        requireIds("step", row, [id]);
      }
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
      await binding.run(runOptions);
      for (const [row, id] of given.entries()) if (id !== undefined) advance(row, 1);
      return views;
    },
    copyRow(from, to) {
      requireRow("copyRow", from);
      requireRow("copyRow", to);
      if (from === to) return;
      if (memory && sourceOf(from) !== sourceOf(to)) {
        if (rowsPerSource > 1)
          throw new TesseraError(
            "argument",
            `decoder.copyRow: rows ${from} and ${to} are of different sources, each with ${rowsPerSource} rows`,
          );
        memory.copy(from, to);
      }
      lengths[to] = lengths[from]!;
      for (const state of states) copySlots(state, from, state, to, lengths[from]!);
    },
    dispose() {
      rebind();
      states = [];
    },
    [Symbol.dispose]: () => decoder.dispose(),
  };
  return decoder;
}
