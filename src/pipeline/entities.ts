import { largestIndices } from "./probabilities.js";

/** What becomes of neighbouring tokens with one label. */
export type AggregationStrategy = "none" | "simple" | "first" | "average" | "max";

/** A labelled token. */
export interface Entity {
  readonly entity: string;
  readonly score: number;
  /** Which token of the model's input it is. */
  readonly index: number;
  readonly word: string;
  /** The stretch of the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** Neighbouring tokens that are one thing. */
export interface EntityGroup {
  /** The label without `B-` or `I-`. */
  readonly entity_group: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** A token with its probabilities. */
export interface ScoredToken {
  /** As the vocabulary spells it. */
  readonly token: string;
  readonly unknown: boolean;
  readonly index: number;
  readonly scores: Float64Array;
  readonly start: number;
  readonly end: number;
}

/** What tokens are labelled with. */
export interface TaggingOptions {
  readonly strategy: AggregationStrategy;
  /** Names of the labels. */
  readonly names: readonly string[];
  /** The text of tokens. */
  readonly join: (tokens: readonly string[]) => string;
  /** Whether the vocabulary marks tokens that go on with a word. */
  readonly prefixed: boolean;
}

/**
 * The labels of tokens, or, for a strategy of words, of words: tokens that go on with one are put together with it. Without a mark in the
 * vocabulary, a token goes on where there is no space before it.
 */
export function tagTokens(
  text: string,
  tokens: readonly ScoredToken[],
  { strategy, names, join, prefixed }: TaggingOptions,
): Entity[] {
  const nameOf = (label: number) => names[label] ?? `LABEL_${label}`;
  const best = (scores: Float64Array) => largestIndices(scores, 1)[0]!;
  const seen = tokens.map((t) => {
    const covered = text.slice(t.start, t.end);
    const goesOn = prefixed
      ? [...t.token].length !== [...covered].length
      : t.start > 0 && !text.slice(t.start - 1, t.start + 1).includes(" ");
    return { ...t, word: t.unknown ? covered : t.token, goesOn: goesOn && !t.unknown };
  });
  if (strategy === "none" || strategy === "simple")
    return seen.map(({ scores, index, word, start, end }) => {
      const label = best(scores);
      return { entity: nameOf(label), score: scores[label]!, index, word, start, end };
    });

  const words: (typeof seen)[] = [];
  for (const token of seen) {
    if (token.goesOn && words.length > 0) words.at(-1)!.push(token);
    else words.push([token]);
  }
  return words.map((parts) => {
    const scores =
      strategy === "first"
        ? parts[0]!.scores
        : strategy === "max"
          ? parts.reduce((a, b) => (Math.max(...b.scores) > Math.max(...a.scores) ? b : a)).scores
          : meanOf(parts.map((part) => part.scores));
    const label = best(scores);
    return {
      entity: nameOf(label),
      score: scores[label]!,
      index: parts[0]!.index,
      word: join(parts.map((part) => part.word)),
      start: parts[0]!.start,
      end: parts.at(-1)!.end,
    };
  });
}

/** Neighbours with one label become one; `B-` begins a new one. */
export function groupEntities(entities: readonly Entity[], join: (tokens: readonly string[]) => string): EntityGroup[] {
  const groups: Entity[][] = [];
  for (const entity of entities) {
    const last = groups.at(-1)?.at(-1);
    const { begins, tag } = tagOf(entity.entity);
    if (last && tag === tagOf(last.entity).tag && !begins) groups.at(-1)!.push(entity);
    else groups.push([entity]);
  }
  return groups.map((group) => ({
    entity_group: group[0]!.entity.replace(/^[^-]*-/, ""),
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: join(group.map(({ word }) => word)),
    start: group[0]!.start,
    end: group.at(-1)!.end,
  }));
}

/** `B-PER` begins, `I-PER` and labels without either go on. */
function tagOf(entity: string): { readonly begins: boolean; readonly tag: string } {
  return { begins: entity.startsWith("B-"), tag: entity.replace(/^[BI]-/, "") };
}

function meanOf(vectors: readonly Float64Array[]): Float64Array {
  return vectors[0]!.map((_, i) => vectors.reduce((sum, vector) => sum + vector[i]!, 0) / vectors.length);
}
