import { module, type Param, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add, mul } from "../ops/elementwise.js";
import { softmax } from "../ops/normalize.js";
import { concat, split } from "../ops/shape.js";
import { plainLayerNorm } from "./layer-norm.js";

/**
 * A learned mixture of layers, `γ Σ_j softmax(w)_j h_j`. Peters et al. 2018, equation 1; parameters as AllenNLP's `ScalarMix`, one
 * number each: `scalar_parameters.0`, …, `gamma`. As many `h: [..., d]` as `layers` → `[..., d]`.
 *
 * @param normalize each vector of each layer by LayerNorm without learned vectors before it is weighted, section 3.2 there, so that
 *   layers of different sizes weigh the same at first. Default false
 */
export function scalarMix(layers: number, { normalize = false }: { readonly normalize?: boolean } = {}) {
  const names = Array.from({ length: layers }, (_, i) => `scalar_parameters.${i}`);
  const spec: Record<string, Param> = Object.fromEntries(names.map((name) => [name, param([1], "zeros")]));
  const norm = plainLayerNorm();
  return module(
    { ...spec, gamma: param([1], "ones") },
    (self: Readonly<Record<string, Tensor>>, h: readonly Tensor[]) => {
      const shares = split(softmax(concat(names.map((name) => self[name]!))), layers); // each [1]
      return mul(self.gamma!, h.map((x, j) => mul(normalize ? norm({}, x) : x, shares[j]!)).reduce(add));
    },
  );
}
