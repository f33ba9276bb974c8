import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu, silu } from "../ops/activation.js";
import { mul } from "../ops/elementwise.js";
import { linear } from "./linear.js";

/** A function of one tensor, element by element. */
export type Activation = (x: Tensor) => Tensor;

/**
 * FeedForward: `W₂ max(W₁ x + b₁, 0) + b₂` at each position. Vaswani et al. 2017, section 3.3. `[..., d]` → `[..., d]`.
 *
 * @param d model size
 * @param dFf inner size, usually 4d
 * @param activation default ReLU; GELU in GPT-2 and BERT
 * @param names of the two projections on disk. Default torch's `linear1`, `linear2`
 */
export function feedForward(
  d: number,
  dFf: number,
  activation: Activation = relu,
  {
    bias = true,
    names: [up, down] = ["linear1", "linear2"],
  }: { readonly bias?: boolean; readonly names?: readonly [string, string] } = {},
) {
  return module(
    { [up]: linear(d, dFf, { bias }), [down]: linear(dFf, d, { bias }) },
    (self, x: Tensor): Tensor => self[down]!(activation(self[up]!(x))),
  );
}

/**
 * Gated feed-forward: `W_down (act(W_gate x) ⊙ W_up x)`; with SiLU this is SwiGLU. Shazeer 2020. `[..., d]` → `[..., d]`.
 *
 * @param activation of the gate. Default SiLU
 * @param names of the gate, up and down projections on disk. Default LLaMA's
 */
export function gatedFeedForward(
  d: number,
  dFf: number,
  activation: Activation = silu,
  {
    bias = false,
    names: [gate, up, down] = ["gate_proj", "up_proj", "down_proj"],
  }: { readonly bias?: boolean; readonly names?: readonly [string, string, string] } = {},
) {
  const spec = { [gate]: linear(d, dFf, { bias }), [up]: linear(d, dFf, { bias }), [down]: linear(dFf, d, { bias }) };
  return module(spec, (self, x: Tensor): Tensor => self[down]!(mul(activation(self[gate]!(x)), self[up]!(x))));
}
