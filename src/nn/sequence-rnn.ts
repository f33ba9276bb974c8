import type { Dim } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { equal, not, where } from "../ops/elementwise.js";
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
 * Padding leaves the state as it is, so that it changes no other output and the last output is that of the last token.
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
    const tokens = ctx.attentionMask && tokensOf(ctx.attentionMask);
    let y = transpose(x, [1, 0, 2]); // [t, b, d]: the loop's elements lie together
    for (let layer = 0; layer < layers; layer++) {
      const elements = layer === 0 ? y : ctx.dropout(y, dropout);
      const run = (direction: string, before: Tensor) => {
        const parameters = Object.fromEntries(
          declared[layer]!.map(([name]) => [name, self[`${name}_l${layer}${direction}`]]),
        );
        return runCell(cell, parameters, elements, before, { reverse: direction !== "", tokens });
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

/** How {@link runCell} runs. */
export interface RunCellOptions {
  /** From the last element to the first. Default false. */
  readonly reverse?: boolean;
  /** Which elements are tokens; the others leave the state as it is. From {@link tokensOf}. Default: all. */
  readonly tokens?: Tensor | undefined;
}

/** Which elements are tokens, as a loop over time reads it. `mask: [b, t]` int64, 1 for tokens, 0 for padding → `[t, b, 1]` bool. */
export function tokensOf(mask: Tensor): Tensor {
  const [b, t] = mask.shape as [Dim, Dim];
  return not(equal(reshape(transpose(mask, [1, 0]), [t, b, 1]), 0));
}

/**
 * One cell over a sequence, for layers of other forms than {@link sequenceRnn}'s. `x: [t, b, d]`, time first → its outputs
 * `[t, b, h]`, and its states after the last element, side by side as `before: [b, states]` has them.
 */
export function runCell(
  cell: RnnCell,
  parameters: Readonly<Record<string, Tensor | undefined>>,
  x: Tensor,
  before: Tensor,
  { reverse = false, tokens }: RunCellOptions = {},
): readonly [Tensor, Tensor] {
  const projected = cell.project(parameters, x); // [t, b, n]
  const xs = tokens ? [projected, tokens] : [projected];
  const step = (states: readonly Tensor[], [element, isToken]: readonly Tensor[]) => {
    const after = cell.step(parameters, states, element!);
    return isToken ? after.map((s, i) => where(isToken, s, states[i]!)) : after;
  };
  const states = split(before, cell.states);
  if (x.shape[0] === 1) {
    const after = step(
      states,
      xs.map((x) => reshape(x, x.shape.slice(1))),
    );
    return [reshape(after[0]!, [1, ...after[0]!.shape]), concat(after)];
  }
  const body = (states: readonly Tensor[], elements: readonly Tensor[]) => {
    const carries = step(states, elements);
    return { carries, ys: [carries[0]!] };
  };
  const { carries, ys } = scan(body, states, xs, { axis: 0, reverse });
  return [ys[0]!, concat(carries)];
}
