import { type Param, type ParamsOf, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";

/** The parameters of one cell, by torch's names without layer and direction; `undefined` is one left out. */
export type RnnCellSpec = Readonly<Record<string, Param | undefined>>;

/**
 * One step of a recurrent network, `h_i = RNN(h_{i−1}, x_i)`: {@link simpleRnn}, {@link lstm}, {@link gru}, or one of your own.
 * It declares parameters and holds none; {@link sequenceRnn} runs it over a sequence.
 */
// biome-ignore lint/suspicious/noExplicitAny: the names of a cell's parameters are its own
export interface RnnCell<S extends RnnCellSpec = any> {
  /** Size of an element `x_i`. */
  readonly input: number;
  /** Sizes of what is remembered from step to step; the first is that of `h`, the cell's output. */
  readonly states: readonly [output: number, ...others: number[]];
  /** The parameters for elements of a size. */
  parameters(input: number): S;
  /** What of a step depends on no state, so that it is one product for all steps: `x: [..., input]` → `[..., n]`. */
  project(parameters: ParamsOf<S>, x: Tensor): Tensor;
  /** One step: the states `[b, size]` before it and `[b, n]` from {@link RnnCell.project} → the states after it. */
  step(
    parameters: ParamsOf<S>,
    states: readonly Tensor[],
    projected: Tensor,
  ): readonly [output: Tensor, ...others: Tensor[]];
}

/** Sizes of a recurrent cell. */
export interface RnnCellSizes {
  /** Size of an element. */
  readonly input: number;
  /** Size of the hidden state. */
  readonly hidden: number;
}

/** The weights and biases of torch's cells, of `gates` gates: from the element (`ih`) and from the output before (`hh`). */
export function rnnParameters({
  input,
  hidden,
  gates,
  output = hidden,
}: RnnCellSizes & { readonly gates: number; readonly output?: number }) {
  const init = { uniform: 1 / Math.sqrt(hidden) };
  return {
    weight_ih: param([gates * hidden, input], init),
    weight_hh: param([gates * hidden, output], init),
    bias_ih: param([gates * hidden], init),
    bias_hh: param([gates * hidden], init),
  } satisfies RnnCellSpec;
}

/** The cell without parameters of its own beside those of {@link rnnParameters}. */
export type PlainRnnCell = RnnCell<ReturnType<typeof rnnParameters>>;
