import { TesseraError } from "../core/errors.js";

/** The learning rate of a step; step 0 is the first update. */
export type Schedule = (step: number) => number;

/** What a schedule is made of. */
export interface ScheduleOptions {
  /** Highest rate, reached when the warm-up ends. */
  readonly peak: number;
  /** Rate that the decay ends at. Default 0. */
  readonly floor?: number;
  /** Steps over which the rate rises from `peak / warmupSteps` to `peak`. Default 0. */
  readonly warmupSteps?: number;
  /** Step at which the decay ends; the rate stays at `floor` from there on. */
  readonly totalSteps: number;
}

/** How the rate falls after the warm-up: from 1 to 0 while `progress` goes from 0 to 1. */
const decays = {
  /** Half a cosine. Loshchilov & Hutter 2017. */
  cosine: (progress: number) => (1 + Math.cos(Math.PI * progress)) / 2,
  /** A straight line. */
  linear: (progress: number) => 1 - progress,
  /** No decay: the peak until the end. */
  constant: () => 1,
} as const;

/** The names of the decays. */
export type Decay = keyof typeof decays;

/** The names of the decays, for messages and choices. */
export const decayNames = Object.keys(decays) as readonly Decay[];

/**
 * Linear warm-up, then a decay to a floor: `floor + (peak − floor) · decay(progress)`.
 *
 * @throws TesseraError `argument` for rates that are negative or not finite, and for steps that are no whole numbers
 * @example
 * const rate = schedule("cosine", { peak: 1e-3, floor: 1e-4, warmupSteps: 100, totalSteps: 2000 });
 * rate(0); // 1e-5
 */
export function schedule(decay: Decay, { peak, floor = 0, warmupSteps = 0, totalSteps }: ScheduleOptions): Schedule {
  for (const [name, rate] of Object.entries({ peak, floor }))
    if (!(Number.isFinite(rate) && rate >= 0))
      throw new TesseraError("argument", `schedule: ${name} must be a rate ≥ 0, got ${rate}`);
  for (const [name, steps] of Object.entries({ warmupSteps, totalSteps }))
    if (!(Number.isSafeInteger(steps) && steps >= 0))
      throw new TesseraError("argument", `schedule: ${name} must be a whole number ≥ 0, got ${steps}`);
  const length = Math.max(1, totalSteps - warmupSteps);
  return (step) => {
    if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
    return floor + (peak - floor) * decays[decay](Math.min(1, (step - warmupSteps) / length));
  };
}
