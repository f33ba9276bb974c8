import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add } from "../ops/elementwise.js";
import { layerNormalize } from "../ops/normalize.js";

/**
 * AddNorm: a layer `f` with a way around it and a normalization. Owns the parameters of the norm; called with the layer and its input.
 *
 * - `"post"`: `LayerNorm(x + f(x))`, the 2017 Transformer (Vaswani et al. 2017, section 5.4; the chapter's AddNorm)
 * - `"pre"`: `x + f(LayerNorm(x))`, GPT-2 and most since (Xiong et al. 2020)
 *
 * `x: [..., d]` → `[..., d]`.
 *
 * @example norm1((y) => feedForward(y), x)
 */
export function addNorm(
  d: number,
  { norm = "post", eps = 1e-5 }: { readonly norm?: "post" | "pre"; readonly eps?: number } = {},
) {
  return module(
    { weight: param([d], "ones"), bias: param([d], "zeros") },
    ({ weight, bias }, f: (x: Tensor) => Tensor, x: Tensor) =>
      norm === "post"
        ? layerNormalize(add(x, f(x)), weight, bias, eps)
        : add(x, f(layerNormalize(x, weight, bias, eps))),
  );
}
