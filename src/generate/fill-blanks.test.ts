import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blankLogits } from "../../test/support/blank-rows.js";
import { countingGlm } from "../../test/support/counting-glm.js";
import { freshModel } from "../../test/support/fresh-model.js";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { type TrainingRun, train } from "../train/index.js";
import { blankIds } from "../train/tasks/blank-infilling.js";
import { type FillBlanksOptions, fillBlanks } from "./fill-blanks.js";
import { suppressTokens, temperature } from "./logits-processors.js";

describe("a model that has learned to count", { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  let run: TrainingRun;
  beforeAll(async () => {
    run = await countingGlm(folder.path, 200);
    await train(run);
  }, 120_000);
  afterAll(() => folder[Symbol.dispose]());

  async function fill(text: string, more: Partial<FillBlanksOptions> = {}) {
    const { mask, end, start, stop } = blankIds(run.tokenizer, "test");
    const ids = run.tokenizer.encode(text);
    const filled = await fillBlanks(run.model, ids, { blanks: [mask, end], start, stop, maxNewTokens: 5, ...more });
    return { ...filled, texts: filled.contents.map((content) => run.tokenizer.decode(content)) };
  }

  it.each([
    [" one two[MASK] five six one", [" three four"]],
    [" one[MASK] three four[MASK] six one two", [" two", " five"]],
    [" three four[gMASK]", [" five six one two three"]],
  ])("fills the blanks of %j", async (text, expected) => {
    const { texts, ids } = await fill(text);
    expect(texts).toEqual(expected);
    expect(run.tokenizer.decode(ids)).toBe(
      text.split(/\[g?MASK\]/).reduce((whole, part, i) => whole + expected[i - 1]! + part),
    );
  });

  it("draws as the seed says, within what the processors leave", async () => {
    const hot = { processors: [temperature(50)], maxNewTokens: 4 };
    const text = " one two[MASK] five six one";
    const [a, b, c] = [
      await fill(text, { ...hot, seed: 1 }),
      await fill(text, { ...hot, seed: 1 }),
      await fill(text, { ...hot, seed: 2 }),
    ];
    expect(a).toEqual(b);
    expect(a.contents).not.toEqual(c.contents);
    const all = Array.from({ length: run.model.facts.vocabSize }, (_, id) => id);
    const only = run.tokenizer.idOf("Ġsix")!;
    const { texts } = await fill(text, { processors: [suppressTokens(all.filter((id) => id !== only))], seed: 3 });
    expect(texts).toEqual([" six".repeat(5)]);
  });

  it("goes on until the model's context is full, and stops where it is told to", async () => {
    const { stop } = blankIds(run.tokenizer, "test");
    const { ids } = await fill(" one two[gMASK]", { maxNewTokens: 100, processors: [suppressTokens([stop])] });
    expect(ids.length).toBeLessThanOrEqual(14);
    expect(ids.length).toBeGreaterThan(10);
    await expect(fill(" one[MASK]", { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});

it("scores each token as training does for the same row, blanks from left to right", async () => {
  const model = freshModel("glm-2022");
  const [MASK, GMASK, START, STOP] = [1, 2, 3, 4];
  const text = [10, MASK, 11, 12, GMASK];
  const seen: { logits: number[]; content: readonly number[] }[] = [];
  const { contents } = await fillBlanks(model, text, {
    blanks: [MASK, GMASK],
    start: START,
    stop: STOP,
    maxNewTokens: 3,
    processors: [
      (logits, content) => {
        seen.push({ logits: [...logits], content: [...content] });
        logits[STOP] = Number.NEGATIVE_INFINITY;
      },
    ],
  });
  expect(contents.map((content) => content.length)).toEqual([3, 3]);
  const [first, second] = contents as [number[], number[]];
  expect(seen.map(({ content }) => content)).toEqual([
    ...[0, 1, 2].map((n) => first.slice(0, n)),
    ...[0, 1, 2].map((n) => second.slice(0, n)),
  ]);
  // The second blank sees all that the first one was filled with.
  const [whole] = await blankLogits(
    model,
    [
      {
        ids: [...text, START, ...first, START, ...second.slice(0, 2)],
        positions: [0, 1, 2, 3, 4, 1, 1, 1, 1, 4, 4, 4],
        blockPositions: [0, 0, 0, 0, 0, 1, 2, 3, 4, 1, 2, 3],
        prefix: text.length,
      },
    ],
    16,
  );
  const places = [5, 6, 7, 9, 10, 11];
  for (const [i, { logits }] of seen.entries())
    for (const [id, logit] of logits.entries()) expect(logit).toBeCloseTo(whole![places[i]!]![id]!, 4);
});

describe("refused", () => {
  const model = freshModel("glm-2022");
  const options = { blanks: [1], start: 3, stop: 4 };

  it.each([
    ["a text without blanks", [5, 6], "fillBlanks: there is no blank in the text"],
    ["no text", [], "fillBlanks: there is no blank in the text"],
    [
      "a text that is too long",
      [1, ...Array<number>(22).fill(7)],
      "fillBlanks: the text leaves no room for an answer, 23 tokens of 24",
    ],
  ])("%s", async (_, ids, message) => {
    await expect(fillBlanks(model, ids, options)).rejects.toThrow(message);
  });

  it("a model of another task", async () => {
    await expect(fillBlanks(freshModel("gpt2"), [1], options)).rejects.toThrow(
      "fillBlanks: the model's task is causal-lm (blank-infilling expected)",
    );
  });
});
