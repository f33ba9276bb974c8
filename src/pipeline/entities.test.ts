import { describe, expect, it } from "vitest";
import { type AggregationStrategy, groupEntities, type ScoredToken, tagTokens } from "./entities.js";
import { softmax } from "./probabilities.js";

const names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
const text = "Captain Ahab left New Bedford.";
const logits = [
  [1, 0.5, 0.2, 0.1, 0],
  [0.2, 2, 0.1, 0.4, 0.3],
  [0.1, 0.2, 0.3, 1.5, 0.1],
  [3, 0, 0, 0, 0],
  [0.1, 0.2, 0.3, 1.2, 1],
  [0.5, 0.1, 0.2, 0.9, 0.8],
  [0.2, 0.1, 0.4, 0.3, 2.2],
  [2, 1, 0, 0, 0],
];
const pieces: readonly (readonly [string, number, number])[] = [
  ["captain", 0, 7],
  ["ah", 8, 10],
  ["##ab", 10, 12],
  ["left", 13, 17],
  ["new", 18, 21],
  ["bed", 22, 25],
  ["##ford", 25, 29],
  [".", 29, 30],
];
const tokens = pieces.map(
  ([token, start, end], index): ScoredToken => ({
    token,
    unknown: false,
    index,
    scores: softmax(logits[index]!),
    start,
    end,
  }),
);
const join = (some: readonly string[]) => some.join(" ").replaceAll(" ##", "");

/** What transformers 4.57's own code makes of these tokens, without the label O. */
const recorded: readonly (readonly [Exclude<AggregationStrategy, "none">, readonly (readonly unknown[])[]])[] = [
  [
    "simple",
    [
      ["PER", 0.588427, "ah", 8, 10],
      ["LOC", 0.483812, "##ab", 10, 12],
      ["LOC", 0.341758, "new", 18, 21],
      ["LOC", 0.459935, "bedford", 22, 29],
    ],
  ],
  [
    "first",
    [
      ["PER", 0.588427, "ahab", 8, 12],
      ["LOC", 0.341758, "new", 18, 21],
      ["LOC", 0.284004, "bedford", 22, 29],
    ],
  ],
  [
    "average",
    [
      ["PER", 0.36014, "ahab", 8, 12],
      ["LOC", 0.39409, "new bedford", 18, 29],
    ],
  ],
  [
    "max",
    [
      ["PER", 0.588427, "ahab", 8, 12],
      ["LOC", 0.488812, "new bedford", 18, 29],
    ],
  ],
];

describe("entities", () => {
  it.each(recorded)("%s: groups as transformers does", (strategy, expected) => {
    const groups = groupEntities(tagTokens(text, tokens, { strategy, names, join, prefixed: true }), join);
    const found = groups
      .filter(({ entity_group }) => entity_group !== "O")
      .map(({ entity_group, score, word, start, end }) => [entity_group, Number(score.toFixed(6)), word, start, end]);
    expect(found).toEqual(expected);
    for (const group of groups) expect(Object.keys(group)).toEqual(["entity_group", "score", "word", "start", "end"]);
  });

  it("none: labels every token", () => {
    const tagged = tagTokens(text, tokens, { strategy: "none", names, join, prefixed: true });
    expect(tagged.map(({ entity }) => entity)).toEqual(["O", "B-PER", "B-LOC", "O", "B-LOC", "B-LOC", "I-LOC", "O"]);
    expect(tagged[6]).toEqual({
      entity: "I-LOC",
      score: tokens[6]!.scores[4],
      index: 6,
      word: "##ford",
      start: 25,
      end: 29,
    });
  });

  it("where the vocabulary marks nothing, a token without a space before it goes on with the word", () => {
    const spelled = tokens.map((token) => ({ ...token, token: token.token.replace("##", "") }));
    const words = tagTokens(text, spelled, {
      strategy: "first",
      names,
      join: (some) => some.join(""),
      prefixed: false,
    });
    expect(words.map(({ word }) => word)).toEqual(["captain", "ahab", "left", "new", "bedford."]);
  });

  it("an unknown token is shown as the text has it, and is a word", () => {
    const unknown = tokens.map((token, i) => (i === 2 ? { ...token, token: "[UNK]", unknown: true } : token));
    const words = tagTokens(text, unknown, { strategy: "first", names, join, prefixed: true });
    expect(words.slice(0, 3).map(({ word }) => word)).toEqual(["captain", "ah", "ab"]);
  });
});
