import { type Dim, divDims, formatShape, mulDims, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { bindAll, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { broadcastTo, pad, reshape, slice } from "./shape.js";

interface CachedAttentionAttributes {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly scale: number;
  /** Keys a query sees, itself included; −1 is all. */
  readonly window: number;
}

/** The engine's operator works on heads of whole vectors. */
const HEAD_MULTIPLE = 8;

const cachedAttentionOp: Primitive<"any", CachedAttentionAttributes> = {
  name: "cached_attention",
  shape: ([q, k, v, pastKey, pastValue, last, total, bias], { heads, keyValueHeads }) => {
    const [b, g, slots, d] = pastKey!.shape as [Dim, Dim, Dim, Dim];
    const t = q!.shape[1]!;
    const expect = (what: string, x: Aval, shape: readonly Dim[], dtype: Aval["dtype"]) => {
      if (!sameShape(x.shape, shape) || x.dtype !== dtype)
        throw new TesseraError(
          "shape",
          `${what} must be ${dtype}${formatShape(shape)}, got ${x.dtype}${formatShape(x.shape)}`,
        );
    };
    if (Number(d) % HEAD_MULTIPLE !== 0)
      throw new TesseraError("shape", `cached heads must be a multiple of ${HEAD_MULTIPLE} long, got ${d}`);
    expect("queries", q!, [b, t, mulDims(heads, d)], "float32");
    for (const x of [k!, v!]) expect("keys and values", x, [b, t, mulDims(keyValueHeads, d)], "float32");
    for (const x of [pastKey!, pastValue!]) expect("past keys and values", x, [b, keyValueHeads, slots, d], "float32");
    expect("last positions", last!, [b], "int32");
    expect("the number of slots", total!, [], "int32");
    if (g !== keyValueHeads || heads % keyValueHeads !== 0)
      throw new TesseraError("shape", `${heads} query heads are no multiple of ${keyValueHeads} key-value heads`);
    if (bias)
      expect("the bias", bias, [bias.shape[0] === 1 ? 1 : b, bias.shape[1] === 1 ? 1 : heads, t, slots], "float32");
    return [q!, pastKey!, pastValue!];
  },
  emit: (onnx, [q, k, v, pastKey, pastValue, last, total, bias], { heads, keyValueHeads, scale, window }) => {
    if (!onnx.contrib)
      throw new TesseraError(
        "unsupported",
        "cached_attention: only ONNX Runtime has this operator; export the whole-sequence graph",
      );
    const inputs = [q!, k!, v!, pastKey!, pastValue!, last!, total!, ...(bias ? ["", "", "", bias] : [])];
    const attributes = {
      num_heads: heads,
      kv_num_heads: keyValueHeads,
      scale: { f: scale },
      local_window_size: window,
    };
    return onnx.nodes("com.microsoft.GroupQueryAttention", inputs, 3, attributes);
  },
  vjp: null,
};

/** The length of a cached head: that of the longer of keys and values, filled up to what the engine takes. */
export function cachedHeadSize(key: number, value: number): number {
  return Math.ceil(Math.max(key, value) / HEAD_MULTIPLE) * HEAD_MULTIPLE;
}

/** What cached attention is over. */
export interface AttentionCache {
  /** Keys and values so far, each `[b, g, slots, d″]` with `d″` of {@link cachedHeadSize}; slots after a row's last token may hold anything. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** Slot of each row's last new token, int32 `[b]`: the new tokens of a row take the slots up to it. */
  readonly last: Tensor;
  /** The number of slots, int32 `[]`. */
  readonly slots: Tensor;
}

/** How queries attend to the keys before them. */
export interface CachedAttentionOptions {
  /** A query sees this many keys, its own included. Default: all up to its own. */
  readonly window?: number | undefined;
  /** Added to the scores: `[b or 1, h or 1, t or 1, slots]`. */
  readonly bias?: Tensor | undefined;
  /** Factor of the scores. Default `1/√d`. */
  readonly scale?: number | undefined;
}

/** The result of cached attention, and the cache with the new tokens in it: the same memory, where the caller binds it so. */
export interface CachedAttentionResult {
  readonly output: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

/**
 * Causal attention of new tokens over themselves and all tokens before, whose keys and values are kept: writes the new keys and values
 * into their slots and attends, `softmax(scale · q kᵀ + bias) v`. `q: [b, t, h, d]`, `k: [b, t, g, d]`, `v: [b, t, g, d']` → `[b, t, h, d']`.
 * Rows may be of different lengths when `t` is 1; with more new tokens there must be one row. Without a gradient.
 *
 * @throws TesseraError `shape` when sizes do not fit
 */
export function cachedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  cache: AttentionCache,
  options: CachedAttentionOptions = {},
): CachedAttentionResult {
  if (q.rank !== 4 || k.rank !== 4 || v.rank !== 4)
    throw new TesseraError(
      "shape",
      `cachedAttention: needs [b, tokens, heads, d], got ${[q, k, v].map((x) => formatShape(x.shape)).join(", ")}`,
    );
  const [b, t, heads, d] = q.shape as [Dim, Dim, number, number];
  const [keyValueHeads, valueSize] = [Number(k.shape[2]), Number(v.shape[3])];
  const size = Number(cache.key.shape[3]);
  const { window = -1, bias, scale = 1 / Math.sqrt(d) } = options;
  if (divDims(heads, keyValueHeads) === undefined)
    throw new TesseraError(
      "shape",
      `cachedAttention: ${heads} query heads are no multiple of ${keyValueHeads} key-value heads`,
    );
  const flat = (x: Tensor) => {
    const wide = pad(x, 3, 0, size - Number(x.shape[3]));
    return reshape(wide, [b, t, mulDims(wide.shape[2]!, size)]);
  };
  const inputs = [flat(q), flat(k), flat(v), cache.key, cache.value, cache.last, cache.slots];
  const slots = cache.key.shape[2]!;
  const wideBias = bias && broadcastTo(bias, [bias.shape.at(-4) ?? 1, bias.shape.at(-3) ?? 1, t, slots]);
  const attrs = { heads, keyValueHeads, scale, window };
  const [output, key, value] = bindAll(cachedAttentionOp, wideBias ? [...inputs, wideBias] : inputs, attrs) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return { output: slice(reshape(output, [b, t, heads, size]), 3, 0, valueSize), key, value };
}
