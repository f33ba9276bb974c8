import type { Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { scan } from "../ops/recurrent.js";
import { concat, reshape, split, transpose } from "../ops/shape.js";
import type { Context } from "./context.js";
import type { RnnCell, RnnCellSpec } from "./rnn-cell.js";

/** How recurrent layers are put together. */
export interface SequenceRnnOptions {
  /** Layers, each over the outputs of the one below. Default 1. */
  readonly layers?: number;
  /** A second cell in each layer that runs from the last element to the first; its outputs stand behind the first's. Default false. */
  readonly bidirectional?: boolean;
  /** Probability of dropping an element between two layers while training. Zaremba et al. 2014. Default 0. */
  readonly dropout?: number;
}

/**
 * SequenceRNN: `h_i = RNN(h_{i−1}, x_i)` over a sequence, from `h_0 = 0` or, when decoding, from where the last call ended.
 * Parameters are those of torch's `RNN`, `LSTM` and `GRU`: `weight_ih_l0`, `weight_hh_l0`, …, `weight_ih_l0_reverse`.
 * `x: [b, t, d]` → `[b, t, h]`, with `h` the cell's output size, twice that when bidirectional.
 *
 * @throws TesseraError `argument` for less than one layer
 * @example sequenceRnn(lstm({ input: 64, hidden: 128 }), { layers: 2, dropout: 0.5 })
 */
export function sequenceRnn(
  cell: RnnCell,
  { layers = 1, bidirectional = false, dropout = 0 }: SequenceRnnOptions = {},
) {
  if (!(Number.isInteger(layers) && layers > 0))
    throw new TesseraError("argument", `sequenceRnn: layers must be a whole number ≥ 1, got ${layers}`);
  const directions = bidirectional ? ["", "_reverse"] : [""];
  const declared = Array.from({ length: layers }, (_, layer) => {
    const parameters: RnnCellSpec = cell.parameters(layer === 0 ? cell.input : directions.length * cell.states[0]);
    return Object.entries(parameters);
  });
  const spec: RnnCellSpec = Object.fromEntries(
    declared.flatMap((parameters, layer) =>
      directions.flatMap((direction) => parameters.map(([name, p]) => [`${name}_l${layer}${direction}`, p])),
    ),
  );

  return module(spec, (self, x: Tensor, ctx: Context): Tensor => {
    const [b] = x.shape as [Dim, Dim, number];
    let y = transpose(x, [1, 0, 2]); // [t, b, d]: the loop's elements lie together
    for (let layer = 0; layer < layers; layer++) {
      const elements = layer === 0 ? y : ctx.dropout(y, dropout);
      const run = (direction: string, before: Tensor) => {
        const parameters = Object.fromEntries(
          declared[layer]!.map(([name]) => [name, self[`${name}_l${layer}${direction}`]]),
        );
        return runCell(cell, parameters, elements, before, direction !== "");
      };
      const state = { shape: [b, cell.states.reduce((sum, size) => sum + size, 0)], dtype: x.dtype };
      y = bidirectional
        ? concat(directions.map((direction) => run(direction, full(state.shape, 0, state.dtype))[0]))
        : ctx.carry(`state_l${layer}`, state, (before) => run("", before));
    }
    return transpose(y, [1, 0, 2]);
  });
}

/** BidirectionalSequenceRNN: a cell from each end, outputs one behind the other. Schuster & Paliwal 1997. `x: [b, t, d]` → `[b, t, 2h]`. */
export function bidirectionalSequenceRnn(cell: RnnCell, options: Omit<SequenceRnnOptions, "bidirectional"> = {}) {
  return sequenceRnn(cell, { ...options, bidirectional: true });
}

/** A cell over `x: [t, b, d]` → its outputs `[t, b, h]`, and its states after the last element, side by side as `before` has them. */
function runCell(
  cell: RnnCell,
  parameters: Readonly<Record<string, Tensor | undefined>>,
  x: Tensor,
  before: Tensor,
  reverse: boolean,
): readonly [Tensor, Tensor] {
  const projected = cell.project(parameters, x); // [t, b, n]
  const states = split(before, cell.states);
  if (x.shape[0] === 1) {
    const after = cell.step(parameters, states, reshape(projected, projected.shape.slice(1)));
    return [reshape(after[0], [1, ...after[0].shape]), concat(after)];
  }
  const step = (states: readonly Tensor[], [element]: readonly Tensor[]) => {
    const carries = cell.step(parameters, states, element!);
    return { carries, ys: [carries[0]] };
  };
  const { carries, ys } = scan(step, states, [projected], { axis: 0, reverse });
  return [ys[0]!, concat(carries)];
}
