import { type Dim, formatShape, type Shape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { type AttentionOptions, attention, MASKED } from "../ops/attention.js";
import { full, range } from "../ops/constant.js";
import { add, and, equal, less, lessOrEqual, mul, where } from "../ops/elementwise.js";
import { dropoutMask } from "../ops/random.js";
import { reshape } from "../ops/shape.js";
import { requireDropoutRate } from "./dropout-rate.js";

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
  /** GLM's second position: 0 in the text, the place within a blank in what fills it, int64 `[b, t]`; undefined: there are no blanks. */
  readonly blockPositions?: Tensor | undefined;
  /** Position of each key that {@link attend} goes over, int64 `[1, s]`: for biases of a distance. */
  readonly keyPositions: Tensor;
  /** Which part of its row each token belongs to (BERT's token types), int64 `[b, t]`; undefined: all to the first. */
  readonly segments: Tensor | undefined;
  /** 1 for tokens, 0 for padding, int64 `[b, t]`; undefined: no padding. Attention knows of it already. */
  readonly attentionMask: Tensor | undefined;
  /**
   * Self-attention: of the input's queries over the input and, when decoding, all that came before it.
   * `q: [b, t, h, d]`, `k, v: [b, t, g, d]` → `[b, t, h, d]`; see {@link attention}.
   */
  attend(q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Tensor;
  /**
   * Cross-attention: of the input's queries over another sequence, the encoder's, whose padding they do not see.
   * `q: [b, t, h, d]`, `k, v: [b, s, g, d]` → `[b, t, h, d]`.
   */
  attendTo(q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Tensor;
  /**
   * A value of the encoder's result alone, such as keys of cross-attention, which {@link attendTo} passes through here itself: when
   * decoding it is computed once for a text and kept. `x: [b, ...]` → the same.
   */
  once(name: string, x: Tensor): Tensor;
  /** 1 for tokens of the encoder's sequence, 0 for its padding, int64 `[b, s]`; undefined: no padding, or no encoder. */
  readonly memoryMask: Tensor | undefined;
  /** Zeroes elements with probability `rate` and scales the others by `1/(1 − rate)` while training; else `x` itself. */
  dropout(x: Tensor, rate: number): Tensor;
  /** The positions whose logits are wanted, of `x: [b, t, d]`: all of them, or when decoding the last. Models call it before their head. */
  scored(x: Tensor): Tensor;
  /**
   * Memory from one call to the next: recurrent states, the last tokens of an n-gram model. `advance` gets the state before
   * and returns its result and the state after, of the same type.
   *
   * @param state its type, the batch axis first, and what it is at the start of a text: `initial`, computed from nothing but the
   *   encoder's result, else zeros
   */
  carry<R>(
    name: string,
    state: { readonly shape: Shape; readonly dtype?: Tensor["dtype"]; readonly initial?: Tensor },
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
  /** The same of the encoder's sequence, for a decoder's context: int64 `[b, s]`. */
  readonly memoryMask?: Tensor | undefined;
  /** See {@link Context.segments}. */
  readonly segments?: Tensor | undefined;
  /** int64 `[b, t]`. Default `0 … t − 1` in every row. */
  readonly positions?: Tensor | undefined;
  /** See {@link Context.blockPositions}. */
  readonly blockPositions?: Tensor | undefined;
  /** Tokens at the start of a row that causal attention sees from everywhere (a prefix LM; GLM's Part A): int64 `[b]`. */
  readonly prefixLength?: Tensor | undefined;
  /** int32 `[2]`, fresh for every step: dropout acts and draws from it. Default: no dropout. */
  readonly dropoutKey?: Tensor | undefined;
}

/** The context of whole sequences: training, evaluation, encoding. Made anew for every trace. */
export function sequenceContext({
  batch,
  length,
  attentionMask,
  memoryMask,
  segments,
  positions,
  blockPositions,
  prefixLength,
  dropoutKey,
}: SequenceContextOptions): Context {
  let sites = 0;
  for (const [name, x] of Object.entries({ attentionMask, segments, blockPositions }))
    if (x && !sameShape(x.shape, [batch, length]))
      throw new TesseraError(
        "shape",
        `sequenceContext: ${name} must be ${formatShape([batch, length])}, got ${formatShape(x.shape)}`,
      );
  const [padding, memoryPadding] = [attentionMask, memoryMask].map((mask) => mask && paddingBias(mask));
  const inOrder = reshape(range(length), [1, length]);
  return {
    training: dropoutKey !== undefined,
    positions: positions ?? inOrder,
    blockPositions,
    keyPositions: inOrder,
    segments,
    attentionMask,
    memoryMask,
    attend(q, k, v, options = {}) {
      const open = prefixLength !== undefined && options.mask === "causal";
      const bias = plus(open ? plus(padding, prefixBias(prefixLength, length)) : padding, options.bias);
      return attention(q, k, v, { ...options, mask: open ? "none" : options.mask, bias });
    },
    attendTo: (q, k, v, options = {}) => attention(q, k, v, { ...options, bias: plus(memoryPadding, options.bias) }),
    once: (_, x) => x,
    dropout(x, rate) {
      requireDropoutRate(rate);
      if (!dropoutKey || rate === 0) return x;
      return mul(x, dropoutMask(dropoutKey, x.shape as readonly number[], rate, sites++));
    },
    scored: (x) => x,
    carry: (_, { shape, dtype = "float32", initial = full(shape, 0, dtype) }, advance) => advance(initial)[0],
  };
}

/** The bias that hides padding. `mask: [b, s]` int64, 1 for tokens → `[b, 1, 1, s]`. */
export function paddingBias(mask: Tensor): Tensor {
  const [b, s] = mask.shape as [Dim, Dim];
  return where(equal(reshape(mask, [b, 1, 1, s]), 0), MASKED, 0);
}

/** The bias that hides later tokens, but none of a row's first ones. `prefix: [b]` int64 → `[b, 1, t, t]`. */
function prefixBias(prefix: Tensor, length: Dim): Tensor {
  const [query, key] = [reshape(range(length), [1, 1, length, 1]), reshape(range(length), [1, 1, 1, length])];
  const behind = lessOrEqual(reshape(prefix, [prefix.shape[0]!, 1, 1, 1]), key);
  return where(and(behind, less(query, key)), MASKED, 0);
}

const plus = (a: Tensor | undefined, b: Tensor | undefined) => (a && b ? add(a, b) : (a ?? b));
