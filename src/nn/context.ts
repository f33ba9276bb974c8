import type { Dim, Shape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { type AttentionOptions, attention, MASKED } from "../ops/attention.js";
import { full, range } from "../ops/constant.js";
import { add, equal, mul, where } from "../ops/elementwise.js";
import { dropoutMask } from "../ops/random.js";
import { reshape } from "../ops/shape.js";

/**
 * What a model's forward needs to know beside its input: where its tokens stand, whether it is being trained, and what it
 * remembers of the tokens before. The same forward text traces training, whole-sequence evaluation and cached decoding;
 * only the context differs.
 */
export interface Context {
  /** Whether dropout acts. */
  readonly training: boolean;
  /** Position of each token of the input, int64 `[b, t]`, or `[1, t]` where all rows agree. */
  readonly positions: Tensor;
  /**
   * Self-attention: of the input's queries over the input and, when decoding, all that came before it.
   * `q: [b, t, h, d]`, `k, v: [b, t, g, d]` → `[b, t, h, d]`; see {@link attention}.
   */
  attend(q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Tensor;
  /** Cross-attention: of the input's queries over another sequence. `q: [b, t, h, d]`, `k, v: [b, s, g, d]` → `[b, t, h, d]`. */
  attendTo(q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Tensor;
  /** Zeroes elements with probability `rate` and scales the others by `1/(1 − rate)` while training; else `x` itself. */
  dropout(x: Tensor, rate: number): Tensor;
  /** The positions whose logits are wanted, of `x: [b, t, d]`: all of them, or when decoding the last. Models call it before their head. */
  scored(x: Tensor): Tensor;
  /**
   * Memory from one call to the next: recurrent states, the last tokens of an n-gram model. `advance` gets the state before
   * (zeros at the start of a text) and returns its result and the state after, of the same type.
   *
   * @param state its type; the batch axis first
   */
  carry<R>(
    name: string,
    state: { readonly shape: Shape; readonly dtype?: Tensor["dtype"] },
    advance: (before: Tensor) => readonly [result: R, after: Tensor],
  ): R;
}

/** What a whole-sequence context is made of. */
export interface SequenceContextOptions {
  /** Sizes of the batch and of the sequence. */
  readonly batch: Dim;
  readonly length: Dim;
  /** 1 for tokens, 0 for padding: int64 `[b, t]`; no query sees padding. Default: no padding. */
  readonly attentionMask?: Tensor | undefined;
  /** int64 `[b, t]`. Default `0 … t − 1` in every row. */
  readonly positions?: Tensor | undefined;
  /** int32 `[2]`, fresh for every step: dropout acts and draws from it. Default: no dropout. */
  readonly dropoutKey?: Tensor | undefined;
}

/** The context of whole sequences: training, evaluation, encoding. Made anew for every trace. */
export function sequenceContext({
  batch,
  length,
  attentionMask,
  positions,
  dropoutKey,
}: SequenceContextOptions): Context {
  let sites = 0;
  const padding = attentionMask && where(equal(reshape(attentionMask, [batch, 1, 1, length]), 0), MASKED, 0);
  const plus = (bias: Tensor | undefined) => (padding && bias ? add(padding, bias) : (padding ?? bias));
  return {
    training: dropoutKey !== undefined,
    positions: positions ?? reshape(range(length), [1, length]),
    attend: (q, k, v, options = {}) => attention(q, k, v, { ...options, bias: plus(options.bias) }),
    attendTo: attention,
    dropout(x, rate) {
      if (!(rate >= 0 && rate < 1))
        throw new TesseraError("argument", `dropout: the rate must be in [0, 1), got ${rate}`);
      if (!dropoutKey || rate === 0) return x;
      return mul(x, dropoutMask(dropoutKey, x.shape as readonly number[], rate, sites++));
    },
    scored: (x) => x,
    carry: (_, { shape, dtype = "float32" }, advance) => advance(full(shape, 0, dtype))[0],
  };
}
