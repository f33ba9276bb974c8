import type { Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { type Module, module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { AttentionMask } from "../ops/attention.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { reshape, slice, split } from "../ops/shape.js";
import type { Context } from "./context.js";
import { linear } from "./linear.js";

/** A multi-headed attention's sizes and kinds. */
export interface MultiHeadedAttentionOptions {
  /** Model size. */
  readonly d: number;
  /** Query heads. */
  readonly heads: number;
  /** Key-value heads; fewer than `heads` is grouped-query attention (Ainslie et al. 2023). Default `heads`. */
  readonly keyValueHeads?: number;
  /** Size of a head. Default `d / heads`. */
  readonly headSize?: number;
  /** Which keys a query sees. Default `"none"`. */
  readonly mask?: AttentionMask;
  /** Biases in the projections. Default true. */
  readonly bias?: boolean;
  /** Probability of dropping an attention weight while training. Default 0. */
  readonly dropout?: number;
  /** Applied to queries and keys `[b, t, h, d]` before the scores: rotary positions, norms. */
  readonly onQueryKey?: (x: Tensor, ctx: Context) => Tensor;
  /**
   * Names of the projections on disk: one each for query, key, value and output (default LLaMA's and OPT's), or `"packed"`,
   * torch's `MultiheadAttention`: `in_proj_weight`, `in_proj_bias` for the three at once, and `out_proj`.
   */
  readonly names?: readonly [query: string, key: string, value: string, output: string] | "packed";
}

/** A multi-headed attention: called with the queries' input, the keys' and values' input and the context. */
// biome-ignore lint/suspicious/noExplicitAny: the names of its parameters are an option
export type AttentionModule = Module<any, [y: Tensor, x: Tensor, ctx: Context], Tensor>;

/** Vectors cut into heads: `[b, t, h·d]` → `[b, t, h, d]`. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [b, t, e] = x.shape as [Dim, Dim, number];
  if (e % heads !== 0) throw new TesseraError("shape", `splitHeads: size ${e} does not divide into ${heads} heads`);
  return reshape(x, [b, t, heads, e / heads]);
}

/** The heads' vectors one behind the other: `[b, t, h, d]` → `[b, t, h·d]`. */
export function mergeHeads(x: Tensor): Tensor {
  const [b, t, h, d] = x.shape as [Dim, Dim, number, number];
  return reshape(x, [b, t, h * d]);
}

/**
 * MultiHeadedAttention: `W_O [head₁; …; head_h]`, each head an attention with projections of its own. Vaswani et al. 2017, section 3.2.2.
 * Called with queries' input `y: [b, t, d]` and keys' and values' input `x: [b, s, d]`, the same tensor for SelfAttention,
 * another for cross-attention → `[b, t, d]`.
 *
 * @throws TesseraError `argument` for heads that do not fit
 * @example multiHeadedAttention({ d: 512, heads: 8, mask: "causal" })
 */
export function multiHeadedAttention(options: MultiHeadedAttentionOptions): AttentionModule {
  const { d, heads, keyValueHeads = heads, headSize = d / heads, mask = "none", bias = true, dropout = 0 } = options;
  const { onQueryKey = (x) => x, names = ["q_proj", "k_proj", "v_proj", "out_proj"] } = options;
  if (!Number.isInteger(headSize))
    throw new TesseraError("argument", `multiHeadedAttention: d ${d} does not divide into ${heads} heads`);
  if (heads % keyValueHeads !== 0)
    throw new TesseraError(
      "argument",
      `multiHeadedAttention: ${heads} query heads are no multiple of ${keyValueHeads} key-value heads`,
    );
  const [inner, innerKeyValue] = [heads * headSize, keyValueHeads * headSize];

  const attend = (q: Tensor, k: Tensor, v: Tensor, ctx: Context, self: boolean): Tensor => {
    const onWeights = dropout > 0 ? (w: Tensor) => ctx.dropout(w, dropout) : undefined;
    const [qs, ks] = [onQueryKey(splitHeads(q, heads), ctx), onQueryKey(splitHeads(k, keyValueHeads), ctx)];
    const vs = splitHeads(v, keyValueHeads);
    return mergeHeads(
      self ? ctx.attend(qs, ks, vs, { mask, onWeights }) : ctx.attendTo(qs, ks, vs, { mask, onWeights }),
    );
  };

  if (names === "packed") {
    const rows = inner + 2 * innerKeyValue;
    const spec = {
      in_proj_weight: param([rows, d], { normal: 0.02 }),
      in_proj_bias: bias ? param([rows], "zeros") : undefined,
      out_proj: linear(inner, d, { bias }),
    };
    return module(spec, (m, y: Tensor, x: Tensor, ctx: Context): Tensor => {
      const project = (input: Tensor, from: number, to: number) => {
        const p = matmul(input, slice(m.in_proj_weight, 0, from, to), { transB: true });
        return m.in_proj_bias ? add(p, slice(m.in_proj_bias, 0, from, to)) : p;
      };
      const parts = [inner, innerKeyValue, innerKeyValue];
      const [q, k, v] =
        x === y
          ? split(project(x, 0, rows), parts)
          : [project(y, 0, inner), ...split(project(x, inner, rows), parts.slice(1))];
      return m.out_proj(attend(q!, k!, v!, ctx, x === y));
    });
  }
  const [query, key, value, output] = names;
  const spec = {
    [query]: linear(d, inner, { bias }),
    [key]: linear(d, innerKeyValue, { bias }),
    [value]: linear(d, innerKeyValue, { bias }),
    [output]: linear(inner, d, { bias }),
  };
  return module(
    spec,
    (m, y: Tensor, x: Tensor, ctx: Context): Tensor =>
      m[output]!(attend(m[query]!(y), m[key]!(x), m[value]!(x), ctx, x === y)),
  );
}
