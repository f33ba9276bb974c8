import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bleu, tokenize13a } from "./bleu.js";

// The example of sacreBLEU's README and tests: three hypotheses with two references each.
const hypotheses = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."];
const references = [
  ["The dog bit the man.", "The dog had bit the man."],
  ["It was not unexpected.", "No one was surprised."],
  ["The man bit him first.", "The man had bitten the dog."],
];

describe("BLEU as sacreBLEU documents it", () => {
  it("of several references", () => {
    const { score, precisions, brevityPenalty, hypothesisLength, referenceLength } = bleu(hypotheses, references);
    expect(score).toBeCloseTo(48.530827, 6);
    expect(precisions.map((p) => p.toFixed(1)).join("/")).toBe("82.4/50.0/45.5/37.5");
    expect(brevityPenalty.toFixed(3)).toBe("0.943");
    expect([hypothesisLength, referenceLength]).toEqual([17, 18]);
  });

  it("of a number of references that differs", () => {
    const { score, precisions, brevityPenalty, referenceLength } = bleu(hypotheses, [
      "The dog had bit the man.",
      ...references.slice(1),
    ]);
    expect(score.toFixed(2)).toBe("29.44");
    expect(precisions.map((p) => p.toFixed(1)).join("/")).toBe("82.4/42.9/27.3/12.5");
    expect(brevityPenalty.toFixed(3)).toBe("0.889");
    expect(referenceLength).toBe(19);
  });

  it("with another tokenization", () => {
    const tokenize = (text: string) => text.split(" ");
    expect(bleu(hypotheses, references, { tokenize }).score).toBeCloseTo(49.1919566, 6);
  });

  it("smoothed where there are no hits", () => {
    const hypothesis = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;";
    const reference = "producţia de zahăr brut se exprimă în zahăr alb;";
    expect(bleu([hypothesis], [reference]).score).toBeCloseTo(8.493, 3);
    const tokenize = (text: string) => text.split(" ");
    expect(bleu([hypothesis], [reference], { tokenize }).score).toBeCloseTo(7.347, 3);
  });

  it("0 without any hit, and of empty hypotheses", () => {
    expect(bleu(["this is a cat"], ["okay thanks"]).score).toBe(0);
    expect(bleu(["", "", ""], references).score).toBe(0);
  });
});

describe("BLEU", () => {
  it("by hand: counts are clipped, and short hypotheses pay", () => {
    // Papineni et al. 2002, section 2.1: seven words "the", of which the reference has two.
    const the = bleu(["the the the the the the the"], ["the cat is on the mat"]);
    expect(the.precisions[0]).toBeCloseTo(200 / 7, 10);
    // 4, 3, 2 and 1 of as many n-grams; 4 words of 6.
    expect(bleu(["a b c d"], ["a b c d e f"]).score).toBeCloseTo(100 * Math.exp(1 - 6 / 4), 10);
    // 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, and none of 1: half a hit.
    expect(bleu(["a b c x"], ["a b c d"]).score).toBeCloseTo(100 * (0.75 * (2 / 3) * 0.5 * 0.5) ** 0.25, 10);
  });

  it("is 0 where no text has four words, as the definition has it", () => {
    expect(bleu(["one two three"], ["one two three"]).score).toBe(0);
  });

  const word = fc.constantFrom("sea", "ship", "whale", "the", "a", "saw", "1,5", "it's", "well-known");
  const sentence = fc.array(word, { minLength: 4, maxLength: 9 }).map((words) => words.join(" "));
  const pairs = fc.array(fc.tuple(sentence, sentence), { minLength: 1, maxLength: 8 });
  const scoreOf = (all: readonly (readonly [string, string])[]) =>
    bleu(
      all.map(([a]) => a),
      all.map(([, b]) => b),
    ).score;

  it("is 100 for equal texts, between 0 and 100 for others, and does not depend on their order", () =>
    fc.assert(
      fc.property(pairs, (all) => {
        expect(scoreOf(all.map(([a]) => [a, a]))).toBeCloseTo(100, 9);
        const score = scoreOf(all);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100 + 1e-9);
        expect(scoreOf([...all].reverse())).toBeCloseTo(score, 9);
      }),
    ));

  it("gains from another reference, or stays as it is", () =>
    fc.assert(
      fc.property(sentence, sentence, (a, b) => {
        expect(bleu([a], [[b, a]]).score).toBeCloseTo(100, 9);
      }),
    ));

  it("refuses texts without a reference", () => {
    expect(() => bleu(["a"], [])).toThrow("bleu: every hypothesis needs its references (1 hypotheses vs 0)");
    expect(() => bleu(["a", "b"], ["a", []])).toThrow("bleu: hypothesis 1 has no reference");
  });
});

describe("tokenization 13a", () => {
  it.each([
    ["It isn't 1,000-fold.", "It isn't 1,000 - fold ."],
    ['a well-known (old) ship, he said: "no"!', 'a well-known ( old ) ship , he said : " no " !'],
    ["&quot;Tom &amp; Jerry&quot; &lt;3", '" Tom & Jerry " < 3'],
    ["1.5 km, 2. place", "1.5 km , 2 . place"],
    ["line-\nbreak and\nnew <skipped> line ", "linebreak and new line"],
    ["月。光 🚢.", "月。光 🚢 ."],
    ["", ""],
  ])("%j", (text, words) => expect(tokenize13a(text).join(" ")).toBe(words));
});
