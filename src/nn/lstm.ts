import { type Param, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { sigmoid, tanh } from "../ops/activation.js";
import { add, maximum, minimum, mul } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { split } from "../ops/shape.js";
import { type RnnCell, type RnnCellSizes, rnnParameters } from "./rnn-cell.js";

/** What an LSTM learns. */
export type LstmSpec = ReturnType<typeof rnnParameters> & { readonly weight_hr: Param | undefined };

/**
 * LSTM: gates `i, f, o = σ(W x_i + b + W′ h_{i−1} + b′)`, candidate `g = tanh(…)` of the same form;
 * `c_i = f ⊙ c_{i−1} + i ⊙ g`, `h_i = o ⊙ tanh(c_i)`. Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
 * Parameters as torch's `LSTM`, rows in the order i, f, g, o.
 *
 * @param sizes.projection size of `h` when it is projected down, `h_i = W_hr (o ⊙ tanh(c_i))` (Sak et al. 2014; ELMo). Default: no projection
 * @param sizes.clip bounds of `c_i` and of the projected `h_i`, which are cut to ±`cell` and ±`projection` (ELMo). Default: none
 * @example sequenceRnn(lstm({ input: 64, hidden: 128 }), { layers: 2 })
 */
export function lstm({
  input,
  hidden,
  projection,
  clip = {},
}: RnnCellSizes & {
  readonly projection?: number;
  readonly clip?: { readonly cell?: number | undefined; readonly projection?: number | undefined };
}): RnnCell<LstmSpec> {
  const output = projection ?? hidden;
  return {
    input,
    states: [output, hidden],
    parameters: (input) => ({
      ...rnnParameters({ input, hidden, gates: 4, output }),
      weight_hr: projection === undefined ? undefined : param([projection, hidden], { uniform: 1 / Math.sqrt(hidden) }),
    }),
    project: (p, x) => add(matmul(x, p.weight_ih, { transB: true }), add(p.bias_ih, p.bias_hh)),
    step: (p, [h, c], x) => {
      const [i, f, g, o] = split(add(x, matmul(h!, p.weight_hh, { transB: true })), 4); // 4 × [b, h]
      const next = clipped(add(mul(sigmoid(f!), c!), mul(sigmoid(i!), tanh(g!))), clip.cell);
      const y = mul(sigmoid(o!), tanh(next));
      return [p.weight_hr ? clipped(matmul(y, p.weight_hr, { transB: true }), clip.projection) : y, next];
    },
  };
}

const clipped = (x: Tensor, bound: number | undefined) =>
  bound === undefined ? x : minimum(maximum(x, -bound), bound);
