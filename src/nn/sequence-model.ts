import type { Module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "./context.js";

/**
 * SequenceModel, the chapter's abstract block: vectors of a sequence to as many vectors, each of which may tell of its context.
 * `feedForwardSequenceModel`, `sequenceRnn`, `bidirectionalSequenceRnn` and `transformerBlock` make one.
 * `x: [b, t, d]` → `[b, t, d]` (twice as wide from both directions).
 *
 * @example const layers: SequenceModel[] = [sequenceRnn(gru({ input: 64, hidden: 64 })), transformerBlock({ d: 64, heads: 4 })];
 */
// biome-ignore lint/suspicious/noExplicitAny: of whatever parameters
export type SequenceModel = Module<any, [x: Tensor, ctx: Context], Tensor>;
