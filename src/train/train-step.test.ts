import { describe, expect, it } from "vitest";
import { configReader } from "../core/config-reader.js";
import { initialize } from "../core/initialize.js";
import { randomStream } from "../core/random-stream.js";
import { gpt2, gpt2LmHeadModel } from "../models/gpt2.js";
import type { Weights } from "../pretrained/weights.js";
import { nativeRuntime } from "../runtime/native.js";
import { evaluator } from "./evaluate.js";
import { causalLanguageModeling, ignored } from "./objective.js";
import { type TrainStep, type TrainStepOptions, trainStep } from "./train-step.js";

const length = 8;
const vocabSize = 11;
const objective = causalLanguageModeling(length);

function tinyModel(dropout = 0) {
  const raw = gpt2.fresh({ vocabSize, contextLength: length, layers: 1, heads: 2, d: 8, dropout });
  return gpt2LmHeadModel(gpt2.parse(configReader(raw, "tiny")));
}

async function open(options: Partial<TrainStepOptions> = {}, dropout = 0): Promise<TrainStep> {
  const module = tinyModel(dropout);
  const step = await trainStep(nativeRuntime(), {
    module,
    weights: initialize(module, 1),
    objective,
    batchSize: 6,
    threads: 2,
    ...options,
  });
  fill(step.batch);
  return step;
}

/** Rows that differ in how many labels count. */
function fill({ inputs, labels }: TrainStep["batch"]): void {
  const random = randomStream(5);
  for (let i = 0; i < inputs!.data.length; i++) {
    inputs!.data[i] = BigInt(random.below(vocabSize));
    labels!.data[i] = BigInt(i % length < 3 + Math.floor(i / length) ? random.below(vocabSize) : ignored);
  }
}

const copy = (weights: Weights) =>
  new Map([...weights].map(([path, { data }]) => [path, Float32Array.from(data as Float32Array)]));

function largestDifference(a: ReturnType<typeof copy>, b: ReturnType<typeof copy>): number {
  return Math.max(...[...a].map(([path, x]) => Math.max(...x.map((v, i) => Math.abs(v - b.get(path)![i]!)))));
}

describe("micro-batches", () => {
  it.each([
    [3, "runs", "adamw"],
    [1, "runs", "adamw"],
    [2, "unrolled", "adamw"],
    [1, "unrolled", "adamw"],
    [3, "runs", "muon"],
  ] as const)(
    "of %i rows in the form of %s do with %s what the whole batch does",
    async (microBatchSize, accumulation, name) => {
      using whole = await open({ optimizer: { name } });
      using parts = await open({ microBatchSize, accumulation, optimizer: { name } });
      for (let i = 0; i < 3; i++) {
        const [a, b] = [await whole.run(i, 0.01), await parts.run(i, 0.01)];
        expect(b.loss).toBeCloseTo(a.loss, 5);
        expect(b.gradientNorm / a.gradientNorm).toBeCloseTo(1, 4);
      }
      // Adam divides by the root of the mean square, which magnifies rounding where gradients are tiny.
      expect(largestDifference(copy(parts.weights), copy(whole.weights))).toBeLessThan(1e-3);
      expect(largestDifference(copy(parts.moments.expAvg), copy(whole.moments.expAvg))).toBeLessThan(1e-5);
      expect(largestDifference(copy(parts.moments.expAvgSq), copy(whole.moments.expAvgSq))).toBeLessThan(1e-5);
    },
  );

  it("must divide the batch", async () => {
    await expect(open({ microBatchSize: 4 })).rejects.toThrow(
      "trainStep: a micro-batch of 4 rows does not divide a batch of 6",
    );
  });
});

it("reports the loss before the update, over the labels that count", async () => {
  using step = await open();
  const { module, weights } = { module: tinyModel(), weights: step.weights };
  using evaluation = await evaluator(nativeRuntime(), { module, weights, objective, rows: 4, threads: 2 });
  const set = {
    size: 6,
    write: (index: number, batch: TrainStep["batch"], row: number) => {
      for (const name of ["inputs", "labels"] as const)
        (batch[name]!.data as BigInt64Array).set(
          (step.batch[name]!.data as BigInt64Array).subarray(index * length, (index + 1) * length),
          row * length,
        );
    },
  };
  const before = await evaluation.evaluate(set); // 6 rows, 4 at a time: the last batch is filled up
  const { loss } = await step.run(0, 0.01);
  expect(loss).toBeCloseTo(before, 5);
  expect(await evaluation.evaluate(set)).toBeLessThan(before - 0.01); // it sees the weights that were updated in place
  expect(await evaluation.evaluate(set)).toBe(await evaluation.evaluate(set));
});

it("learns its batch by heart", async () => {
  using step = await open({ microBatchSize: 3 });
  const losses: number[] = [];
  for (let i = 0; i < 120; i++) losses.push((await step.run(i, 0.02)).loss);
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.7);
});

describe("dropout", () => {
  const run = async (options: Partial<TrainStepOptions>, first = 0) => {
    using step = await open(options, 0.3);
    return (await step.run(first, 0.01)).loss;
  };
  it("depends on seed and step alone", async () => {
    const loss = await run({ seed: 1 });
    expect(await run({ seed: 1 })).toBe(loss);
    expect(await run({ seed: 2 })).not.toBe(loss);
    expect(await run({ seed: 1 }, 1)).not.toBe(loss);
  });
  it("differs between the micro-batches of a step", async () => {
    for (const accumulation of ["runs", "unrolled"] as const) {
      using step = await open({ microBatchSize: 3, accumulation, seed: 1 }, 0.3);
      for (const { data } of Object.values(step.batch)) (data as BigInt64Array).copyWithin(24, 0, 24); // two equal halves
      const both = (await step.run(0, 0)).loss;
      using half = await open({ batchSize: 3, seed: 1 }, 0.3); // the first half alone has the first key of the same step
      for (const [name, { data }] of Object.entries(half.batch))
        (data as BigInt64Array).set((step.batch[name]!.data as BigInt64Array).subarray(0, 24));
      const first = (await half.run(0, 0)).loss;
      expect(Math.abs(both - first)).toBeGreaterThan(1e-4);
    }
  });
});

it("gives the same bits every time, with several threads", async () => {
  const train = async () => {
    using step = await open({ microBatchSize: 2, seed: 3 }, 0.2);
    for (let i = 0; i < 5; i++) await step.run(i, 0.01);
    return copy(step.weights);
  };
  expect(await train()).toEqual(await train());
});

it("leaves the weights alone at a rate of 0", async () => {
  using step = await open({ microBatchSize: 2 });
  const before = copy(step.weights);
  await step.run(0, 0);
  expect(copy(step.weights)).toEqual(before);
});
