import type { Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { buffer, module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { constant } from "../ops/constant.js";
import { abs, add, cast, less, maximum, minimum, mul, neg, sub } from "../ops/elementwise.js";
import { gather } from "../ops/gather.js";
import { cumulativeSum } from "../ops/reduce.js";
import { expandDims, reshape, transpose } from "../ops/shape.js";

/** Sizes of sines and cosines: `θ_j = base^{−2j/d}`, one for each pair of elements. */
function frequencies(d: number, base: number): Float64Array {
  return Float64Array.from({ length: d / 2 }, (_, j) => base ** ((-2 * j) / d));
}

/**
 * Sinusoidal positions: `P_{i,2j} = sin(i/10000^{2j/d})`, `P_{i,2j+1} = cos(i/10000^{2j/d})`. Vaswani et al. 2017, section 3.5.
 * `positions: [...]` int64 → `[..., d]`. No parameters.
 *
 * @param length positions that are tabulated, 0 … length − 1
 * @param layout `"interleaved"` as the paper; `"halves"` all sines then all cosines (Marian, tensor2tensor). Default `"interleaved"`
 */
export function sinusoidalPositions(
  length: number,
  d: number,
  { layout = "interleaved" }: { readonly layout?: "interleaved" | "halves" } = {},
) {
  if (d % 2 !== 0) throw new TesseraError("argument", `sinusoidalPositions: d must be even, got ${d}`);
  const theta = frequencies(d, 10000);
  const table = new Float32Array(length * d);
  for (let i = 0; i < length; i++)
    for (let j = 0; j < d / 2; j++) {
      const [s, c] = layout === "interleaved" ? [2 * j, 2 * j + 1] : [j, d / 2 + j];
      table[i * d + s] = Math.sin(i * theta[j]!);
      table[i * d + c] = Math.cos(i * theta[j]!);
    }
  return module({}, (_, positions: Tensor) => gather(constant(table, [length, d]), positions));
}

/** Positions from a table that is on disk and not learned. `positions: [...]` int64 → `[..., d]`. @param length rows of the table */
export function tabulatedPositions(length: number, d: number) {
  return module({ weight: buffer([length, d], "zeros") }, ({ weight }, positions: Tensor) => gather(weight, positions));
}

/**
 * Learned positions: a vector for each of `length` positions. GPT-2, BERT, OPT. `positions: [...]` int64 → `[..., d]`.
 *
 * @param offset added to every position (OPT keeps 2 rows for itself). Default 0
 */
export function learnedPositions(
  length: number,
  d: number,
  { offset = 0, std = 0.02 }: { readonly offset?: number; readonly std?: number } = {},
) {
  return module({ weight: param([length + offset, d], { normal: std }) }, ({ weight }, positions: Tensor) =>
    gather(weight, offset === 0 ? positions : add(positions, offset)),
  );
}

/**
 * Positions counted over tokens alone, `Σ_{j≤i} mask_j − 1`, and −1 for padding. OPT, RoBERTa. `mask: [b, t]` int64, 1 for tokens → int64 `[b, t]`.
 */
export function tokenPositions(mask: Tensor): Tensor {
  return sub(mul(cumulativeSum(mask, 1), mask), 1);
}

/** Slopes of ALiBi: `2^{−8k/n}`, k = 1 … n, for the nearest lower power of two, then every other one of twice as many. Press et al. 2022. */
export function alibiSlopes(heads: number): readonly number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const slopes = (n: number) => Array.from({ length: n }, (_, k) => 2 ** ((-8 * (k + 1)) / n));
  return [
    ...slopes(power),
    ...slopes(2 * power)
      .filter((_, k) => k % 2 === 0)
      .slice(0, heads - power),
  ];
}

/**
 * ALiBi: a bias of `slope · position` for each head and key, linear in the distance up to a constant that softmax drops.
 * Press et al. 2022. `keyPositions: [b, s]` int64 → `[b, h, 1, s]`.
 */
export function alibiBias(heads: number, keyPositions: Tensor): Tensor {
  const [b, s] = keyPositions.shape as [Dim, Dim];
  return mul(reshape(cast(keyPositions, "float32"), [b, 1, 1, s]), constant(alibiSlopes(heads), [1, heads, 1, 1]));
}

/** How T5's relative positions are cut into buckets. */
export interface RelativeBucketOptions {
  /** Number of buckets, of both directions together. Default 32. */
  readonly buckets?: number;
  /** Distance from which on all share one bucket. Default 128. */
  readonly maxDistance?: number;
  /** Whether keys after the query have buckets of their own (encoders) or the first one (decoders). */
  readonly bidirectional: boolean;
}

/**
 * T5's bucket of a relative position (key − query): exact for small distances, logarithmic up to `maxDistance`, one for all beyond.
 * Raffel et al. 2020, section 2.1. `relative: [...]` int64 → int64 in 0 … buckets − 1.
 */
export function relativeBuckets(
  relative: Tensor,
  { buckets = 32, maxDistance = 128, bidirectional }: RelativeBucketOptions,
): Tensor {
  const count = bidirectional ? Math.floor(buckets / 2) : buckets;
  const exact = Math.floor(count / 2);
  if (exact < 1 || maxDistance <= exact)
    throw new TesseraError(
      "argument",
      `relativeBuckets: ${buckets} buckets do not reach from 0 to a distance of ${maxDistance} (${exact} of one each)`,
    );
  // Tabulated, so that every bucket's border is where single precision, in this order, puts it in the original.
  const f = Math.fround;
  const bucketAt = (distance: number) => {
    if (distance < exact) return distance;
    const share = f(f(Math.log(f(distance / exact))) / f(Math.log(maxDistance / exact)));
    return Math.min(exact + Math.trunc(f(share * (count - exact))), count - 1);
  };
  const table = constant(
    Array.from({ length: maxDistance + 1 }, (_, distance) => bucketAt(distance)),
    [maxDistance + 1],
    "int64",
  );
  const distance = bidirectional ? abs(relative) : maximum(neg(relative), 0);
  const bucket = gather(table, minimum(distance, maxDistance));
  return bidirectional ? add(bucket, mul(cast(less(0, relative), "int64"), count)) : bucket;
}

/**
 * T5's learned bias of each bucket and head, for queries and keys at given positions. Raffel et al. 2020, section 2.1.
 * `positions: [b, t]`, `keyPositions: [1, s]` int64 → `[b, h, t, s]`.
 *
 * @param std standard deviation of the initial biases. Default 0.02
 */
export function relativePositionBias(heads: number, options: RelativeBucketOptions & { readonly std?: number }) {
  const { buckets = 32, std = 0.02 } = options;
  return module(
    { weight: param([buckets, heads], { normal: std }) },
    ({ weight }, positions: Tensor, keyPositions: Tensor) => {
      const relative = sub(expandDims(keyPositions, 1), expandDims(positions, 2)); // [b, t, s]
      return transpose(gather(weight, relativeBuckets(relative, options)), [0, 3, 1, 2]);
    },
  );
}
