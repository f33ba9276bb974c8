import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu, sigmoid } from "../ops/activation.js";
import { add, mul, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { split } from "../ops/shape.js";
import type { Activation } from "./feed-forward.js";

/**
 * Highway layer: `g ⊙ x + (1 − g) ⊙ f(W x + b)` with the gate `g = σ(W′ x + b′)`, which starts out open. Srivastava et al. 2015.
 * One matrix and bias hold both projections, rows in the order `W, W′`, as AllenNLP's. `x: [..., d]` → `[..., d]`.
 *
 * @param activation f. Default ReLU
 */
export function highway(d: number, activation: Activation = relu) {
  return module(
    { weight: param([2 * d, d], { normal: Math.sqrt(1 / d) }), bias: param([2 * d], { parts: [0, 1] }) },
    ({ weight, bias }, x: Tensor) => {
      const [candidate, gate] = split(add(matmul(x, weight, { transB: true }), bias), 2);
      const y = activation(candidate!);
      return add(y, mul(sigmoid(gate!), sub(x, y)));
    },
  );
}
