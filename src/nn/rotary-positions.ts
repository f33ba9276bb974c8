import { type Dim, mulDims } from "../core/dim.js";
import type { Tensor } from "../core/tensor.js";
import { constant, range } from "../ops/constant.js";
import { add, cast, cos, exp, log, maximum, mul, sin } from "../ops/elementwise.js";
import { max } from "../ops/reduce.js";
import { rotate } from "../ops/rotary.js";
import { expandDims, reshape } from "../ops/shape.js";
import type { Context } from "./context.js";
import { type RotaryScaling, rotaryFrequencies } from "./rotary-scaling.js";

/** How rotary positions turn. */
export interface RotaryOptions {
  /** Default 10,000. */
  readonly base?: number;
  /** Default: none. */
  readonly scaling?: RotaryScaling;
  /** Pairs are neighbours (GPT-J, GLM) instead of elements half of the rotated part apart (LLaMA, GPT-NeoX). Default false. */
  readonly interleaved?: boolean;
}

/**
 * Rotary positions: each pair of elements of a head turned by `position · base^{−2j/d}`. Su et al. 2021, section 3.2. The angles are
 * computed for the positions at hand, so that a long context costs nothing until it is used.
 *
 * With `"dynamic"` scaling the base is `base · (factor · n/length − (factor − 1))^{d/(d−2)}` for a row of `n > length` tokens. A key
 * kept from an earlier call stays as it was turned then, as in transformers: beyond `length`, tokens decoded one by one see other
 * angles than the whole text at once.
 *
 * @param d rotated elements of a head, from the first on
 * @returns to be applied to queries and keys `[b, t, h, d′]`, `d′ ≥ d`: a multi-headed attention's `onQueryKey`
 * @example multiHeadedAttention({ d: 64, heads: 4, mask: "causal", onQueryKey: rotaryPositions(16) })
 */
export function rotaryPositions(
  d: number,
  { base = 10000, scaling = { type: "default" }, interleaved = false }: RotaryOptions = {},
): (x: Tensor, ctx: Pick<Context, "positions">) => Tensor {
  const { frequencies, factor } = rotaryFrequencies(d, base, scaling);
  const pairs = frequencies.length;
  return (x, { positions }) => {
    const [rows, t] = positions.shape as [Dim, Dim];
    const turn = constant(frequencies, [1, 1, pairs]);
    const angles = mul(
      reshape(cast(positions, "float32"), [rows, t, 1]),
      scaling.type === "dynamic" ? mul(turn, slowedBy(positions, d, pairs, scaling)) : turn,
    );
    const table = (y: Tensor) => mul(reshape(y, [mulDims(rows, t), pairs]), factor);
    const order = reshape(range(mulDims(rows, t)), [rows, t]); // the tables hold just these positions, in this order
    return rotate(x, table(cos(angles)), table(sin(angles)), order, { interleaved });
  };
}

/** What a grown base makes of each frequency: `growth^{−2j/(d−2)}` for each row, 1 within the length. → `[b, 1, pairs]`. */
function slowedBy(
  positions: Tensor,
  d: number,
  pairs: number,
  { factor, length }: { readonly factor: number; readonly length: number },
): Tensor {
  const n = add(cast(max(positions, { axes: [1], keepDims: true }), "float32"), 1);
  const growth = maximum(add(mul(n, factor / length), 1 - factor), 1);
  const exponents = Float32Array.from({ length: pairs }, (_, j) => (-2 * j) / (d - 2));
  return exp(mul(expandDims(log(growth), 2), constant(exponents, [1, 1, pairs])));
}
