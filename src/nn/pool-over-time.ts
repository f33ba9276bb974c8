import type { Dim } from "../core/dim.js";
import type { Tensor } from "../core/tensor.js";
import { MASKED } from "../ops/attention.js";
import { cast, div, equal, maximum, mul, where } from "../ops/elementwise.js";
import { max, mean, sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";

/** Mean over the tokens of a sequence. `x: [b, t, d]`, `mask: [b, t]` int64, 1 for tokens, 0 for padding → `[b, d]`. */
export function meanOverTime(x: Tensor, mask?: Tensor): Tensor {
  if (!mask) return mean(x, { axes: [1] });
  const counted = cast(perToken(mask), x.dtype); // [b, t, 1]
  return div(sum(mul(x, counted), { axes: [1] }), maximum(sum(counted, { axes: [1] }), 1));
}

/** Maximum over the tokens of a sequence, feature by feature. `x: [b, t, d]`, `mask: [b, t]` int64, as above → `[b, d]`. */
export function maxOverTime(x: Tensor, mask?: Tensor): Tensor {
  return max(mask ? where(equal(perToken(mask), 0), MASKED, x) : x, { axes: [1] });
}

const perToken = (mask: Tensor) => reshape(mask, [...(mask.shape as readonly Dim[]), 1]);
