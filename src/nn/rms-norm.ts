import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { rmsNormalize } from "../ops/normalize.js";

/** RMSNorm: each vector divided by its root mean square, then scaled by a learned vector. Zhang & Sennrich 2019. `[..., d]` → `[..., d]`. */
export function rmsNorm(d: number, eps = 1e-6) {
  return module({ weight: param([d], "ones") }, ({ weight }, x: Tensor) => rmsNormalize(x, weight, eps));
}
