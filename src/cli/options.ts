import { TesseraError } from "../core/errors.js";

/** A reader of one flag's value, for commander; names the flag in what it refuses. */
export type FlagReader<T> = (text: string) => T;

/** Bounds of a number on the command line. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
}

/** A whole number. @throws TesseraError `argument` */
export function whole(flag: string, bounds: Bounds = {}): FlagReader<number> {
  return numeric(flag, bounds, true);
}

/** A number. @throws TesseraError `argument` */
export function real(flag: string, bounds: Bounds = {}): FlagReader<number> {
  return numeric(flag, bounds, false);
}

function numeric(
  flag: string,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, above }: Bounds,
  integer: boolean,
): FlagReader<number> {
  const bounds = [
    min > Number.NEGATIVE_INFINITY ? `≥ ${min}` : "",
    above !== undefined ? `> ${above}` : "",
    max < Number.POSITIVE_INFINITY ? `≤ ${max}` : "",
  ].filter(Boolean);
  const must = `${integer ? "a whole number" : "a number"}${bounds.length > 0 ? ` ${bounds.join(" and ")}` : ""}`;
  return (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
    const fits =
      (integer ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
      value >= min &&
      value <= max &&
      value > (above ?? Number.NEGATIVE_INFINITY);
    if (!fits) throw new TesseraError("argument", `${flag}: must be ${must}, got ${JSON.stringify(text.slice(0, 80))}`);
    return value;
  };
}

/** One of a few words. @throws TesseraError `argument` */
export function choice<const T extends string>(flag: string, ...allowed: readonly T[]): FlagReader<T> {
  return (text) => {
    if (!(allowed as readonly string[]).includes(text))
      throw new TesseraError(
        "argument",
        `${flag}: must be one of ${allowed.join(", ")}, got ${JSON.stringify(text.slice(0, 80))}`,
      );
    return text as T;
  };
}
