import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import { MASKED } from "../ops/attention.js";
import { equal, where } from "../ops/elementwise.js";
import { scan } from "../ops/recurrent.js";
import { concat, expandDims, reshape, split } from "../ops/shape.js";
import { additiveAttention } from "./additive-attention.js";
import type { Context } from "./context.js";
import type { RnnCell, RnnCellSpec } from "./rnn-cell.js";

/** Sizes of an {@link attentiveRnn} beside its cell's. */
export interface AttentiveRnnSizes {
  /** Of an element of the memory. */
  readonly memory: number;
  /** Of the space in which states and memory are compared. */
  readonly attention: number;
}

/**
 * A recurrent network that looks at a memory in every step: `c_i = Σ_j α_ij m_j` with `α_i` the {@link additiveAttention} of `h_{i−1}`
 * over the memory, and `h_i = RNN(h_{i−1}, [x_i; c_i])`. Bahdanau et al. 2015, section 3.1. The cell's parameters are those of
 * torch's `GRUCell` and `LSTMCell`: `weight_ih`, …; the attention's are `attention.Wq.weight`, ….
 * `x: [b, t, d]`, `memory: [b, s, m]`, `initial: [b, states]` → `states: [b, t, h]`, `contexts: [b, t, m]`.
 *
 * The memory's padding is not seen. Attention weights `[b, t, s]` are shown to observers as `attention_weights`; as a later step has
 * already used them when they are, an observer's changes have no effect.
 *
 * @param cell for elements of size `d + m`
 * @example attentiveRnn(gru({ input: 64 + 256, hidden: 128 }), { memory: 256, attention: 128 })
 */
export function attentiveRnn(cell: RnnCell, { memory: dMemory, attention: dAttention }: AttentiveRnnSizes) {
  const parameters: RnnCellSpec = cell.parameters(cell.input);
  return module(
    {
      $cell: module(parameters, (self, x: Tensor, states: readonly Tensor[]) =>
        cell.step(self, states, cell.project(self, x)),
      ),
      attention: additiveAttention(cell.states[0], dAttention, dMemory),
    },
    ({ $cell, attention }, x: Tensor, memory: Tensor, initial: Tensor, ctx: Context) => {
      const values = ctx.once("memory", memory);
      const [b, s] = [x.shape[0]!, values.shape[1]!]; // a source may be that of several rows
      const bias = ctx.memoryMask && where(equal(expandDims(ctx.memoryMask, 1), 0), MASKED, 0); // [b, 1, s]
      const onKeys = (keys: Tensor) => ctx.once("keys", keys);
      const step = (states: readonly Tensor[], [element]: readonly Tensor[]) => {
        const looked = attention(expandDims(states[0]!, 1), memory, { values, bias, onKeys });
        const context = reshape(looked.context, [b, dMemory]);
        const carries = $cell(concat([element!, context]), states);
        return { carries, ys: [carries[0], context, reshape(looked.weights, [b, s])] };
      };
      const state = { shape: [b, initial.shape[1]!], dtype: initial.dtype, initial };
      const [states, contexts, weights] = ctx.carry("state", state, (before) => {
        const { carries, ys } = scan(step, split(before, cell.states), [x]);
        return [ys, concat(carries)];
      });
      observe("attention_weights", weights!);
      return { states: states!, contexts: contexts! };
    },
  );
}
