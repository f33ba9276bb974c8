import { resolveDim, type Shape } from "../core/dim.js";
import { allocate, type DType, type TypedArray } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { RunOptions, Session } from "../runtime/session.js";
import { copyRange } from "./decoder-state.js";

/** Name of the size that counts the tokens of a source. */
export const SOURCE = "source";

/** The encoder's half of a compiled encoder-decoder: reads a source, and computes what is kept of it. */
export interface SourceReader {
  /** `source_ids: [1, source]` → every kept value under its name. */
  readonly session: Session;
  /** What it computes: the batch axis first, with at most one axis over the source. */
  readonly kept: readonly { readonly name: string; readonly dtype: DType; readonly shape: Shape }[];
  /** Most tokens of a source; undefined: no bound. */
  readonly sourceLength: number | undefined;
  /** Tokens that a source may consist of. */
  readonly vocabSize: number;
}

/** What is kept of several sources, each of its own length, in arrays as wide as the longest. */
export interface SourceMemory {
  /** Tokens of a source; 0: none was read. */
  length(source: number): number;
  /**
   * Reads a source in place of the one before.
   *
   * @returns whether the arrays are others than before
   * @throws TesseraError `argument` for no tokens, ids outside the vocabulary, or too many; `aborted`, and the source is as it was
   */
  read(source: number, ids: readonly number[], options?: RunOptions): Promise<boolean>;
  /** Makes source `to` a copy of source `from`. */
  copy(from: number, to: number): void;
  /** The kept values of `count` sources from `first` on, and `source_mask`, by name. */
  tensors(first: number, count: number): Readonly<Record<string, HostTensor>>;
}

/** Memory for a number of sources, at first for sources of `width` tokens. */
export function openSourceMemory(reader: SourceReader, sources: number, width: number): SourceMemory {
  const { session, kept, sourceLength, vocabSize } = reader;
  const lengths = new Array<number>(sources).fill(0);
  let mask = new BigInt64Array(sources * width);
  let values = kept.map((value) => openValue(value, sources, width));

  /** Makes room for sources of `count` tokens, keeping what there is. */
  function widen(count: number): boolean {
    if (count <= width) return false;
    const old = values;
    width = count;
    values = kept.map((value) => openValue(value, sources, width));
    for (const [i, value] of values.entries())
      for (const [source, length] of lengths.entries()) copySource(old[i]!, source, value, source, length);
    mask = new BigInt64Array(sources * width);
    for (const source of lengths.keys()) showMask(source);
    return true;
  }

  function showMask(source: number): void {
    mask.fill(0n, source * width, (source + 1) * width).fill(1n, source * width, source * width + lengths[source]!);
  }

  return {
    length: (source) => lengths[source]!,
    async read(source, ids, options) {
      if (ids.length === 0) throw new TesseraError("argument", `decoder.read: no tokens for source ${source}`);
      const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
      if (wrong !== undefined)
        throw new TesseraError(
          "argument",
          `decoder.read: token id ${wrong} is not in the source's vocabulary (${vocabSize} tokens)`,
        );
      if (sourceLength !== undefined && ids.length > sourceLength)
        throw new TesseraError(
          "argument",
          `decoder.read: source ${source} has ${ids.length} tokens, the model reads ${sourceLength} at once (${ids.length} vs ${sourceLength})`,
        );
      const given: HostTensor = { dtype: "int64", shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt) };
      const results = await session.run({ source_ids: given }, options);
      const widened = widen(ids.length);
      for (const [i, value] of values.entries()) {
        const { data } = results[kept[i]!.name]!;
        copySource({ ...value, width: ids.length, data }, 0, value, source, ids.length);
      }
      lengths[source] = ids.length;
      showMask(source);
      return widened;
    },
    copy(from, to) {
      if (from === to) return;
      for (const value of values) copySource(value, from, value, to, lengths[from]!);
      lengths[to] = lengths[from]!;
      showMask(to);
    },
    tensors(first, count) {
      const part = (data: TypedArray, size: number) => data.subarray(first * size, (first + count) * size);
      return {
        source_mask: { dtype: "int64", shape: [count, width], data: part(mask, width) },
        ...Object.fromEntries(
          values.map(({ name, dtype, shape, data }) => {
            const one = shape.map((size) => size ?? width);
            const size = one.reduce((product, d) => product * d, 1);
            return [name, { dtype, shape: [count, ...one], data: part(data, size) }];
          }),
        ),
      };
    },
  };
}

/** One kept value of all sources. */
interface KeptArray {
  readonly name: string;
  readonly dtype: DType;
  /** Of one source; undefined is the axis over its tokens. */
  readonly shape: readonly (number | undefined)[];
  /** Blocks of one source that each hold all its tokens, and elements of a token in a block. */
  readonly outer: number;
  readonly inner: number;
  /** Tokens that a block has room for. */
  readonly width: number;
  readonly data: TypedArray;
}

function openValue({ name, dtype, shape }: SourceReader["kept"][number], sources: number, width: number): KeptArray {
  const sizes = shape.slice(1);
  const axis = sizes.indexOf(SOURCE);
  const fixed = sizes.map((size, i) => (i === axis ? 1 : resolveDim(size, {})));
  const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);
  return {
    name,
    dtype,
    shape: fixed.map((size, i) => (i === axis ? undefined : size)),
    outer: axis < 0 ? 1 : product(fixed.slice(0, axis)),
    inner: axis < 0 ? product(fixed) : product(fixed.slice(axis + 1)),
    width,
    data: allocate(dtype, sources * product(fixed) * (axis < 0 ? 1 : width)),
  };
}

/** Copies the first `length` tokens of a source's value. */
function copySource(from: KeptArray, source: number, to: KeptArray, target: number, length: number): void {
  const { outer, inner } = from;
  const [wide, wider, count] = from.shape.includes(undefined) ? [from.width, to.width, length] : [1, 1, 1];
  for (let block = 0; block < outer; block++) {
    const at = (source * outer + block) * wide * inner;
    copyRange(from.data, at, to.data, (target * outer + block) * wider * inner, count * inner);
  }
}
