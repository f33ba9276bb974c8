import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../core/random-stream.js";
import { ignored } from "../objective.js";
import { leaveEnd, leaveSpans } from "./blank-infilling.js";
import { type Noise, spoil } from "./denoising.js";
import { maskTokens } from "./masking.js";
import { poisson } from "./poisson.js";
import { corrupt } from "./span-corruption.js";

/** Texts of the tokens 100 … 199; special ones are below. */
const texts = fc.array(fc.integer({ min: 100, max: 199 }), { minLength: 4, maxLength: 60 });
const seeds = fc.integer({ min: 0, max: 1e6 });
const random = (seed: number) => randomStream(seed, "spoiling");

describe("masking", () => {
  const options = { mask: 4, rate: 0.15, ordinary: [100, 101], special: new Set([1, 2]) };

  it("predicts the share it is asked for, and what stands there", () =>
    fc.assert(
      fc.property(texts, seeds, (text, seed) => {
        const ids = [1, ...text, 2];
        const { inputs, labels } = maskTokens(ids, random(seed), options);
        const at = labels.flatMap((label, i) => (label === ignored ? [] : [i]));
        expect(at).toHaveLength(Math.max(1, Math.round(0.15 * text.length)));
        for (const i of at) expect(labels[i]).toBe(ids[i]);
        for (const [i, id] of ids.entries()) if (!at.includes(i)) expect(inputs[i]).toBe(id);
        expect(labels[0]).toBe(ignored);
        expect(labels.at(-1)).toBe(ignored);
      }),
    ));

  it("masks 80 %, replaces 10 % and keeps 10 %", () => {
    const ids = Array.from({ length: 40_000 }, () => 150);
    const { inputs, labels } = maskTokens(ids, random(1), { ...options, rate: 0.5 });
    const chosen = inputs.filter((_, i) => labels[i] !== ignored);
    const share = (test: (id: number) => boolean) => chosen.filter(test).length / chosen.length;
    expect(share((id) => id === 4)).toBeCloseTo(0.8, 1);
    expect(share((id) => id === 100 || id === 101)).toBeCloseTo(0.1, 1);
    expect(share((id) => id === 150)).toBeCloseTo(0.1, 1);
  });

  it("hides whole words, where it knows which tokens go on with one", () =>
    fc.assert(
      fc.property(texts, seeds, (text, seed) => {
        const continues = new Set(text.filter((id) => id % 2 === 1)); // odd tokens go on with a word
        const { labels } = maskTokens(text, random(seed), { ...options, continues });
        for (let i = 1; i < text.length; i++)
          if (continues.has(text[i]!)) expect(labels[i] === ignored).toBe(labels[i - 1] === ignored);
      }),
    ));
});

describe("span corruption", () => {
  const sentinels = Array.from({ length: 30 }, (_, i) => 90 - i);

  it("gives the text back when the spans are put in the sentinels' places", () =>
    fc.assert(
      fc.property(texts, seeds, (text, seed) => {
        const { source, target } = corrupt(text, random(seed), { rate: 0.3, mean: 3, sentinels, eos: 1 });
        expect([source.at(-1), target.at(-1)]).toEqual([1, 1]);
        const spans = new Map<number, number[]>();
        for (const id of target.slice(0, -1))
          if (sentinels.includes(id)) spans.set(id, []);
          else [...spans.values()].at(-1)!.push(id);
        expect(source.slice(0, -1).flatMap((id) => spans.get(id) ?? [id])).toEqual(text);
        expect([...spans.values()].every((span) => span.length > 0)).toBe(true);
        expect(source.filter((id) => sentinels.includes(id))).toEqual(sentinels.slice(0, spans.size)); // in their order
      }),
    ));

  it("hides the share it is asked for in spans of the mean length", () => {
    const text = Array.from({ length: 512 }, (_, i) => 100 + (i % 100));
    const { target } = corrupt(text, random(3), { rate: 0.15, mean: 3, sentinels, eos: 1 });
    expect(target.filter((id) => id >= 100)).toHaveLength(77); // round(512 · 0.15)
    expect(target.filter((id) => sentinels.includes(id))).toHaveLength(26); // round(77 / 3)
  });
});

