import type { RandomStream } from "../../core/random-stream.js";

/** A Poisson number by Knuth's method: how many uniform numbers it takes until their product falls below `e^−mean`, less one. */
export function poisson(mean: number, random: RandomStream): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count++;
  return count;
}
