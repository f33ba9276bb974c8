import type { Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { attention } from "../ops/attention.js";
import { constant } from "../ops/constant.js";
import { add, cast, cos, mul, sin, where } from "../ops/elementwise.js";
import { takeAlong } from "../ops/gather.js";
import { matmul } from "../ops/matmul.js";
import { broadcastTo, concat, expandDims, reshape, slice, split, transpose } from "../ops/shape.js";
import type { Context } from "./context.js";
import { mergeHeads, splitHeads } from "./multi-headed-attention.js";

/** A relative attention's sizes and rates. */
export interface RelativeAttentionOptions {
  /** Model size. */
  readonly d: number;
  /** Heads. */
  readonly heads: number;
  /** Probability of dropping an attention weight while training. Default 0. */
  readonly dropout?: number;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly std?: number;
}

/** How queries stand to the `t` keys. The first `t` queries stand where the keys do; `n` more may stand anywhere. */
export interface Relations {
  /** A vector for each distance from a query back to a key, `t … 1 − t`: `[2t, d]`; see {@link distanceVectors}. */
  readonly distances: Tensor;
  /** Which of the distances is whose, for the `n` queries more, `t + key − query` as places: int64 `[b, n, t]`. */
  readonly rows?: Tensor | undefined;
  /** Whether query and key are of different segments: bool `[b, 1, t + n, t]`. Default: segments do not count. */
  readonly apart?: Tensor | undefined;
  /** Added to the scores, broadcast to `[b, h, t + n, t]`: which keys are not seen. */
  readonly bias?: Tensor | undefined;
}

/**
 * Attention by content, by distance and by segment: query `i` scores key `j` with
 * `((q_i + r_w)·k_j + (q_i + r_r)·W_r R_{i−j} + (q_i + r_s)·s_{same or not}) / √d`. Dai et al. 2019, section 3.3; segments: Yang et al. 2019,
 * section 2.5. Parameters as transformers' `XLNetRelativeAttention`, projections `[d, h, d/h]`.
 * Called with queries' input `y: [b, t + n, d]`, keys' and values' input `x: [b, t, d]`, the context and the {@link Relations} → `[b, t + n, d]`.
 * What is seen, padding included, is the relations' bias alone.
 *
 * @throws TesseraError `argument` for heads that do not fit
 */
export function relativeAttention({ d, heads, dropout = 0, std = 0.02 }: RelativeAttentionOptions) {
  const size = d / heads;
  if (!Number.isInteger(size))
    throw new TesseraError("argument", `relativeAttention: d ${d} does not divide into ${heads} heads`);
  const scale = 1 / Math.sqrt(size);
  const [projection, bias] = [param([d, heads, size], { normal: std }), param([heads, size], { normal: std })];
  return module(
    {
      q: projection,
      k: projection,
      v: projection,
      o: projection,
      r: projection,
      r_r_bias: bias,
      r_s_bias: bias,
      r_w_bias: bias,
      seg_embed: param([2, heads, size], { normal: std }),
    },
    (self, y: Tensor, x: Tensor, ctx: Context, { distances, rows, apart, bias: hidden }: Relations): Tensor => {
      const project = (input: Tensor, w: Tensor) => matmul(input, reshape(w, [d, d]));
      const q = splitHeads(project(y, self.q), heads); // [b, t + n, h, d]
      const [k, v] = [self.k, self.v].map((w) => splitHeads(project(x, w), heads)) as [Tensor, Tensor]; // [b, t, h, d]
      /** Scores of vectors that all rows of a batch share, `to: [m, h, d]` → `[b, h, t + n, m]`. */
      const scores = (bias: Tensor, to: Tensor) =>
        matmul(transpose(add(q, bias), [0, 2, 1, 3]), transpose(to, [1, 0, 2]), { transB: true, scale });

      const far = reshape(project(distances, self.r), [distances.shape[0]!, heads, size]); // [2t, h, d]
      let relative = aligned(scores(self.r_r_bias, far), rows); // [b, h, t + n, t]
      if (apart) {
        const [same, other] = split(scores(self.r_s_bias, self.seg_embed), 2) as [Tensor, Tensor]; // [b, h, t + n, 1]
        relative = add(relative, where(apart, other, same));
      }
      const onWeights = dropout > 0 ? (w: Tensor) => ctx.dropout(w, dropout) : undefined;
      const options = { bias: hidden ? add(relative, hidden) : relative, scale, onWeights };
      return matmul(mergeHeads(attention(add(q, self.r_w_bias), k, v, options)), reshape(self.o, [d, d]), {
        transB: true,
      });
    },
  );
}

/** From scores of distances to scores of keys: `[b, h, t + n, 2t]` → `[b, h, t + n, t]`. */
function aligned(x: Tensor, rows: Tensor | undefined): Tensor {
  if (!rows) return shifted(x);
  const [b, h] = x.shape as [Dim, Dim];
  const [, n, t] = rows.shape as [Dim, Dim, Dim];
  const picked = takeAlong(slice(x, 2, t), broadcastTo(expandDims(rows, 1), [b, h, n, t]));
  return concat([shifted(slice(x, 2, 0, t)), picked], 2);
}

/** `y_ij = x_{i, t − i + j}`, by reading the rows one element shorter. `[b, h, t, 2t]` → `[b, h, t, t]`. Dai et al. 2019, appendix B. */
function shifted(x: Tensor): Tensor {
  const [b, h, t, wide] = x.shape as [Dim, Dim, Dim, Dim];
  const rest = slice(reshape(x, [b, h, wide, t]), 2, 1); // [b, h, 2t − 1, t]
  return slice(reshape(rest, [b, h, t, rest.shape[2]!]), 3, 0, t);
}

/** Sines, then cosines, of whole numbers, negative ones too: `R_{k,j} = sin(k/10000^{2j/d})`, …. `distances: [m]` int64 → `[m, d]`. */
export function distanceVectors(distances: Tensor, d: number): Tensor {
  if (d % 2 !== 0) throw new TesseraError("argument", `distanceVectors: d must be even, got ${d}`);
  const frequencies = constant(Array.from({ length: d / 2 }, (_, j) => 10000 ** ((-2 * j) / d)));
  const angles = mul(expandDims(cast(distances, "float32"), 1), frequencies); // [m, d/2]
  return concat([sin(angles), cos(angles)]);
}
