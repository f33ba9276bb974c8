import { TesseraError } from "../core/errors.js";

/** `eˣ / Σ eˣ` of numbers. */
export function softmax(x: ArrayLike<number>): Float64Array {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) most = Math.max(most, x[i]!);
  const powers = Float64Array.from(x, (v) => Math.exp(v - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** `1 / (1 + e⁻ˣ)` of numbers. */
export function sigmoid(x: ArrayLike<number>): Float64Array {
  return Float64Array.from(x, (v) => 1 / (1 + Math.exp(-v)));
}

/** Indices of the `count` largest numbers, largest first; of equals the first. */
export function largestIndices(x: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: x.length }, (_, i) => i)
    .sort((a, b) => x[b]! - x[a]! || a - b)
    .slice(0, count);
}

/** @throws TesseraError `argument` for a count that is no whole number from 1 on */
export function checkCount(where: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new TesseraError("argument", `${where}: ${name} must be a whole number ≥ 1, got ${value}`);
}
