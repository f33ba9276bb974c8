import { TesseraError } from "../core/errors.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { attentionPaths, paths } from "./inner-values.js";
import { type InspectedModel, type ModelInput, modelFeeds } from "./model-input.js";
import { capture, type InspectOptions } from "./probe.js";
import { tokenLabels } from "./token-labels.js";

/** Whose tokens look at whose: a text at itself, an encoder's at itself, a target at the source. */
export type AttentionKind = "self" | "encoder" | "cross";

/** The attention of one layer for one text, with what its axes say. */
export interface AttentionMap {
  /** Of the weights: `transformer.h.0.attn.attention_weights`. */
  readonly path: string;
  readonly kind: AttentionKind;
  /** From 0, among those of its kind. */
  readonly layer: number;
  readonly heads: number;
  /** Tokens that look, a row each. */
  readonly queries: readonly string[];
  /** Tokens that are looked at, a column each. */
  readonly keys: readonly string[];
  /** `[h, t, s]`: each row of a head adds up to 1. */
  readonly weights: Float32Array;
}

/**
 * Every attention map of a model for one text, in the order of its layers. Rows of weights are found by their name, so that it works for
 * every family that attends.
 *
 * @param options.tokenizer reads text and names the tokens; without one their ids are their names
 * @throws TesseraError `unsupported` for a model without attention, `argument` for several texts; else as {@link capture}
 * @example const maps = await attentionMaps(model, "Call me Ishmael.", { tokenizer });
 */
export async function attentionMaps(
  model: InspectedModel,
  input: ModelInput,
  options: InspectOptions = {},
): Promise<readonly AttentionMap[]> {
  const feeds = modelFeeds(model, input, options.tokenizer);
  if (feeds.ids.shape[0] !== 1)
    throw new TesseraError("argument", `attentionMaps: one text at a time, got ${feeds.ids.shape[0]}`);
  const known = paths(model);
  const found = attentionPaths(known);
  if (found.length === 0)
    throw new TesseraError("unsupported", `attentionMaps: a ${model.family.modelType} model shows no attention`);
  const { values } = await capture(model, feedsAsInput(feeds), found, options);
  const shapes = new Map(known.map(({ path, shape }) => [path, shape]));
  const labels = (ids: typeof feeds.ids | undefined) =>
    ids ? labelsOf(ids.data as BigInt64Array, options.tokenizer) : [];
  const [source, target] = [labels(feeds.ids), labels(feeds.target)];
  const counts = { self: 0, encoder: 0, cross: 0 };
  return [...values].map(([path, { shape, data }]) => {
    const [query, key] = shapes.get(path)!.slice(-2);
    // An encoder-decoder's sizes have names of their own: `s` of the source, `t` of the target.
    const kind: AttentionKind = key !== "s" ? "self" : query === "s" ? "encoder" : "cross";
    const own = model.task === "seq2seq-lm" ? target : source;
    return {
      path,
      kind,
      layer: counts[kind]++,
      heads: shape.length === 4 ? shape[1]! : 1,
      queries: labelsFor(kind === "encoder" ? source : own, shape.at(-2)!),
      keys: labelsFor(kind === "self" ? own : source, shape.at(-1)!),
      weights: data as Float32Array,
    };
  });
}

/** The weights of one head, or their mean over all heads: a row for each query. @throws TesseraError `argument` */
export function headWeights(map: AttentionMap, head: number | "mean"): readonly Float32Array[] {
  const { heads, queries, keys, weights, path } = map;
  if (head !== "mean" && !(Number.isInteger(head) && head >= 0 && head < heads))
    throw new TesseraError("argument", `${path}: it has no head ${head} (${heads} heads, from 0)`);
  const [t, s] = [queries.length, keys.length];
  const chosen = head === "mean" ? Array.from({ length: heads }, (_, h) => h) : [head];
  return Array.from({ length: t }, (_, i) =>
    Float32Array.from(
      { length: s },
      (_, j) => chosen.reduce((sum, h) => sum + weights[(h * t + i) * s + j]!, 0) / chosen.length,
    ),
  );
}

/** Labels for as many tokens as an axis has: a block may put tokens of its own in front, or leave some out. */
function labelsFor(labels: readonly string[], length: number): readonly string[] {
  return labels.length === length ? labels : Array.from({ length }, (_, i) => String(i));
}

function labelsOf(ids: BigInt64Array, tokenizer: Tokenizer | undefined): readonly string[] {
  const numbers = Array.from(ids, Number);
  return tokenizer ? tokenLabels(tokenizer, numbers) : numbers.map(String);
}

const feedsAsInput = ({ ids, target, attentionMask, ...more }: ReturnType<typeof modelFeeds>): ModelInput => {
  if (target) return { source: ids, target, attentionMask };
  const { segments, positions, blockPositions, prefixLength: prefix } = more;
  const blanks = positions && blockPositions && prefix && { positions, blockPositions, prefix };
  return { ids, attentionMask, segments, blanks };
};
