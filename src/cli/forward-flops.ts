import { parameterTree } from "../core/module.js";
import { input } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import type { CausalLm } from "../models/model.js";
import { sequenceContext } from "../nn/context.js";
import { flops } from "../transforms/flops.js";

/**
 * Multiplications and additions of a model's matrix products over a batch, counted as the field does (Chowdhery et al. 2022, appendix B):
 * causal attention over the full square, although half of it is masked and part of that is never computed.
 */
export function forwardFlops(module: CausalLm, batch: number, length: number): number {
  const logits = withObserver(
    (_, value) => value, // looked at, attention is computed whole
    () =>
      module(
        parameterTree(module, (path, { shape }) => input(path, shape)),
        input("ids", [batch, length], "int64"),
        sequenceContext({ batch, length }),
      ),
  );
  return Number(flops({ inputs: [], outputs: [logits] }));
}
