import { TesseraError } from "../core/errors.js";

/** @throws TesseraError `argument` for a rate outside [0, 1) */
export function requireDropoutRate(rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw new TesseraError("argument", `dropout: the rate must be in [0, 1), got ${rate}`);
}
