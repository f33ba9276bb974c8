import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  badWords,
  beginSuppressTokens,
  chain,
  encoderNoRepeatNgram,
  encoderRepetitionPenalty,
  forcedTokens,
  type LogitsProcessor,
  logNormalize,
  minLength,
  minP,
  noRepeatNgram,
  repetitionPenalty,
  suppressTokens,
  temperature,
  topK,
  topP,
} from "./logits-processors.js";

const BANNED = Number.NEGATIVE_INFINITY;

const applied = (processor: LogitsProcessor, logits: readonly number[], history: readonly number[] = []) => {
  const array = Float32Array.from(logits);
  processor(array, history);
  return Array.from(array);
};
const banned = (processor: LogitsProcessor, count: number, history: readonly number[]) =>
  applied(processor, Array(count).fill(0), history).flatMap((x, id) => (x === BANNED ? [id] : []));
const kept = (processor: LogitsProcessor, logits: readonly number[]) =>
  applied(processor, logits).flatMap((x, id) => (x === BANNED ? [] : [id]));

/** Coarse values make ties; some tokens are banned from the start. */
const someLogits = fc
  .array(
    fc.oneof(
      fc.integer({ min: -6, max: 6 }).map((n) => n / 2),
      fc.float({ min: -20, max: 20, noNaN: true }),
      fc.constant(BANNED),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .filter((logits) => logits.some((x) => x > BANNED));

/** Weights are compared in single precision: nearly equal ones are equal. */
const probabilities = (logits: readonly number[]) => {
  const weights = Array.from(Float32Array.from(logits), (x) =>
    Math.fround(Math.exp(x - Math.max(...Float32Array.from(logits)))),
  );
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
};

describe("topK", () => {
  it("keeps what is as probable as the k-th of the sorted", () => {
    fc.assert(
      fc.property(someLogits, fc.integer({ min: 1, max: 70 }), (logits, k) => {
        const floats = Array.from(Float32Array.from(logits));
        const threshold = floats.toSorted((a, b) => b - a)[Math.min(k, logits.length) - 1]!;
        expect(applied(topK(k), logits)).toEqual(floats.map((x) => (x < threshold ? BANNED : x)));
      }),
    );
  });
});

describe("topP", () => {
  it("keeps the fewest of the sorted that add up to p", () => {
    fc.assert(
      fc.property(someLogits, fc.double({ min: 0, max: 0.999, noNaN: true }), (logits, p) => {
        const all = probabilities(logits);
        const order = all.map((_, id) => id).sort((a, b) => all[b]! - all[a]! || a - b);
        const result = kept(topP(p), logits);
        expect(result.length).toBeGreaterThan(0);
        const sum = result.reduce((total, id) => total + all[id]!, 0);
        // The sums of the two may differ in the last digits, where that decides either is right.
        expect(sum).toBeGreaterThan(p - 1e-6);
        expect(sum - Math.min(...result.map((id) => all[id]!))).toBeLessThan(p + 1e-6);
        expect(result).toEqual(order.slice(0, result.length).sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps all at 1, the most probable alone at 0, and works again and again on vocabularies of any size", () => {
    const half = topP(0.5);
    expect(kept(topP(1), [0, 1, 2])).toEqual([0, 1, 2]);
    expect(kept(topP(0), [1, 2, 2, 0])).toEqual([1]);
    expect(kept(half, [0, 0, 0, 0])).toEqual([0, 1]);
    expect(kept(half, Array(10).fill(0))).toEqual([0, 1, 2, 3, 4]);
    expect(kept(half, [0, 9])).toEqual([1]);
  });

  it("leaves values that are kept as they are", () => {
    expect(applied(topP(0.9), [3, 2.5, -8])).toEqual([3, 2.5, BANNED]);
  });
});

describe("minP", () => {
  it("keeps tokens at least p times as probable as the most probable", () => {
    fc.assert(
      fc.property(someLogits, fc.double({ min: 0.001, max: 1, noNaN: true }), (logits, p) => {
        const all = probabilities(logits);
        const ratio = all.map((x) => x / Math.max(...all) / p);
        const result = new Set(kept(minP(p), logits));
        for (const [id, r] of ratio.entries()) if (Math.abs(r - 1) > 1e-5) expect(result.has(id)).toBe(r > 1);
      }),
    );
    expect(kept(minP(0), [0, -50])).toEqual([0, 1]);
  });
});

describe("temperature and normalization", () => {
  it("divide in single precision", () => {
    expect(applied(temperature(0.7), [1, -2, BANNED])).toEqual(
      [1, -2, BANNED].map((x) => Math.fround(x / Math.fround(0.7))),
    );
  });

  it("make log-probabilities", () => {
    fc.assert(
      fc.property(someLogits, (logits) => {
        const expected = probabilities(logits).map(Math.log);
        applied(logNormalize, logits).forEach((x, i) => {
          if (expected[i] === BANNED) expect(x).toBeLessThan(-80);
          else expect(x).toBeCloseTo(expected[i]!, 4);
        });
      }),
    );
  });
});

describe("repetitionPenalty", () => {
  it("divides positive and multiplies negative logits, once for each token that occurred", () => {
    const f = Math.fround;
    expect(applied(repetitionPenalty(1.3), [2, -2, 3, -3, 0], [0, 1, 1, 0, 4, 99])).toEqual([
      f(2 / f(1.3)),
      f(-2 * f(1.3)),
      3,
      -3,
      0,
    ]);
  });
});

describe("noRepeatNgram", () => {
  it("bans what would complete a run that occurred", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        (history, n) => {
          const runs = (text: readonly number[]) =>
            text.slice(0, Math.max(0, text.length - n + 1)).map((_, i) => text.slice(i, i + n).join());
          const seen = new Set(runs(history));
          const repeats = [0, 1, 2, 3].filter(
            (id) => history.length >= n - 1 && seen.has([...history, id].slice(history.length + 1 - n).join()),
          );
          expect(banned(noRepeatNgram(n), 4, history)).toEqual(repeats);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("what a source says", () => {
  it("favours its tokens, once each", () => {
    expect(applied(encoderRepetitionPenalty(2, [1, 2, 2]), [1, 1, -1, -1], [0])).toEqual([1, 2, -0.5, -1]);
  });

  it("bans what would complete a run of it", () => {
    const source = [4, 5, 6, 4, 7];
    expect(banned(encoderNoRepeatNgram(1, source), 9, [])).toEqual([4, 5, 6, 7]);
    expect(banned(encoderNoRepeatNgram(2, source), 9, [0, 4])).toEqual([5, 7]);
    expect(banned(encoderNoRepeatNgram(2, source), 9, [4, 0])).toEqual([]);
    expect(banned(encoderNoRepeatNgram(3, source), 9, [5, 6])).toEqual([4]);
    expect(banned(encoderNoRepeatNgram(3, source), 9, [6])).toEqual([]);
    expect(banned(encoderNoRepeatNgram(9, source), 9, source)).toEqual([]);
  });
});

describe("bans and forced tokens", () => {
  it("badWords ban a word's last token after the ones before it", () => {
    const words = badWords([[5], [1, 2], [3, 1, 4]]);
    expect(banned(words, 6, [0])).toEqual([5]);
    expect(banned(words, 6, [1])).toEqual([2, 5]);
    expect(banned(words, 6, [3, 1])).toEqual([2, 4, 5]);
    expect(banned(words, 6, [1, 3])).toEqual([5]);
  });

  it("suppress tokens always, or at the start only", () => {
    expect(banned(suppressTokens([1, 3, 99]), 4, [])).toEqual([1, 3]);
    expect(banned(beginSuppressTokens([2], 3), 4, [0, 0, 0])).toEqual([2]);
    expect(banned(beginSuppressTokens([2], 3), 4, [0, 0, 0, 1])).toEqual([]);
  });

  it("ban the end until a length, and force tokens at a place", () => {
    expect(banned(minLength(2, [0, 3]), 4, [1])).toEqual([0, 3]);
    expect(banned(minLength(2, [0, 3]), 4, [1, 1])).toEqual([]);
    expect(banned(forcedTokens([1, 2], 1), 4, [0])).toEqual([0, 3]);
    expect(banned(forcedTokens([1, 2], 1), 4, [])).toEqual([]);
    expect(applied(forcedTokens([1], 0), [9, -9])).toEqual([BANNED, 0]);
  });

  it("work one after another", () => {
    expect(kept(chain([suppressTokens([2]), topK(2)]), [1, 2, 9, 3])).toEqual([1, 3]);
  });
});

it("logits that leave nothing to choose are refused in one line", () => {
  expect(() => applied(topP(0.5), [BANNED, BANNED])).toThrow("generate: no token can be chosen, every token is banned");
  expect(() => applied(minP(0.5), [Number.NaN, Number.NaN])).toThrow("the model's logits are not numbers");
  expect(() => applied(topP(0.5), [1, Number.POSITIVE_INFINITY])).toThrow("a logit is infinite");
});
