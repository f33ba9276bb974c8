import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { constant } from "../ops/constant.js";
import { mul, where } from "../ops/elementwise.js";
import type { Edit } from "./probe.js";

/**
 * Puts a value of another run in the place of this one's: activation patching. Vig et al. 2020; Meng et al. 2022, "causal tracing".
 *
 * @param value of the same shape as what it replaces
 * @param positions tokens, along axis 1, that are replaced; default all
 * @example edit(model, corrupted, { "transformer.h.4": patch(clean.values.get("transformer.h.4")!, [7]) })
 */
export function patch({ data, shape, dtype }: HostTensor, positions?: readonly number[]): Edit {
  return (x, path) => {
    const other = constant(data, shape, dtype);
    if (!positions) return other;
    const length = shape[1] ?? 0;
    const outside = positions.find((p) => !Number.isInteger(p) || p < 0 || p >= length);
    if (outside !== undefined)
      throw new TesseraError("argument", `patch: ${path} has no position ${outside} (${length} positions)`);
    const at = Array.from({ length }, (_, i) => (positions.includes(i) ? 1 : 0));
    return where(constant(at, [1, length, ...shape.slice(2).map(() => 1)], "bool"), other, x);
  };
}

/**
 * Takes away heads of an attention: their weights `[b, h, t, s]` become zero, so that they add nothing. Michel et al. 2019.
 *
 * @example edit(model, ids, { "transformer.h.0.attn.attention_weights": withoutHeads(3) })
 */
export function withoutHeads(...heads: readonly number[]): Edit {
  return (weights, path) => {
    const count = weights.rank === 4 ? Number(weights.shape[1]) : 1;
    const outside = heads.find((h) => !Number.isInteger(h) || h < 0 || h >= count);
    if (outside !== undefined)
      throw new TesseraError("argument", `withoutHeads: ${path} has no head ${outside} (${count} heads)`);
    const stay = Array.from({ length: count }, (_, h) => (heads.includes(h) ? 0 : 1));
    return mul(weights, constant(stay, weights.rank === 4 ? [1, count, 1, 1] : [1]));
  };
}
