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
  /** Biases in the projections, or which of them have one. Default true. */
  readonly bias?:
    | boolean
    | { readonly query: boolean; readonly key: boolean; readonly value: boolean; readonly output: boolean };
  /** Factor of the scores. Default `1/√headSize`. */
  readonly scale?: number;
  /** Probability of dropping an attention weight while training. Default 0. */
  readonly dropout?: number;
  /** Modules for queries and keys `[b, t, h, d]` with parameters of their own, such as the norms of Qwen 3, by name on disk; before {@link onQueryKey}. */
  readonly queryKeyNorms?: Readonly<Record<"query" | "key", readonly [name: string, norm: Projection]>>;
  /** Applied to queries and keys `[b, t, h, d]` before the scores: rotary positions. */
  readonly onQueryKey?: (x: Tensor, ctx: Context) => Tensor;
  /** Standard deviation of the initial weights, of all or of each projection (packed and fused ones: the query's). Default 0.02. */
  readonly std?: number | Readonly<Record<"query" | "key" | "value" | "output", number>>;
  /**
   * Names of the projections on disk: one each for query, key, value and output (default LLaMA's and OPT's); or `"packed"`,
   * torch's `MultiheadAttention`: `in_proj_weight`, `in_proj_bias` for the three at once, and `out_proj`; or one `fused` projection
   * whose rows are query, key and value of each head in turn, as BLOOM's and GPT-NeoX's.
   */
  readonly names?:
    | readonly [query: string, key: string, value: string, output: string]
    | "packed"
    | { readonly fused: string; readonly output: string };
}

/** A module of one tensor. */
// biome-ignore lint/suspicious/noExplicitAny: a projection or a norm, of whatever parameters
type Projection = Module<any, [x: Tensor], Tensor>;

/** What else a call of a multi-headed attention takes. */
export interface AttentionArguments {
  /** Added to the scores, broadcast to `[b, h, t, s]`: relative positions. */
  readonly bias?: Tensor | undefined;
}

/** A multi-headed attention: called with the queries' input, the keys' and values' input (the same tensor: self-attention) and the context. */
// biome-ignore lint/suspicious/noExplicitAny: the names of its parameters are an option
export type AttentionModule = Module<any, [y: Tensor, x: Tensor, ctx: Context, args?: AttentionArguments], Tensor>;

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
  const {
    d,
    heads,
    keyValueHeads = heads,
    headSize = d / heads,
    mask = "none",
    dropout = 0,
    scale,
    std = 0.02,
  } = options;
  const { onQueryKey = (x) => x, queryKeyNorms: norms, names = ["q_proj", "k_proj", "v_proj", "out_proj"] } = options;
  const { bias = true } = options;
  const stds = typeof std === "number" ? { query: std, key: std, value: std, output: std } : std;
  const has = typeof bias === "boolean" ? { query: bias, key: bias, value: bias, output: bias } : bias;
  if (!Number.isInteger(headSize))
    throw new TesseraError("argument", `multiHeadedAttention: d ${d} does not divide into ${heads} heads`);
  if (heads % keyValueHeads !== 0)
    throw new TesseraError(
      "argument",
      `multiHeadedAttention: ${heads} query heads are no multiple of ${keyValueHeads} key-value heads`,
    );
  const [inner, innerKeyValue] = [heads * headSize, keyValueHeads * headSize];

  const normSpec: Record<string, Projection> = norms
    ? { [norms.query[0]]: norms.query[1], [norms.key[0]]: norms.key[1] }
    : {};
  type Children = Readonly<Record<string, (x: Tensor) => Tensor>>;

  /** `q: [b, t, h, d]`, `k, v: [b, s, g, d]` → `[b, t, h·d]`. */
  const attend = (
    m: Children,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ctx: Context,
    self: boolean,
    args: AttentionArguments,
  ) => {
    const onWeights = dropout > 0 ? (w: Tensor) => ctx.dropout(w, dropout) : undefined;
    const [qs, ks] = norms ? [m[norms.query[0]]!(q), m[norms.key[0]]!(k)] : [q, k];
    const how = { mask, scale, onWeights, bias: args.bias };
    const over = self ? ctx.attend : ctx.attendTo;
    return mergeHeads(over(onQueryKey(qs, ctx), onQueryKey(ks, ctx), v, how));
  };

  if (names === "packed") {
    const rows = inner + 2 * innerKeyValue;
    if (typeof bias !== "boolean" || norms)
      throw new TesseraError(
        "argument",
        "multiHeadedAttention: packed projections have all biases or none, and no norms",
      );
    const spec = {
      in_proj_weight: param([rows, d], { normal: stds.query }),
      in_proj_bias: bias ? param([rows], "zeros") : undefined,
      out_proj: linear(inner, d, { bias, std: stds.output }),
    };
    return module(spec, (m, y: Tensor, x: Tensor, ctx: Context, args: AttentionArguments = {}): Tensor => {
      const project = (input: Tensor, from: number, to: number) => {
        const p = matmul(input, slice(m.in_proj_weight, 0, from, to), { transB: true });
        return m.in_proj_bias ? add(p, slice(m.in_proj_bias, 0, from, to)) : p;
      };
      const parts = [inner, innerKeyValue, innerKeyValue];
      const [q, k, v] =
        x === y
          ? split(project(x, 0, rows), parts)
          : [project(y, 0, inner), ...split(project(x, inner, rows), parts.slice(1))];
      const [ks, vs] = [splitHeads(k!, keyValueHeads), splitHeads(v!, keyValueHeads)];
      return m.out_proj(attend({}, splitHeads(q!, heads), ks, vs, ctx, x === y, args));
    });
  }
  if ("fused" in names) {
    if (keyValueHeads !== heads || has.query !== has.key || has.query !== has.value)
      throw new TesseraError(
        "argument",
        "multiHeadedAttention: a fused projection has as many keys as queries, and one bias",
      );
    const spec: Record<string, Projection> = {
      [names.fused]: linear(d, 3 * inner, { bias: has.query, std: stds.query }),
      [names.output]: linear(inner, d, { bias: has.output, std: stds.output }),
      ...normSpec,
    };
    return module(spec, (m, y: Tensor, x: Tensor, ctx: Context, args: AttentionArguments = {}): Tensor => {
      if (x !== y) throw new TesseraError("argument", "multiHeadedAttention: a fused projection is for self-attention");
      const [q, k, v] = split(splitHeads(m[names.fused]!(x), heads), 3, 3); // [b, t, h, 3·d] → 3 × [b, t, h, d]
      return m[names.output]!(attend(m, q!, k!, v!, ctx, true, args));
    });
  }
  const [query, key, value, output] = names;
  const spec: Record<string, Projection> = {
    [query]: linear(d, inner, { bias: has.query, std: stds.query }),
    [key]: linear(d, innerKeyValue, { bias: has.key, std: stds.key }),
    [value]: linear(d, innerKeyValue, { bias: has.value, std: stds.value }),
    [output]: linear(inner, d, { bias: has.output, std: stds.output }),
    ...normSpec,
  };
  return module(spec, (m, y: Tensor, x: Tensor, ctx: Context, args: AttentionArguments = {}): Tensor => {
    const q = splitHeads(m[query]!(y), heads);
    const [k, v] = [splitHeads(m[key]!(x), keyValueHeads), splitHeads(m[value]!(x), keyValueHeads)];
    return m[output]!(attend(m, q, k, v, ctx, x === y, args));
  });
}
