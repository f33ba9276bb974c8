import { describe, expect, it } from "vitest";
import { type BeamSettings, beamSearch } from "./beam-search.js";
import type { Decoder } from "./decoder.js";

type Predict = (text: readonly number[]) => readonly number[];

/** A decoder whose logits are a function of the text; rows are copied as the search asks. */
function tableDecoder(batch: number, vocabSize: number, predict: Predict): Decoder {
  const texts: number[][] = Array.from({ length: batch }, () => []);
  const logits = (row: number) => Float32Array.from(predict(texts[row]!));
  const add = async (row: number, ids: readonly number[]) => {
    texts[row]!.push(...ids);
    return logits(row);
  };
  return {
    batch,
    vocabSize,
    contextLength: undefined,
    length: (row) => texts[row]!.length,
    clear: (row) => {
      texts[row] = [];
    },
    read: () => Promise.reject(new Error("there is no source")),
    append: add,
    step: (ids) => Promise.all(ids.map((id, row) => (id === undefined ? new Float32Array(vocabSize) : add(row, [id])))),
    copyRow: (from, to) => {
      texts[to] = [...texts[from]!];
    },
    dispose: () => {},
    [Symbol.dispose]: () => {},
  };
}

/** Unrelated logits for every text. */
const scattered =
  (vocabSize: number, salt: number): Predict =>
  (text) =>
    Array.from(
      { length: vocabSize },
      (_, id) => 3 * Math.sin(1000 * Math.sin([...text, id, salt].reduce((h, x) => (h * 31 + x + 7) % 10007, 1))),
    );

const logProbabilities = (logits: readonly number[]) => {
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  return logits.map((x) => x - total);
};

/** Every text that can be found, best first. */
function enumerate(
  prompt: readonly number[],
  vocabSize: number,
  predict: Predict,
  eos: number,
  longest: number,
  penalty: number,
) {
  const found: { ids: number[]; score: number }[] = [];
  const visit = (ids: readonly number[], score: number) => {
    if (ids.length > 0 && (ids.at(-1) === eos || ids.length === longest))
      found.push({ ids: [...ids], score: score / ids.length ** penalty });
    else
      for (let id = 0; id < vocabSize; id++)
        visit([...ids, id], score + logProbabilities(predict([...prompt, ...ids]))[id]!);
  };
  visit([], 0);
  return found.sort((a, b) => b.score - a.score);
}

const settings = (
  numBeams: number,
  lengthPenalty = 1,
  earlyStopping: BeamSettings["earlyStopping"] = false,
): BeamSettings => ({
  numBeams,
  lengthPenalty,
  earlyStopping,
  logprobs: undefined,
});
const plain = { source: undefined, eos: [0], process: () => {} };

describe("beamSearch", () => {
  it.each([0, 1, 2, -0.5])(
    "with beams enough for every text finds them all in order, length penalty %d",
    async (penalty) => {
      for (const salt of [1, 2, 3]) {
        const predict = scattered(3, salt);
        const prompts = [[1, 2], [2]];
        using decoder = tableDecoder(2 * 32, 3, predict);
        const results = await beamSearch(
          decoder,
          prompts.map((begin) => ({ ...plain, begin, left: 4 })),
          settings(32, penalty, "never"),
          {},
        );
        for (const [p, prompt] of prompts.entries()) {
          const expected = enumerate(prompt, 3, predict, 0, 4, penalty);
          const found = results[p]!.filter(({ score }) => score > -1e6).slice(0, expected.length);
          expect(found.map(({ ids }) => ids)).toEqual(expected.slice(0, found.length).map(({ ids }) => ids));
          expect(found.length).toBe(Math.min(32, expected.length));
          for (const [i, { score }] of found.entries()) expect(score).toBeCloseTo(expected[i]!.score, 4);
        }
      }
    },
  );

  it("ends when its kind of early stopping says so", async () => {
    const even: Predict = () => [0.4, 0.35, 0.25].map(Math.log); // the end, and two tokens, whatever came before
    const search = async (penalty: number, early: BeamSettings["earlyStopping"], maxNewTokens = 3) => {
      using decoder = tableDecoder(2, 3, even);
      const [found] = await beamSearch(
        decoder,
        [{ ...plain, begin: [1], left: maxNewTokens }],
        settings(2, penalty, early),
        {},
      );
      return found!.map(({ ids }) => ids.join(""));
    };
    // log 0.4 = −0.92 for "0"; −1.97/2 for "10"; −2.10/2 at most for what begins with "11"
    expect(await search(1, true)).toEqual(["0", "10"]);
    expect(await search(1, false)).toEqual(["0", "10"]);
    // length squared: −1.97/4 for "10", −3.02/9 for "110", −3.15/9 for "111"
    expect(await search(2, true)).toEqual(["10", "0"]);
    expect(await search(2, false)).toEqual(["110", "111"]);
    // sums alone: with the true bound of all lengths, "never" goes on where false gives up, and finds the same
    expect(await search(0, "never", 6)).toEqual(["0", "10"]);
    expect(await search(3, "never", 6)).toEqual(["111110", "111111"]);
  });

  it("hands the processors the text of the beam, whichever row it is in", async () => {
    const predict = scattered(5, 9);
    using decoder = tableDecoder(3, 5, predict);
    const seen: { history: readonly number[]; logits: number[] }[] = [];
    const process = (logits: Float32Array, history: readonly number[]) => {
      seen.push({ history, logits: [...logits] });
    };
    await beamSearch(decoder, [{ ...plain, begin: [4], left: 7, eos: [], process }], settings(3), {});
    for (const { history, logits } of seen.slice(3))
      for (const [id, x] of logProbabilities(predict(history)).entries()) expect(logits[id]).toBeCloseTo(x, 4);
    expect(seen).toHaveLength(3 * 7);
    expect(new Set(seen.map(({ history }) => history.join())).size).toBeGreaterThan(15);
  });
});
