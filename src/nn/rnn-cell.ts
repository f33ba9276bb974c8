import type { Param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";

/**
 * One step of a recurrent network, `h_i = RNN(h_{i−1}, x_i)`: {@link simpleRnn}, {@link lstm}, {@link gru}, or one of your own.
 * It declares parameters and holds none; {@link sequenceRnn} runs it over a sequence.
 */
export interface RnnCell<Name extends string = string> {
  /** Size of an element `x_i`. */
  readonly input: number;
  /** Sizes of what is remembered from step to step; the first is that of `h`, the cell's output. */
  readonly states: readonly [output: number, ...others: number[]];
  /** The parameters for elements of a size, by torch's names without layer and direction: `weight_ih`, `weight_hh`, …. */
  parameters(input: number): Readonly<Record<Name, Param>>;
  /** What of a step depends on no state, so that it is one product for all steps: `x: [..., input]` → `[..., n]`. */
  project(parameters: Readonly<Record<Name, Tensor>>, x: Tensor): Tensor;
  /** One step: the states `[b, size]` before it and `[b, n]` from {@link RnnCell.project} → the states after it. */
  step(parameters: Readonly<Record<Name, Tensor>>, states: readonly Tensor[], projected: Tensor): readonly [output: Tensor, ...others: Tensor[]];
}

/** Sizes of a recurrent cell. */
export interface RnnCellSizes {
  /** Size of an element. */
  readonly input: number;
  /** Size of the hidden state. */
  readonly hidden: number;
}
