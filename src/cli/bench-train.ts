import { configReader } from "../core/config-reader.js";
import { initialize } from "../core/initialize.js";
import { parametersOf } from "../core/module.js";
import { gpt2, gpt2LmHeadModel } from "../models/gpt2.js";
import { nativeRuntime } from "../runtime/native.js";
import { causalLanguageModeling } from "../train/objective.js";
import { type TrainStep, trainStep } from "../train/train-step.js";
import type { TrainFlags } from "./bench-flags.js";
import { forwardFlops } from "./forward-flops.js";
import { matmulPeak } from "./machine-peak.js";
import { median } from "./median.js";

/**
 * Times whole training steps of GPT-2 (forward, backward, clipping, AdamW; float32), alternating with the machine's matrix product.
 * Work is counted as usual: three times the forward's matrix products, with attention over the full square.
 */
export async function benchTrain(flags: TrainFlags): Promise<Readonly<Record<string, number | string>>> {
  const { layers, heads, d, vocab, context, batch, steps } = flags;
  const threads = flags.threads === undefined ? {} : { threads: flags.threads };
  const raw = gpt2.fresh({ vocabSize: vocab, contextLength: context, layers, heads, d, dropout: 0 });
  const fields = configReader(raw, "bench train");
  const config = gpt2.parse(fields);
  fields.done();
  const module = gpt2LmHeadModel(config);
  const runtime = nativeRuntime();

  const work = (3 * forwardFlops(module, batch, context)) / 1e9;
  const parameters = [...parametersOf(module).values()].reduce(
    (n, { shape }) => n + shape.reduce((a, b) => a * b, 1),
    0,
  );

  const open = async (microBatchSize: number): Promise<TrainStep> => {
    const step = await trainStep(runtime, {
      module,
      weights: initialize(module, 1),
      objective: causalLanguageModeling(context),
      batchSize: batch,
      microBatchSize,
      ...threads,
    });
    for (const [name, shift] of [
      ["inputs", 0],
      ["labels", 1],
    ] as const)
      for (let i = 0, ids = step.batch[name]!.data; i < ids.length; i++) ids[i] = BigInt(((i + shift) * 7) % vocab);
    return step;
  };
  let count = 0;
  const time = async (step: TrainStep) => {
    const start = performance.now();
    await step.run(count++, 3e-4);
    return performance.now() - start;
  };

  let microBatch = flags.microBatch ?? batch;
  if (flags.microBatch === undefined) {
    let best = Number.POSITIVE_INFINITY;
    for (const size of Array.from({ length: batch }, (_, i) => i + 1).filter(
      (n) => batch % n === 0 && batch / n <= 12,
    )) {
      using step = await open(size);
      await time(step);
      const tried = Math.min(await time(step), await time(step), await time(step));
      if (tried < best) [best, microBatch] = [tried, size];
    }
  }
  using step = await open(microBatch);
  using peak = await matmulPeak(runtime, threads);
  await time(step);
  const times: number[] = [];
  const peaks: number[] = [];
  for (let i = 0; i < steps; i++) {
    peaks.push(peak.sample());
    times.push(await time(step));
  }
  const milliseconds = median(times);
  const gflops = work / (milliseconds / 1000);
  const matmulPeakGflops = median(peaks);
  return {
    parameters,
    batch,
    microBatch,
    millisecondsPerStep: milliseconds,
    tokensPerSecond: (batch * context) / (milliseconds / 1000),
    gflops,
    matmulPeakGflops,
    shareOfPeak: gflops / matmulPeakGflops,
    engine: runtime.description,
  };
}
