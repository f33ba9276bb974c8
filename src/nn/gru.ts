import { sigmoid, tanh } from "../ops/activation.js";
import { add, mul, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { split } from "../ops/shape.js";
import { type PlainRnnCell, type RnnCellSizes, rnnParameters } from "./rnn-cell.js";

/**
 * GRU: gates `r, z = σ(W x_i + b + W′ h_{i−1} + b′)`, candidate `n = tanh(W x_i + b + r ⊙ (W′ h_{i−1} + b′))`,
 * `h_i = (1 − z) ⊙ n + z ⊙ h_{i−1}`. Cho et al. 2014, with the reset gate after the hidden projection, as torch's `GRU`,
 * whose parameters these are, rows in the order r, z, n.
 *
 * @example sequenceRnn(gru({ input: 64, hidden: 128 }))
 */
export function gru({ input, hidden }: RnnCellSizes): PlainRnnCell {
  return {
    input,
    states: [hidden],
    parameters: (input) => rnnParameters({ input, hidden, gates: 3 }),
    project: (p, x) => add(matmul(x, p.weight_ih, { transB: true }), p.bias_ih),
    step: (p, [h], x) => {
      const parts = [2 * hidden, hidden];
      const [gates, candidate] = split(x, parts); //                                                             [b, 2h], [b, h]
      const [gatesOfH, candidateOfH] = split(add(matmul(h!, p.weight_hh, { transB: true }), p.bias_hh), parts);
      const [r, z] = split(sigmoid(add(gates!, gatesOfH!)), 2); //                                               2 × [b, h]
      const n = tanh(add(candidate!, mul(r!, candidateOfH!)));
      return [add(n, mul(z!, sub(h!, n)))];
    },
  };
}
