import { module, param } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";

/** How a projection is made. */
export interface LinearOptions {
  /** Add a learned bias. Default true. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly std?: number;
}

/** `W x + b` with `W` stored `[out, in]`, as torch's `Linear`. `x: [..., in]` → `[..., out]`. */
export function linear(nIn: number, nOut: number, { bias = true, std = 0.02 }: LinearOptions = {}) {
  return module(
    { weight: param([nOut, nIn], { normal: std }), bias: bias ? param([nOut], "zeros") : undefined },
    (self, x: Tensor) => {
      const y = matmul(x, self.weight, { transB: true });
      return self.bias ? add(y, self.bias) : y;
    },
  );
}

/** `x W + b` with `W` stored `[in, out]`, as GPT-2's `Conv1D`. `x: [..., in]` → `[..., out]`. */
export function conv1d(nIn: number, nOut: number, { std = 0.02 }: { readonly std?: number } = {}) {
  return module(
    { weight: param([nIn, nOut], { normal: std }), bias: param([nOut], "zeros") },
    ({ weight, bias }, x: Tensor) => add(matmul(x, weight), bias),
  );
}
