import { addDims, type Dim, divDims, formatShape, mulDims, sizeOf } from "../core/dim.js";
import type { DType } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type OnnxEmitter, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { isObserved, observe } from "../core/trace.js";
import { range } from "./constant.js";
import { add, and, less, lessOrEqual, maximum, sub, where } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { broadcastTo, concat, reshape, slice, split, transpose } from "./shape.js";

/** Which keys a query may see: all; those not after it; or, banded, those not after it and fewer than `window` tokens back. */
export type AttentionMask = "none" | "causal" | Band;

/** A band of keys. */
export interface Band {
  /** Tokens that a query sees, its own included. */
  readonly window: number;
  /**
   * How a query that sees nothing, such as padding behind its window, shares out its weight: among all keys, or among those that only one
   * of band and padding hides (GPT-Neo, which masks twice). Default `"all"`.
   */
  readonly unseen?: "all" | "hidden once";
}

/** How queries attend to keys. */
export interface AttentionOptions {
  /** Default `"none"`. Queries and keys end at the same token: query `i` of `t` stands at key `s − t + i`. */
  readonly mask?: AttentionMask | undefined;
  /** Added to the scores, broadcast to `[b, h, t, s]`: relative positions, padding. */
  readonly bias?: Tensor | undefined;
  /** Factor of the scores. Default `1/√d`. */
  readonly scale?: number | undefined;
  /** Applied to the attention weights, such as dropout. */
  readonly onWeights?: ((weights: Tensor) => Tensor) | undefined;
}

/** The most negative float32: added to a score it leaves no weight, and a row of nothing else stays finite. */
export const MASKED: number = -3.4028234663852886e38;

function weightsShape(q: Aval, k: Aval, bias: Aval | undefined): Aval {
  const [b, h, t, d] = q.shape;
  const [kb, kh, s, kd] = k.shape;
  if (q.shape.length !== 4 || k.shape.length !== 4 || b !== kb || h !== kh || d !== kd)
    throw new TesseraError(
      "shape",
      `queries ${formatShape(q.shape)} and keys ${formatShape(k.shape)} must both be [b, h, tokens, d]`,
    );
  if (bias && bias.shape.length > 4)
    throw new TesseraError("shape", `a bias of ${formatShape(bias.shape)} does not broadcast to [b, h, t, s]`);
  return { dtype: q.dtype, shape: [b!, h!, t!, s!] };
}

function emitWeights(
  onnx: OnnxEmitter,
  q: string,
  k: string,
  bias: string | undefined,
  scale: number,
  dtype: DType,
): string {
  const raw =
    onnx.contrib && dtype === "float32"
      ? onnx.node("com.microsoft.FusedMatMul", [q, k], { transB: 1, alpha: { f: scale } })
      : onnx.node("Mul", [
          onnx.node("MatMul", [q, onnx.node("Transpose", [k], { perm: [0, 1, 3, 2] })]),
          onnx.scalar(scale, dtype),
        ]);
  return onnx.node("Softmax", [bias ? onnx.node("Add", [raw, bias]) : raw], { axis: -1 });
}

const attentionWeightsOp: Primitive<"any", { scale: number }> = {
  name: "attention_weights",
  shape: ([q, k, bias]) => weightsShape(q!, k!, bias),
  emit: (onnx, [q, k, bias], { scale }, { outputs }) => emitWeights(onnx, q!, k!, bias, scale, outputs[0]!.dtype),
  flops: ([q], [y]) => mulDims(mulDims(2, sizeOf(y!.shape)), q!.shape[3]!),
  vjp: (o, { inputs: [q, k, bias], output: weights, ct, attrs: { scale } }) => {
    const weighted = o.mul(ct, weights);
    const ds = o.sub(weighted, o.mul(weights, o.sum(weighted, { axes: [-1], keepDims: true })));
    const dqk = [o.matmul(ds, k!, { scale }), o.matmul(ds, q!, { transA: true, scale })];
    return bias ? [...dqk, ds] : dqk;
  },
  decompose: (o, [q, k, bias], { scale }) => {
    const scores = o.matmul(q!, k!, { transB: true, scale });
    return o.softmax(bias ? o.add(scores, bias) : scores);
  },
};

