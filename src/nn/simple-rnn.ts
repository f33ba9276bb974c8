import { relu, tanh } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { type PlainRnnCell, type RnnCellSizes, rnnParameters } from "./rnn-cell.js";

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
}: RnnCellSizes & { readonly nonlinearity?: "tanh" | "relu" }): PlainRnnCell {
  const activation = { tanh, relu }[nonlinearity];
  return {
    input,
    states: [hidden],
    parameters: (input) => rnnParameters({ input, hidden, gates: 1 }),
    project: (p, x) => add(matmul(x, p.weight_ih, { transB: true }), add(p.bias_ih, p.bias_hh)),
    step: (p, [h], x) => [activation(add(x, matmul(h!, p.weight_hh, { transB: true })))],
  };
}
