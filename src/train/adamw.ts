import type { Tensor } from "../core/tensor.js";
import { add, div, mul, sqrt, sub } from "../ops/elementwise.js";

/** How AdamW updates. */
export interface AdamWOptions {
  /** Decay of the mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.95. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled decay of parameters, times the learning rate. Default 0.1. */
  readonly weightDecay?: number;
}

/** The options with their defaults. */
export function adamWOptions(options: AdamWOptions = {}): Required<AdamWOptions> {
  return { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, ...options };
}

/** Whether a parameter decays: matrices and embeddings do, norms and biases (one axis) do not. */
export function decays(shape: readonly unknown[]): boolean {
  return shape.length >= 2;
}

/** A parameter before an update: its value, its two moments and the gradient of the summed loss. */
export interface AdamWParameter {
  readonly weight: Tensor;
  readonly expAvg: Tensor;
  readonly expAvgSq: Tensor;
  readonly gradient: Tensor;
}

/** What changes from step to step, as scalars: one graph serves all steps. {@link adamWScalars} computes them. */
export interface AdamWScalars<T> {
  /** `1 / (α √(1 − β₂ᵗ))` with `α = rate / (1 − β₁ᵗ)`. */
  readonly slope: T;
  /** `ε / α`. */
  readonly offset: T;
  /** `1 − rate · weightDecay`. */
  readonly keep: T;
}

/**
 * The scalars of an update: learning rate and bias corrections.
 *
 * @param step 0 for the first update
 */
export function adamWScalars(step: number, learningRate: number, options: AdamWOptions = {}): AdamWScalars<number> {
  const { beta1, beta2, epsilon, weightDecay } = adamWOptions(options);
  const keep = 1 - learningRate * weightDecay;
  if (learningRate === 0) return { slope: 0, offset: Number.POSITIVE_INFINITY, keep }; // the quotient is then exactly 0
  const alpha = learningRate / (1 - beta1 ** (step + 1));
  return { slope: 1 / (alpha * Math.sqrt(1 - beta2 ** (step + 1))), offset: epsilon / alpha, keep };
}

/**
 * AdamW (Loshchilov & Hutter 2019), as graph:
 *
 * `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − rate · weightDecay · w − rate · m̂ / (√v̂ + ε)`.
 *
 * Decay is left out for parameters with fewer than two axes.
 *
 * @param scale of the gradient: clipping, and the division of a sum
 * @returns the parameter after the update
 */
export function adamW(
  { weight, gradient, ...before }: AdamWParameter,
  scale: Tensor,
  { slope, offset, keep }: AdamWScalars<Tensor>,
  options: AdamWOptions = {},
): Omit<AdamWParameter, "gradient"> {
  const { beta1, beta2 } = adamWOptions(options);
  const first = mul(scale, 1 - beta1);
  const second = mul(mul(scale, scale), 1 - beta2);
  const expAvg = add(mul(before.expAvg, beta1), mul(gradient, first));
  const expAvgSq = add(mul(before.expAvgSq, beta2), mul(mul(gradient, gradient), second));
  // rate · m̂ / (√v̂ + ε) with all scalars gathered in the divisor: one pass over memory less
  const change = div(expAvg, add(mul(sqrt(expAvgSq), slope), offset));
  return { weight: sub(decays(weight.shape) ? mul(weight, keep) : weight, change), expAvg, expAvgSq };
}
