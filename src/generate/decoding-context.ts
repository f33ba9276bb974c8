import { addDims, type Dim, divDims, formatShape, mulDims } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { input, type Tensor } from "../core/tensor.js";
import { currentPath } from "../core/trace.js";
import { type Context, paddingBias } from "../nn/context.js";
import { type AttentionOptions, attention, repeatHeads } from "../ops/attention.js";
import { cachedAttention, cachedHeadSize } from "../ops/cached-attention.js";
import { range } from "../ops/constant.js";
import { add } from "../ops/elementwise.js";
import { broadcastTo, reshape, slice, transpose } from "../ops/shape.js";

/** Something a model remembers from one call to the next: an input of the graph and the output that follows it. */
export interface StateSlot {
  /** Module path and role: `transformer.h.0.attn.key`. */
  readonly name: string;
  /**
   * - `"append"`: keys or values, `[b, g, slots, d]`; input and output are one array, the graph writes the new tokens' slots only
   * - `"replace"`: a state, `[b, ...]`; the graph reads the input to the end, so the output is another array
   */
  readonly kind: "append" | "replace";
  readonly before: Tensor;
  readonly after: Tensor;
  /** What a text starts with, of the encoder's result, `[sources, ...]`; undefined: zeros. */
  readonly initial?: Tensor | undefined;
}

/** A context and what the trace through it has collected. */
export interface DecodingTrace {
  readonly context: Context;
  /** int64 `[b, t]`. */
  readonly positions: Tensor;
  /** Slot of each row's last new token, int32 `[b]`. */
  readonly last: Tensor;
  /** Number of slots of the keys and values, int32 `[]`. */
  readonly slots: Tensor;
  /** In the order of the trace; complete when the model's forward has returned. */
  readonly states: readonly StateSlot[];
  /** Values of the encoder's result that are computed once for a text: what a step reads, and what it is computed by. */
  readonly kept: readonly KeptValue[];
}

/** A value that {@link Context.once} keeps: an input of the graph of a step, an output of the graph that reads the source. */
export interface KeptValue {
  /** Module path and role: `decoder.layers.0.encoder_attn.key`. */
  readonly name: string;
  /** `[sources, ...]`, with or without an axis over the source. */
  readonly input: Tensor;
  /** The same, of the encoder's result. */
  readonly value: Tensor;
}

/** The sources that the rows of an encoder-decoder's batch are decoded from. */
export interface DecodingMemory {
  /** How many: the batch is a multiple of it, the rows of one source lie together. */
  readonly sources: Dim;
  /** 1 for tokens, 0 for padding, int64 `[sources, s]`. */
  readonly mask: Tensor;
}

/** Name of the size that counts the slots of keys and values. */
export const SLOTS = "slots";

/**
 * The context of cached decoding: attention goes over keys and values kept in buffers, states are carried from call to call, and
 * only the last position is scored. What is remembered, and its sizes, come out of the model's own forward.
 *
 * Rows may be of different lengths when one token is given for each; more tokens at once go through one row at a time.
 *
 * What is kept of a source is kept once, however many rows are decoded from it; cross-attention goes over it with the queries of all.
 *
 * @param memory of an encoder-decoder; its encoder's result is then `[sources, s, d]`
 */