/**
 * Attention weights `softmax(scale · q kᵀ + bias)`. `q: [b, h, t, d]`, `k: [b, h, s, d]` → `[b, h, t, s]`.
 * Vaswani et al. 2017, section 3.2.1.
 */
export function attentionWeights(q: Tensor, k: Tensor, bias: Tensor | undefined, scale: number): Tensor {
  return bind(attentionWeightsOp, bias ? [q, k, bias] : [q, k], { scale });
}

/** Weights and their product with the values as one, whose gradient needs two passes less over the weights. */
const attendOp: Primitive<"any", { scale: number }> = {
  name: "attend",
  shape: ([q, k, v, bias]) => {
    const weights = weightsShape(q!, k!, bias);
    if (v!.shape.length !== 4 || formatShape(v!.shape.slice(0, 3)) !== formatShape(k!.shape.slice(0, 3)))
      throw new TesseraError("shape", `values ${formatShape(v!.shape)} do not go with keys ${formatShape(k!.shape)}`);
    return [{ dtype: weights.dtype, shape: [...weights.shape.slice(0, 3), v!.shape[3]!] }, weights];
  },
  emit: (onnx, [q, k, v, bias], { scale }, { outputs }) => {
    const weights = emitWeights(onnx, q!, k!, bias, scale, outputs[0]!.dtype);
    return [onnx.node("MatMul", [weights, v!]), weights];
  },
  flops: ([q, , v], [, weights]) => mulDims(mulDims(2, sizeOf(weights!.shape)), addDims(q!.shape[3]!, v!.shape[3]!)),
  vjp: (o, { inputs: [q, k, v, bias], outputs: [y, weights], cts: [ct, ctWeights], attrs: { scale } }) => {
    const inner = (a: Tensor, b: Tensor) => o.sum(o.mul(a, b), { axes: [-1], keepDims: true });
    // Softmax's gradient needs Σ_j w_j ∂w_j for each query; what comes through the product is Σ_d y_d ∂y_d, which is shorter.
    const through = ct && { dw: o.matmul(ct, v!, { transB: true }), mean: inner(ct, y!) };
    const direct = ctWeights && { dw: ctWeights, mean: inner(ctWeights, weights!) };
    const parts = [through, direct].filter((part) => part !== undefined);
    const total = (key: "dw" | "mean") => parts.map((part) => part[key]).reduce((a, b) => o.add(a, b));
    const ds = o.mul(weights!, o.sub(total("dw"), total("mean")));
    return [
      o.matmul(ds, k!, { scale }),
      o.matmul(ds, q!, { transA: true, scale }),
      ct ? o.matmul(weights!, ct, { transA: true }) : null,
      ...(bias ? [ds] : []),
    ];
  },
  decompose: (o, [q, k, v, bias], { scale }) => {
    const weights = o.attentionWeights(q!, k!, bias, scale);
    return [o.matmul(weights, v!), weights];
  },
};

/** Which keys the queries may see, as bool `[t, s]`; queries and keys end at the same token. */
export function visible(mask: Exclude<AttentionMask, "none">, t: Dim, s: Dim = t): Tensor {
  const query = add(reshape(range(t), [t, 1]), offset(t, s));
  const key = reshape(range(s), [1, s]);
  const notAfter = lessOrEqual(key, query);
  return mask === "causal" ? notAfter : and(notAfter, less(sub(query, mask.window), key));
}

function offset(t: Dim, s: Dim): number | Tensor {
  const difference = addDims(s, mulDims(-1, t));
  if (typeof difference === "number") return difference;
  // A named difference as a value: the length of a range over it is its last element and one.
  throw new TesseraError("unsupported", `visible: ${t} queries over ${s} keys; give positions instead`);
}

/** The bias of a mask: 0 where a query may see a key, {@link MASKED} elsewhere. → `[t, s]`. */
export function maskBias(mask: Exclude<AttentionMask, "none">, t: Dim, s: Dim = t): Tensor {
  return where(visible(mask, t, s), 0, MASKED);
}

