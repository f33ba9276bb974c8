import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "./context.js";
import { requireDropoutRate } from "./dropout-rate.js";

/**
 * Dropout: while training each element becomes 0 with probability `rate` and the others are scaled by `1/(1 − rate)`; else `x` itself.
 * Srivastava et al. 2014. Owns no parameters; inside a block, `ctx.dropout(x, rate)` is the same. `x: [...]` → same shape.
 *
 * @param rate probability of dropping an element, in [0, 1)
 * @throws TesseraError `argument` for another rate
 * @example dropout(0.1)({}, x, ctx)
 */
export function dropout(rate: number) {
  requireDropoutRate(rate);
  return module({}, (_, x: Tensor, ctx: Context): Tensor => ctx.dropout(x, rate));
}
