import type { Tensor } from "../core/tensor.js";
import { add, div, mul, sqrt, sub } from "../ops/elementwise.js";
import { accumulate, matmul } from "../ops/matmul.js";
import { sum } from "../ops/reduce.js";

/** How Muon updates. */
export interface MuonOptions {
  /** Decay of the mean of gradients. Default 0.95. */
  readonly momentum?: number;
}

/** The options with their defaults. */
export function muonOptions({ momentum = 0.95 }: MuonOptions = {}): Required<MuonOptions> {
  return { momentum };
}

/** A matrix before an update: its value, the mean of its gradients, and the gradient of the summed loss. */
export interface MuonParameter {
  readonly weight: Tensor;
  readonly expAvg: Tensor;
  readonly gradient: Tensor;
}

/** What changes from step to step, as scalars: the learning rate, and `1 − rate · weightDecay`. */
export interface MuonScalars<T> {
  readonly rate: T;
  readonly keep: T;
}

/**
 * Whether Muon is meant for a parameter: a matrix within a numbered layer that something is multiplied by. Embeddings, tables of
 * biases, heads, norms and biases stay with AdamW (Jordan et al. 2024).
 */
export function isHiddenMatrix(path: string, shape: readonly unknown[]): boolean {
  return shape.length === 2 && /(^|\.)\d+\.|_l\d+/.test(path) && !/embed|bias|position/i.test(path);
}

/**
 * Muon, momentum orthogonalized by Newton–Schulz (Jordan et al. 2024), with Nesterov's momentum, as graph:
 *
 * `m ← μm + (1 − μ)g`, `w ← w − rate · weightDecay · w − rate · 0.2 √max(rows, columns) · orthogonalize(μm + (1 − μ)g)`.
 *
 * The factor makes the root mean square of an update what AdamW's is, so that both share one rate (Liu et al. 2025, section 2.2).
 *
 * @param scale of the gradient: clipping, and the division of a sum
 * @returns the parameter after the update
 */
export function muon(
  { weight, expAvg: before, gradient }: MuonParameter,
  scale: Tensor,
  { rate, keep }: MuonScalars<Tensor>,
  options: MuonOptions = {},
): Omit<MuonParameter, "gradient"> {
  const { momentum } = muonOptions(options);
  const fresh = mul(gradient, mul(scale, 1 - momentum));
  const expAvg = add(mul(before, momentum), fresh);
  const direction = orthogonalize(add(mul(expAvg, momentum), fresh));
  const size = 0.2 * Math.sqrt(Math.max(...(weight.shape as number[])));
  return { weight: sub(mul(weight, keep), mul(direction, mul(rate, size))), expAvg };
}

/** The quintic polynomial whose iteration takes singular values in (0, 1] to about 1 quickest (Jordan et al. 2024). */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/**
 * The nearest matrix with orthonormal rows or columns, nearly: five iterations `x ← ax + (bA + cA²)x` with `A = xxᵀ` (of the shorter
 * side) take every singular value to between 0.7 and 1.2, which serves as well as 1 (Jordan et al. 2024).
 *
 * @param x `[rows, columns]`
 */
export function orthogonalize(x: Tensor): Tensor {
  const [rows, columns] = x.shape as [number, number];
  const tall = rows > columns;
  let y = div(x, add(sqrt(sum(mul(x, x))), 1e-7));
  for (let i = 0; i < 5; i++) {
    const square = matmul(y, y, tall ? { transA: true } : { transB: true });
    const polynomial = accumulate(mul(square, b), matmul(square, square, { scale: c }));
    y = accumulate(mul(y, a), tall ? matmul(y, polynomial) : matmul(polynomial, y));
  }
  return y;
}
