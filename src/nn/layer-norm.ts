import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { layerNormalize } from "../ops/normalize.js";

/** LayerNorm: each vector to mean 0 and variance 1, then scaled and shifted by learned vectors. Ba et al. 2016. `[..., d]` → `[..., d]`. */
export function layerNorm(d: number, eps = 1e-5) {
  return module({ weight: param([d], "ones"), bias: param([d], "zeros") }, ({ weight, bias }, x: Tensor) =>
    layerNormalize(x, weight, bias, eps),
  );
}

/** LayerNorm without learned vectors: each vector to mean 0 and variance 1. `[..., d]` → `[..., d]`. */
export function plainLayerNorm(eps = 1e-5) {
  return module({}, (_, x: Tensor) => {
    const d = [x.shape.at(-1)!];
    return layerNormalize(x, full(d, 1), full(d, 0), eps);
  });
}
