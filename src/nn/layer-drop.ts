import type { Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { less, where } from "../ops/elementwise.js";
import type { Context } from "./context.js";

/**
 * LayerDrop: while training a layer is left out with probability `rate`, for the whole batch; `x` itself then goes on. Fan et al. 2020.
 * The layer is computed all the same. `x: [...]` → same shape.
 */
export function layerDrop(layer: (x: Tensor) => Tensor, x: Tensor, rate: number, ctx: Context): Tensor {
  const y = layer(x);
  if (!ctx.training || rate === 0) return y;
  return where(less(0, ctx.dropout(full([1], 1), rate)), y, x);
}
