import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bpe } from "./bpe.js";

type Merge = readonly [string, string];

/** The definition, word for word: merge the leftmost occurrence of the first learnt merge until none applies. */
function slowBpe(word: string, vocab: ReadonlyMap<string, number>, merges: readonly Merge[]): (number | undefined)[] {
  const symbols = [...word];
  for (;;) {
    let best = { rank: merges.length, at: -1 };
    for (let at = 0; at + 1 < symbols.length; at++) {
      const rank = merges.findIndex(([a, b]) => a === symbols[at] && b === symbols[at + 1]);
      if (rank >= 0 && rank < best.rank) best = { rank, at };
    }
    if (best.at < 0) return symbols.map((symbol) => vocab.get(symbol));
    symbols.splice(best.at, 2, symbols[best.at]! + symbols[best.at + 1]!);
  }
}

/** A vocabulary over a few letters with merges that build on each other. */
const models = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 12 }).map((picks) => {
  const tokens = [..."abc月"];
  const merges = new Map<string, Merge>();
  for (const [i, j] of picks) {
    const [left, right] = [tokens[i % tokens.length]!, tokens[j % tokens.length]!];
    merges.set(`${left} ${right}`, [left, right]);
    if (!tokens.includes(left + right)) tokens.push(left + right);
  }
  return { vocab: new Map(tokens.map((token, id) => [token, id])), merges: [...merges.values()] };
});

const words = fc.array(fc.constantFrom(..."abc月"), { maxLength: 40 }).map((chars) => chars.join(""));

describe("bpe", () => {
  it("does what the definition says", () => {
    fc.assert(
      fc.property(models, words, ({ vocab, merges }, word) => {
        expect(bpe({ vocab, merges })(word)).toEqual(slowBpe(word, vocab, merges));
      }),
      { numRuns: 1000 },
    );
  });

  const vocab = new Map(
    ["a", "b", "ab", "?", "<0xC3>", "<0xA9>", "##b", "a##b", "b</w>", "ab</w>"].map((token, id) => [token, id]),
  );
  const tokens = [...vocab.keys()];
  const encode = (word: string, options: Partial<Parameters<typeof bpe>[0]>) =>
    bpe({ vocab, merges: [["a", "b"]], ...options })(word).map((id) => tokens[id]);

  it("stands something, bytes or nothing for unknown characters", () => {
    expect(encode("axyb", {})).toEqual(["ab"]);
    expect(encode("axyb", { unkId: 3 })).toEqual(["a", "?", "?", "b"]);
    expect(encode("axyb", { unkId: 3, fuseUnk: true })).toEqual(["a", "?", "b"]);
    expect(encode("éx", { unkId: 3, byteFallback: true })).toEqual(["<0xC3>", "<0xA9>", "?"]);
  });

  it("marks the inside and the end of words", () => {
    expect(encode("aab", { merges: [], continuingSubwordPrefix: "##", unkId: 3 })).toEqual(["a", "?", "##b"]);
    expect(encode("ab", { merges: [["a", "b</w>"]], endOfWordSuffix: "</w>" })).toEqual(["ab</w>"]);
  });

  it("takes whole tokens on request", () => {
    expect(encode("ab", { merges: [] })).toEqual(["a", "b"]);
    expect(encode("ab", { merges: [], ignoreMerges: true })).toEqual(["ab"]);
  });

  it("keeps up with words of a million characters", () => {
    expect(encode("ab".repeat(500_000), {})).toHaveLength(500_000);
  });
});