export function decodingContext(batch: Dim, length: Dim, memory?: DecodingMemory): DecodingTrace {
  const states: StateSlot[] = [];
  const kept: KeptValue[] = [];
  const positions = input("positions", [batch, length], "int64");
  const last = input("last", [batch], "int32");
  const slots = input("slots", [], "int32");
  const named = (role: string) => {
    const name = [currentPath(), role].filter(Boolean).join(".");
    const earlier = [...states, ...kept].filter((s) => s.name === name || s.name.startsWith(`${name}#`)).length;
    return earlier === 0 ? name : `${name}#${earlier + 1}`; // a module may attend, or be called, more than once
  };

  const attend = (
    q: Tensor,
    k: Tensor,
    v: Tensor,
    { mask = "none", bias, scale, onWeights }: AttentionOptions = {},
  ): Tensor => {
    const where = `${currentPath()}.attend`;
    if (mask === "none")
      throw new TesseraError(
        "unsupported",
        `${where}: decoding sees no later tokens, the mask is "none" (causal or banded expected)`,
      );
    if (bias && bias.shape.at(-1) !== SLOTS)
      throw new TesseraError(
        "unsupported",
        `${where}: a bias over cached keys must end in their number, got ${formatShape(bias.shape)} (${SLOTS} vs ${bias.shape.at(-1)})`,
      );
    const weights = input("weights", []);
    if (onWeights && onWeights(weights) !== weights)
      throw new TesseraError(
        "unsupported",
        `${where}: attention weights are changed, cached attention does not show them`,
      );
    const size = cachedHeadSize(Number(k.shape[3]), Number(v.shape[3]));
    const shape = [batch, k.shape[2]!, SLOTS, size];
    const names = [named("key"), named("value")] as const;
    const [key, value] = [input(`${names[0]}.before`, shape), input(`${names[1]}.before`, shape)];
    const window = typeof mask === "object" ? mask.window : undefined;
    const result = cachedAttention(q, k, v, { key, value, last, slots }, { window, bias, scale });
    states.push({ name: names[0], kind: "append", before: key, after: result.key });
    states.push({ name: names[1], kind: "append", before: value, after: result.value });
    return result.output;
  };

  const sources = memory?.sources ?? batch;
  const each = divDims(batch, sources)!;
  /** `[sources, ...]` → `[batch, ...]`. */
  const ofEachRow = (x: Tensor): Tensor => {
    const rest = x.shape.slice(1);
    if (sources === batch) return x;
    return reshape(broadcastTo(reshape(x, [sources, 1, ...rest]), [sources, each, ...rest]), [batch, ...rest]);
  };
  const requireOfSources = (where: string, { shape }: Tensor) => {
    if (!memory) throw new TesseraError("unsupported", `${where}: there is no encoder whose result could be kept`);
    if (shape[0] !== sources)
      throw new TesseraError(
        "shape",
        `${where}: what is kept of the encoder's result has its batch axis first, got ${formatShape(shape)} (${sources} vs ${shape[0]})`,
      );
  };
  const keep = (role: string, value: Tensor): Tensor => {
    const name = named(role);
    requireOfSources(name, value);
    const place = input(`${name}.kept`, value.shape, value.dtype);
    kept.push({ name, input: place, value });
    return place;
  };
  const memoryMask = memory && ofEachRow(memory.mask);

  const attendTo = (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor => {
    const [, t, h, d] = q.shape as [Dim, Dim, Dim, Dim];
    // Kept as [sources, h, s, d], the order attention works in: nothing is turned in a step.
    const turned = [0, 2, 1, 3];
    const [key, value] = (
      [
        ["key", k],
        ["value", v],
      ] as const
    ).map(([role, x]) => transpose(keep(role, transpose(repeatHeads(x, h), turned)), turned)) as [Tensor, Tensor];
    const { mask = "none", bias } = options;
    if (bias || mask !== "none") {
      const hidden = paddingBias(memoryMask!);
      return attention(q, ofEachRow(key), ofEachRow(value), { ...options, bias: bias ? add(hidden, bias) : hidden });
    }
    const queries = reshape(q, [sources, mulDims(each, t), h, d]);
    const y = attention(queries, key, value, { ...options, bias: paddingBias(memory!.mask) });
    return reshape(y, [batch, t, h, y.shape[3]!]);
  };

  const context: Context = {
    training: false,
    positions,
    keyPositions: reshape(range(SLOTS), [1, SLOTS]),
    segments: undefined,
    attentionMask: undefined,
    memoryMask,
    attend,
    attendTo,
    once: (role, value) => ofEachRow(keep(role, value)),
    dropout: (x) => x,
    scored: (x) => slice(x, 1, addDims(length, -1), length),
    carry(role, { shape, dtype = "float32", initial }, advance) {
      const name = named(role);
      if (initial) requireOfSources(name, initial);
      const before = input(`${name}.before`, shape, dtype);
      const [result, after] = advance(before);
      states.push({ name, kind: "replace", before, after, initial });
      return result;
    },
  };
  return { context, positions, last, slots, states, kept };
}
