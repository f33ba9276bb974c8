import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { evaluationWindows, trainingWindows } from "./windows.js";

const rows = (length: number) => ({
  inputs: hostTensor(new BigInt64Array(length), [1, length], "int64"),
  labels: hostTensor(new BigInt64Array(length), [1, length], "int64"),
});

/** Token i is i, so a window shows where it was cut. */
const counting = (count: number) => Int32Array.from({ length: count }, (_, i) => i);

function read(
  set: { write(at: number, batch: ReturnType<typeof rows>, row: number): void },
  at: number,
  length: number,
): { inputs: number[]; labels: number[] } {
  const batch = rows(length);
  set.write(at, batch, 0);
  return {
    inputs: Array.from(batch.inputs.data as BigInt64Array, Number),
    labels: Array.from(batch.labels.data as BigInt64Array, Number),
  };
}

const corpus = fc.record({
  length: fc.integer({ min: 1, max: 9 }),
  extra: fc.integer({ min: 1, max: 80 }),
  seed: fc.nat(),
});

describe("training windows", () => {
  it("are consecutive tokens with the tokens after as labels, side by side, each once an epoch", () => {
    fc.assert(
      fc.property(corpus, ({ length, extra, seed }) => {
        const tokens = counting(length + extra);
        const set = trainingWindows(tokens, length, seed, "text");
        for (let epoch = 0; epoch < 3; epoch++) {
          const windows = Array.from({ length: set.size }, (_, i) => read(set, epoch * set.size + i, length));
          for (const { inputs, labels } of windows) {
            expect(inputs).toEqual(inputs.map((_, i) => inputs[0]! + i));
            expect(labels).toEqual(inputs.map((token) => token + 1));
            expect(labels.at(-1)).toBeLessThan(tokens.length);
          }
          const starts = windows.map(({ inputs }) => inputs[0]!).sort((a, b) => a - b);
          expect(starts).toEqual(starts.map((_, i) => starts[0]! + i * length));
        }
        expect(set.size * length).toBeGreaterThanOrEqual(Math.min(length, tokens.length - 1 - 2 * length));
      }),
    );
  });

  it("depend on seed and position alone, not on what was read before", () => {
    fc.assert(
      fc.property(
        corpus,
        fc.array(fc.nat(300), { minLength: 1, maxLength: 12 }),
        ({ length, extra, seed }, positions) => {
          const tokens = counting(length + extra);
          const jumping = trainingWindows(tokens, length, seed, "text");
          for (const at of positions)
            expect(read(jumping, at, length)).toEqual(read(trainingWindows(tokens, length, seed, "text"), at, length));
        },
      ),
    );
  });

  it("come in another order, cut at other places, in every epoch and for every seed", () => {
    const starts = (seed: number, epoch: number) => {
      const set = trainingWindows(counting(1000), 10, seed, "text");
      return Array.from({ length: set.size }, (_, i) => read(set, epoch * set.size + i, 10).inputs[0]!);
    };
    const runs = [starts(1, 0), starts(1, 1), starts(1, 2), starts(2, 0)];
    expect(new Set(runs.map(String)).size).toBe(4);
    expect(new Set(runs.map((run) => Math.min(...run))).size).toBeGreaterThan(1);
  });

  it("need a window and the token after", () => {
    expect(trainingWindows(counting(9), 8, 0, "text").size).toBe(1);
    expect(() => trainingWindows(counting(8), 8, 0, "a.txt: training part")).toThrow(
      "a.txt: training part: too little text, 8 tokens for windows of 8 and the token after (8 vs 9)",
    );
  });
});

describe("evaluation windows", () => {
  it("predict every token but the first, once", () => {
    fc.assert(
      fc.property(corpus, ({ length, extra }) => {
        const tokens = counting(length + extra);
        const set = evaluationWindows(tokens, length, 1e9, "text");
        const predicted = Array.from({ length: set.size }, (_, i) =>
          read(set, i, length).labels.filter((label) => label !== -100),
        ).flat();
        expect(predicted).toEqual(Array.from(tokens.slice(1)));
      }),
    );
  });

  it("are spread over the text where only some are taken", () => {
    const set = evaluationWindows(counting(1001), 10, 5, "text");
    expect(Array.from({ length: set.size }, (_, i) => read(set, i, 10).inputs[0])).toEqual([0, 200, 400, 600, 800]);
  });
});