describe("denoising", () => {
  const options = (...noise: Noise[]) => ({ noise, rate: 0.3, mean: 3, mask: 4, ends: new Set([110, 150]) });

  it("infilling leaves what is not masked in its order, and no two masks for one span", () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 100, max: 199 }), { minLength: 4, maxLength: 60 }),
        seeds,
        (text, seed) => {
          const spoiled = spoil(text, random(seed), options("infilling"));
          const rest = spoiled.filter((id) => id !== 4);
          expect(rest).toEqual(text.filter((id) => rest.includes(id)));
          expect(text.length - rest.length).toBeLessThanOrEqual(Math.round(0.3 * text.length));
          expect(spoiled).toContain(4);
        },
      ),
    ));

  it("permutation keeps each sentence whole", () => {
    const text = [101, 102, 110, 103, 104, 105, 150, 106, 107];
    const sentences = ["101,102,110", "103,104,105,150", "106,107"];
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const spoiled = spoil(text, random(seed), options("permutation")).join();
      for (const sentence of sentences) expect(spoiled).toContain(sentence);
      seen.add(spoiled);
    }
    expect(seen.size).toBe(6); // all orders of three
  });

  it("deletion only leaves tokens out", () =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 100, max: 199 })), seeds, (text, seed) => {
        const spoiled = spoil(text, random(seed), options("deletion"));
        expect(spoiled).toEqual(text.filter((id) => spoiled.includes(id)));
      }),
    ));

  it("lengths of spans are Poisson numbers", () => {
    const stream = random(5);
    const draws = Array.from({ length: 20_000 }, () => poisson(3, stream));
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(3, 1);
    expect(variance).toBeCloseTo(3, 0);
    expect(draws.filter((x) => x === 0).length / draws.length).toBeCloseTo(Math.exp(-3), 2);
  });
});

describe("blanks", () => {
  const blanks = { mask: 10, end: 11, start: 12, stop: 13 };
  const options = { blanks, rate: 0.3, mean: 3 };

  /** The text that a row stands for: each content in the place of its blank. */
  const restored = ({ ids, positions, blockPositions, labels, prefix }: ReturnType<typeof leaveSpans>) => {
    const contents = new Map<number, number[]>();
    for (let i = prefix; i < ids.length; i++) {
      if (ids[i] === 12) expect(blockPositions[i]).toBe(1);
      else expect(blockPositions[i]).toBe(blockPositions[i - 1]! + 1);
      const label = labels[i]!;
      const content = contents.get(positions[i]!) ?? [];
      contents.set(positions[i]!, content);
      if (label !== 13) content.push(label);
      expect(label === 13 || ids[i + 1] === label).toBe(true); // the next token is what was to be predicted
    }
    return ids.slice(0, prefix).flatMap((id, i) => contents.get(i) ?? [id]);
  };

  it("spans in an order of chance give the text back", () =>
    fc.assert(
      fc.property(texts, seeds, (text, seed) => {
        const row = leaveSpans(text, random(seed), options);
        expect(restored(row)).toEqual(text);
        expect(row.labels.slice(0, row.prefix).every((label) => label === ignored)).toBe(true);
        expect(row.blockPositions.slice(0, row.prefix).every((place) => place === 0)).toBe(true);
        expect(row.ids.slice(0, row.prefix).filter((id) => id === 10)).toHaveLength(
          row.ids.filter((id) => id === 12).length,
        );
      }),
    ));

  it("so does a text whose end is left out", () =>
    fc.assert(
      fc.property(texts, seeds, (text, seed) => {
        const row = leaveEnd(text, random(seed), options);
        expect(restored(row)).toEqual(text);
        expect(row.ids[row.prefix - 1]).toBe(11);
      }),
    ));
});
