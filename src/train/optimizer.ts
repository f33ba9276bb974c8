import type { Tensor } from "../core/tensor.js";
import { add, div, minimum, mul, sqrt } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { type AdamWOptions, type AdamWParameter, type AdamWScalars, adamW, adamWScalars } from "./adamw.js";
import { isHiddenMatrix, type MuonOptions, type MuonScalars, muon } from "./muon.js";

/** The optimizers by name. */
export const optimizerNames = ["adamw", "muon"] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** How parameters are updated. */
export interface OptimizerOptions extends AdamWOptions, MuonOptions {
  /** With `"muon"`, Muon updates the matrices within layers and AdamW all else. Default `"adamw"`. */
  readonly name?: OptimizerName;
  /** Gradients of a larger global norm are scaled down to it; 0 turns clipping off. Default 1. */
  readonly maxGradientNorm?: number;
}

/** Which optimizer updates a parameter. */
export function optimizerOf(
  path: string,
  shape: readonly unknown[],
  { name = "adamw" }: OptimizerOptions = {},
): OptimizerName {
  return name === "muon" && isHiddenMatrix(path, shape) ? "muon" : "adamw";
}

/** A parameter before an update; Muon keeps no squares. */
export interface UpdatedParameter extends Omit<AdamWParameter, "expAvgSq"> {
  readonly expAvgSq?: Tensor;
  /** Which of the scalars it is updated with. Default the first. */
  readonly group?: number;
}

/** What changes from step to step: one graph serves all steps. */
export type OptimizerScalars<T> = AdamWScalars<T> & MuonScalars<T>;

/** The scalars of an update: learning rate and AdamW's bias corrections. `step` is 0 for the first update. */
export function optimizerScalars(
  step: number,
  learningRate: number,
  options: OptimizerOptions = {},
): OptimizerScalars<number> {
  return { ...adamWScalars(step, learningRate, options), rate: learningRate };
}

/**
 * One update of all parameters, as graph: the gradients' global norm is clipped (Pascanu et al. 2013), `g ← g · min(1, maxNorm / ‖g‖)`,
 * then each parameter is updated by {@link adamW}, or by {@link muon} where it has no squares.
 *
 * @param parameters gradients are of a *sum* of losses
 * @param count how many losses the sum holds, scalar: the gradients are divided by it
 * @param loss the summed loss, scalar
 * @param scalars of each group of parameters
 * @returns the parameters after the update, the norm of the mean loss's gradient, and the mean loss
 */
export function updateParameters(
  parameters: readonly UpdatedParameter[],
  count: Tensor,
  loss: Tensor,
  scalars: readonly OptimizerScalars<Tensor>[],
  options: OptimizerOptions = {},
): {
  readonly updated: readonly Omit<UpdatedParameter, "gradient" | "group">[];
  readonly gradientNorm: Tensor;
  readonly loss: Tensor;
} {
  const { maxGradientNorm = 1 } = options;
  const norm = div(sqrt(parameters.map(({ gradient: g }) => sum(mul(g, g))).reduce(add)), count);
  // The engine writes each new weight over the old one and knows nothing of it. That is safe because no update can begin before
  // all reads of old weights are over: each update waits for the norm, the norm for every gradient, and the loss, which is the only
  // other reader, is made part of the norm by adding nothing (or NaN, which ends the run anyway).
  const gradientNorm = add(norm, mul(loss, 0));
  const clip =
    maxGradientNorm > 0 ? minimum(div(maxGradientNorm, add(gradientNorm, 1e-6)), 1) : add(mul(gradientNorm, 0), 1);
  const scale = div(clip, count);
  const updated = parameters.map(({ group = 0, expAvgSq, ...rest }) =>
    expAvgSq
      ? adamW({ ...rest, expAvgSq }, scale, scalars[group]!, options)
      : muon(rest, scale, scalars[group]!, options),
  );
  return { updated, gradientNorm, loss: div(loss, count) };
}