/**
 * Scaled dot-product attention, `softmax(scale · q kᵀ + mask + bias) v` for each head. Vaswani et al. 2017, section 3.2.1.
 * `q: [b, t, h, d]`, `k: [b, s, g, d]`, `v: [b, s, g, d']` → `[b, t, h, d']`. With fewer key-value heads `g` than `h`, each serves
 * `h/g` query heads (grouped-query attention, Ainslie et al. 2023). An observer sees the weights `[b, h, t, s]` as `attention_weights`.
 *
 * @throws TesseraError `shape` when sizes do not fit or `h` is no multiple of `g`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { mask = "none", bias, scale = 1 / Math.sqrt(Number(q.shape.at(-1))), onWeights } = options;
  if (q.rank !== 4 || k.rank !== 4 || v.rank !== 4)
    throw new TesseraError(
      "shape",
      `attention: needs [b, tokens, heads, d], got ${[q, k, v].map((x) => formatShape(x.shape)).join(", ")}`,
    );
  const heads = q.shape[2]!;
  const inBlocks = mask !== "none" && !bias && !onWeights && !isObserved() ? blocksOf(q.shape[1]!, k.shape[1]!) : 1;
  const hidden = mask === "none" ? undefined : maskBias(mask, q.shape[1]!, k.shape[1]!);
  const both = bias && hidden && add(bias, hidden);
  const once = typeof mask === "object" && mask.unseen === "hidden once";
  // No less than MASKED: a query that sees nothing, such as padding behind its window, has equal weights for all keys, as in the originals.
  const masked = both ? (once ? both : maximum(both, MASKED)) : (bias ?? hidden);
  const [qs, ks, vs] = [q, repeatHeads(k, heads), repeatHeads(v, heads)].map((x) => transpose(x, [0, 2, 1, 3])); // [b, h, ·, d]
  const y =
    mask !== "none" && inBlocks > 1
      ? attendInBlocks(qs!, ks!, vs!, mask, scale, inBlocks)
      : attend(qs!, ks!, vs!, masked, scale, onWeights);
  return transpose(y, [0, 2, 1, 3]);
}

const BLOCK = 128;

/** How many blocks of queries masked attention is computed in: more than one saves what the mask would throw away. */
function blocksOf(t: Dim, s: Dim): number {
  return t === s && typeof t === "number" && t % BLOCK === 0 ? t / BLOCK : 1;
}

/**
 * Masked attention, each block of queries over the keys that any of them sees. Of `n` blocks, causal attention leaves out `(n − 1)/2n` of
 * the work, a band all but `(BLOCK + window − 1)/t`.
 */
function attendInBlocks(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Exclude<AttentionMask, "none">,
  scale: number,
  blocks: number,
): Tensor {
  const back = mask === "causal" ? Infinity : mask.window - 1;
  const parts = split(q, blocks, 2).map((part, i) => {
    const [start, end] = [Math.max(0, i * BLOCK - back), (i + 1) * BLOCK];
    const [keys, values] = [k, v].map((x) => slice(x, 2, start, end)) as [Tensor, Tensor];
    return bind(attendOp, [part, keys, values, maskBias(mask, BLOCK, end - start)], { scale });
  });
  return concat(parts, 2);
}

/** As one operation, unless somebody looks at the weights or changes them. */
function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  bias: Tensor | undefined,
  scale: number,
  onWeights: AttentionOptions["onWeights"],
): Tensor {
  if (!onWeights && !isObserved()) return bind(attendOp, bias ? [q, k, v, bias] : [q, k, v], { scale });
  const weights = observe("attention_weights", attentionWeights(q, k, bias, scale));
  return matmul(onWeights ? onWeights(weights) : weights, v);
}

/** Each of `g` heads `h/g` times in a row: `[b, s, g, d]` → `[b, s, h, d]`. */
export function repeatHeads(x: Tensor, heads: Dim): Tensor {
  const [b, s, g, d] = x.shape as [Dim, Dim, Dim, Dim];
  if (g === heads) return x;
  const times = divDims(heads, g);
  if (times === undefined)
    throw new TesseraError("shape", `attention: ${heads} query heads are no multiple of ${g} key-value heads`);
  return reshape(broadcastTo(reshape(x, [b, s, g, 1, d]), [b, s, g, times, d]), [b, s, heads, d]);
}
