import { param } from "../core/module.js";
import { relu, tanh } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import type { RnnCell, RnnCellSizes } from "./rnn-cell.js";

/**
 * SimpleRNN: `h_i = tanh(W_ih x_i + b_ih + W_hh h_{i−1} + b_hh)`. Elman 1990. Parameters as torch's `RNN`.
 *
 * @param sizes.nonlinearity `"relu"` in place of tanh (Le et al. 2015). Default `"tanh"`
 * @example sequenceRnn(simpleRnn({ input: 64, hidden: 128 }))
 */
export function simpleRnn({
  input,
  hidden,
  nonlinearity = "tanh",
}: RnnCellSizes & { readonly nonlinearity?: "tanh" | "relu" }): RnnCell<"weight_ih" | "weight_hh" | "bias_ih" | "bias_hh"> {
  const init = { uniform: 1 / Math.sqrt(hidden) };
  const activation = { tanh, relu }[nonlinearity];
  return {
    input,
    states: [hidden],
    parameters: (input) => ({
      weight_ih: param([hidden, input], init),
      weight_hh: param([hidden, hidden], init),
      bias_ih: param([hidden], init),
      bias_hh: param([hidden], init),
    }),
    project: (p, x) => add(matmul(x, p.weight_ih, { transB: true }), add(p.bias_ih, p.bias_hh)),
    step: (p, [h], x) => [activation(add(x, matmul(h!, p.weight_hh, { transB: true })))],
  };
}
