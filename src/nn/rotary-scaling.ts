/** How the angles of rotary positions are stretched for texts longer than those a model was first trained on. */
export type RotaryScaling =
  | { readonly type: "default" }
  /** Position interpolation: every angle divided by a factor. Chen et al. 2023. */
  | { readonly type: "linear"; readonly factor: number }
  /** NTK-aware: the base grows with the length of the text once it exceeds `length` tokens; see `rotaryPositions`. */
  | { readonly type: "dynamic"; readonly factor: number; readonly length: number }
  | Llama3Scaling
  | YarnScaling;

/** LLaMA 3.1's: long waves divided by a factor, short ones kept, those between blended. Grattafiori et al. 2024. */
export interface Llama3Scaling {
  readonly type: "llama3";
  readonly factor: number;
  /** Waves longer than `length / lowFrequencyFactor` are divided. */
  readonly lowFrequencyFactor: number;
  /** Waves shorter than `length / highFrequencyFactor` are kept. */
  readonly highFrequencyFactor: number;
  /** Tokens of the first training's texts. */
  readonly length: number;
}

/** YaRN: as LLaMA 3.1's with a ramp over the pairs, and sharper attention. Peng et al. 2023. */
export interface YarnScaling {
  readonly type: "yarn";
  readonly factor: number;
  /** Tokens of the first training's texts. */
  readonly length: number;
  /** On cosines and sines. Default `0.1 ln(factor) + 1`, or a ratio of two such by {@link mscale}. */
  readonly attentionFactor?: number | undefined;
  /** Weights of the logarithm in the numerator and the denominator of {@link attentionFactor} (DeepSeek). */
  readonly mscale?: readonly [numerator: number, denominator: number] | undefined;
  /** Pairs that turn at least this often within `length` tokens are kept. Default 32. */
  readonly betaFast?: number | undefined;
  /** Pairs that turn at most this often are divided. Default 1. */
  readonly betaSlow?: number | undefined;
  /** Let the ramp between them begin and end at whole pairs. Default true. */
  readonly truncate?: boolean | undefined;
}

/** Angles of rotary positions. */
export interface RotaryFrequencies {
  /** Angle from one position to the next, for each pair. */
  readonly frequencies: Float32Array;
  /** Factor on cosines and sines. */
  readonly factor: number;
}

// float32 at each step, as the checkpoints were trained: at position 100,000 the last bit of a frequency is visible.
const f = Math.fround;

/**
 * Frequencies of rotary positions, `base^{−2j/d}` stretched as `scaling` says; those of `"dynamic"` are for texts up to its length.
 *
 * @param d rotated elements of a head; an odd number has one pair more than half of it
 * @param base 10,000 in the paper, up to millions for long texts
 */
export function rotaryFrequencies(d: number, base: number, scaling: RotaryScaling): RotaryFrequencies {
  const periods = Array.from({ length: Math.ceil(d / 2) }, (_, j) => f(base ** f((2 * j) / d)));
  const plain = periods.map((period) => f(1 / period));
  const frequencies = (values: readonly number[], factor = 1) => ({ frequencies: Float32Array.from(values), factor });
  switch (scaling.type) {
    case "linear":
      return frequencies(plain.map((x) => x / scaling.factor));
    case "llama3":
      return frequencies(plain.map((x) => llama3Frequency(x, scaling)));
    case "yarn": {
      const ramp = yarnRamp(d, base, scaling);
      const blended = plain.map((x, j) => {
        const kept = f(1 - ramp(j));
        return f(f(f(1 / f(scaling.factor * periods[j]!)) * f(1 - kept)) + f(x * kept));
      });
      return frequencies(blended, yarnAttentionFactor(scaling));
    }
    default:
      return frequencies(plain);
  }
}

function llama3Frequency(
  x: number,
  { factor, lowFrequencyFactor: low, highFrequencyFactor: high, length }: Llama3Scaling,
): number {
  const wave = f((2 * Math.PI) / x);
  if (wave > length / low) return f(x / factor);
  if (wave < length / high) return x;
  const smooth = f(f(f(length / wave) - low) / (high - low));
  return f(f(f(f(1 - smooth) * x) / factor) + f(smooth * x));
}

/** 0 for pairs that are kept, 1 for those that are divided by the factor. */
function yarnRamp(
  d: number,
  base: number,
  { length, betaFast = 32, betaSlow = 1, truncate = true }: YarnScaling,
): (pair: number) => number {
  const pairTurning = (times: number) => (d * Math.log(length / (times * 2 * Math.PI))) / (2 * Math.log(base));
  const [from, to] = [pairTurning(betaFast), pairTurning(betaSlow)];
  const start = Math.max(truncate ? Math.floor(from) : from, 0);
  const end = Math.min(truncate ? Math.ceil(to) : to, d - 1);
  const width = f((start === end ? end + 0.001 : end) - start);
  return (pair) => Math.min(Math.max(f(f(pair - f(start)) / width), 0), 1);
}

function yarnAttentionFactor({ factor, attentionFactor, mscale }: YarnScaling): number {
  const sharper = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return attentionFactor ?? (mscale ? sharper(mscale[0]) / sharper(mscale[1]) : sharper(1));
}
