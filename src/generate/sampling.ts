import { type RandomStream, randomStream } from "../core/random-stream.js";
import { exponentials, requireFinite } from "./logits-processors.js";

/** Chooses the next token from its processed logits, which it may overwrite. */
export type Chooser = (logits: Float32Array) => number;

/** The most probable token; the first of equals. @throws TesseraError `argument` when every token is banned */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++)
    if (logits[i]! > top) {
      top = logits[i]!;
      best = i;
    }
  requireFinite(top, logits);
  return best;
}

/**
 * Draws tokens with probability `softmax(logits)`, by inversion: one random number a token.
 *
 * @param seed equal seeds draw equal tokens
 */
export function sampler(seed: number): Chooser {
  const random = randomStream(seed, "sampling");
  let weights = new Float32Array(0);
  return (logits) => {
    if (weights.length !== logits.length) weights = new Float32Array(logits.length);
    return draw(logits, weights, random);
  };
}

function draw(logits: Float32Array, weights: Float32Array, random: RandomStream): number {
  let rest = random.next() * exponentials(logits, weights);
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    last = i;
    rest -= weight;
    if (rest < 0) return i;
  }
  return last; // rounding left a rest
}
