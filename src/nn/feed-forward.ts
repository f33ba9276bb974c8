import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { relu, silu } from "../ops/activation.js";
import { mul } from "../ops/elementwise.js";
import { linear } from "./linear.js";

/** A function of one tensor, element by element. */
export type Activation = (x: Tensor) => Tensor;

/** How a feed-forward's projections are made. */
interface FeedForwardOptions<Names> {
  /** Add learned biases. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights: of all, or of those into the inner vectors and those out of them. Default 0.02. */
  readonly std?: number | readonly [inner: number, output: number];
  /** Names of the projections on disk. */
  readonly names?: Names;
}

const both = (std: number | readonly [number, number]) => (typeof std === "number" ? ([std, std] as const) : std);
const unchanged = (x: Tensor) => x;

/**
 * FeedForward: `W₂ max(W₁ x + b₁, 0) + b₂` at each position. Vaswani et al. 2017, section 3.3. `[..., d]` → `[..., d]`.
 * Called with its input and, if need be, a function that is applied to the inner vectors, such as dropout.
 *
 * @param d model size
 * @param dFf inner size, usually 4d
 * @param activation default ReLU; GELU in GPT-2 and BERT
 * @param options biases by default; names by default torch's `linear1`, `linear2`
 */
export function feedForward(
  d: number,
  dFf: number,
  activation: Activation = relu,
  {
    bias = true,
    std = 0.02,
    names: [up, down] = ["linear1", "linear2"],
  }: FeedForwardOptions<readonly [inner: string, output: string]> = {},
) {
  const [stdUp, stdDown] = both(std);
  return module(
    { [up]: linear(d, dFf, { bias, std: stdUp }), [down]: linear(dFf, d, { bias, std: stdDown }) },
    (self, x: Tensor, onInner: Activation = unchanged): Tensor => self[down]!(onInner(activation(self[up]!(x)))),
  );
}

/**
 * Gated feed-forward: `W_down (act(W_gate x) ⊙ W_up x)`; with SiLU this is SwiGLU. Shazeer 2020. `[..., d]` → `[..., d]`.
 * Called as {@link feedForward} is.
 *
 * @param activation of the gate. Default SiLU
 * @param options no biases by default; names of the gate, up and down projections by default LLaMA's
 */
export function gatedFeedForward(
  d: number,
  dFf: number,
  activation: Activation = silu,
  {
    bias = false,
    std = 0.02,
    names: [gate, up, down] = ["gate_proj", "up_proj", "down_proj"],
  }: FeedForwardOptions<readonly [gate: string, up: string, down: string]> = {},
) {
  const [stdUp, stdDown] = both(std);
  const spec = {
    [gate]: linear(d, dFf, { bias, std: stdUp }),
    [up]: linear(d, dFf, { bias, std: stdUp }),
    [down]: linear(dFf, d, { bias, std: stdDown }),
  };
  return module(
    spec,
    (self, x: Tensor, onInner: Activation = unchanged): Tensor =>
      self[down]!(onInner(mul(activation(self[gate]!(x)), self[up]!(x)))),
  );
}
