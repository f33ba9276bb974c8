import { basename } from "node:path";
import { TesseraError } from "../core/errors.js";
import { writeFileAtomic } from "../hub/atomic-write.js";
import { saveModel } from "../pretrained/save-model.js";
import type { Weights } from "../pretrained/weights.js";
import { nativeRuntime } from "../runtime/native.js";
import type { Runtime } from "../runtime/session.js";
import { listCheckpoints, type Progress, runPaths, writeCheckpoint } from "./checkpoint.js";
import { evaluator } from "./evaluate.js";
import { lossCurve } from "./loss-curve.js";
import type { Metrics } from "./metrics.js";
import type { TrainingRun } from "./run.js";
import { schedule } from "./schedule.js";
import { trainStep } from "./train-step.js";
import { trainedParts } from "./trained-parts.js";
import { type EvaluationRecord, openLog } from "./training-log.js";

/** What happens while training. */
export type TrainEvent =
  | {
      readonly type: "step";
      /** Updates made, of how many. */
      readonly step: number;
      readonly steps: number;
      /** Times through the training text. */
      readonly epoch: number;
      /** Mean loss of the step's batch, in nats. */
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      /** Over the last steps, evaluations and checkpoints not counted. */
      readonly tokensPerSecond: number;
      /** Seconds to the end at this pace. */
      readonly eta: number;
    }
  | {
      readonly type: "evaluation";
      readonly step: number;
      readonly loss: number;
      readonly perplexity: number;
      /** The task's metrics, where it has any. */
      readonly metrics: Metrics | undefined;
      /** Whether it is the best so far. */
      readonly best: boolean;
    }
  | { readonly type: "checkpoint"; readonly step: number; readonly path: string };

/** How training is watched and stopped. */
export interface TrainOptions {
  readonly onEvent?: (event: TrainEvent) => void;
  /** Ends training after the step under way; all is saved, to be resumed. */
  readonly signal?: AbortSignal;
  /** Default {@link nativeRuntime}. */
  readonly runtime?: Runtime;
}

/** What training came to. */
export interface TrainResult {
  /** `"stopped"`: before its last step, for no evaluation was better for as long as `early_stopping` says. */
  readonly status: "finished" | "stopped" | "interrupted";
  /** Updates made. */
  readonly step: number;
  /** The last and the best evaluation; null where there is none. */
  readonly validation: Pick<EvaluationRecord, "step" | "loss" | "metrics"> | null;
  readonly best: Progress["best"];
  /** Time spent, over all sittings. */
  readonly seconds: number;
}

/**
 * Trains a run to its end, or until the signal. Every so many steps it evaluates, logs, and writes a checkpoint, the model itself
 * and the loss curve. Nothing that it decides depends on time, and evaluations change nothing, so that a run that was interrupted or
 * killed at any moment and resumed ends in the very weights of one that was not.
 *
 * @throws TesseraError `diverged` when a loss, a gradient or a weight is no longer finite; the checkpoints before stay. `io` when a
 *   file cannot be written
 */
export async function train(
  run: TrainingRun,
  { onEvent = () => {}, signal, runtime = nativeRuntime() }: TrainOptions = {},
): Promise<TrainResult> {
  const { settings: s, model, objective, training, validation, tokensPerRow, meter: newMeter, state } = run;
  const tokensPerStep = s.batch_size * tokensPerRow;
  const trained = trainedParts(model.module, s);
  const paths = runPaths(s.out);
  const { weights, moments } = state;
  let { step, position, tokens, unlogged, best } = state.progress;
  let { keepSettings } = run;
  const clock = stopwatch(state.progress.seconds);
  using log = openLog(paths.log, step);
  const rateOf = schedule(s.schedule, {
    peak: s.learning_rate,
    floor: s.min_learning_rate,
    warmupSteps: s.warmup_steps,
    totalSteps: s.steps,
  });
  using compiled = await trainStep(runtime, {
    module: model.module,
    weights,
    moments,
    objective,
    batchSize: s.batch_size,
    microBatchSize: s.micro_batch_size,
    optimizer: {
      name: s.optimizer,
      ...(s.momentum === null ? {} : { momentum: s.momentum }),
      beta1: s.beta1,
      beta2: s.beta2,
      epsilon: s.epsilon,
      weightDecay: s.weight_decay,
      maxGradientNorm: s.max_gradient_norm,
    },
    trainable: trained.trainable,
    groupOf: trained.groupOf,
    seed: s.seed,
    threads: s.threads,
  });
  using evaluation =
    validation &&
    (await evaluator(runtime, {
      module: model.module,
      weights,
      objective,
      rows: s.micro_batch_size,
      threads: s.threads,
    }));

  const diverged = (what: string) => {
    const good = listCheckpoints(s.out).at(-1);
    const from = good ? `. The last good checkpoint is ${good.path}: resume from it with a lower learning_rate` : "";
    return new TesseraError("diverged", `${s.out}: ${what}, learning rate ${rateOf(step).toPrecision(3)}${from}`);
  };
  const publish = () => saveModel(s.out, { ...model, weights }, { dtype: s.dtype });
  const save = () => {
    const broken = firstNotFinite(weights);
    if (broken) throw diverged(`the weights are no longer finite after step ${step}, ${broken}`);
    // The model comes before the checkpoint: once the last checkpoint is there, nothing is left to do.
    if (s.keep === "latest" || best === null) publish();
    writeFileAtomic(paths.curve, lossCurve(log.records, titleOf(run)));
    log.sync();
    keepSettings?.(); // before the checkpoint: cut short here, the run goes on as it was asked to
    keepSettings = undefined; // they stay what they are
    const path = writeCheckpoint(
      s.out,
      { weights, moments, progress: { step, position, tokens, seconds: clock.seconds(), unlogged, best } },
      s.keep_checkpoints,
    );
    onEvent({ type: "checkpoint", step, path });
  };

  const stale = () => s.early_stopping !== null && best !== null && step - best.step >= s.early_stopping * s.eval_every;

  while (step < s.steps && !stale() && !signal?.aborted) {
    const learningRate = rateOf(step);
    for (let row = 0; row < s.batch_size; row++) training.write(position + row, compiled.batch, row);
    const before = performance.now();
    const { loss, gradientNorm } = await compiled.run(step, trained.rates(step, learningRate));
    const tokensPerSecond = clock.pace(tokensPerStep / ((performance.now() - before) / 1000));
    if (!Number.isFinite(loss))
      throw diverged(`the loss became ${loss} in step ${step + 1}, gradient norm ${gradientNorm}`);
    if (!Number.isFinite(gradientNorm))
      throw diverged(`the gradient norm became ${gradientNorm} in step ${step + 1}, loss ${loss}`);
    step++;
    position += s.batch_size;
    tokens += tokensPerStep;
    unlogged = { loss: unlogged.loss + loss, steps: unlogged.steps + 1 };
    const eta = ((s.steps - step) * tokensPerStep) / tokensPerSecond;
    onEvent({
      type: "step",
      step,
      steps: s.steps,
      epoch: position / training.size,
      loss,
      learningRate,
      gradientNorm,
      tokensPerSecond,
      eta,
    });

    const due = (every: number) => step % every === 0 || step === s.steps;
    const seconds = () => round(clock.seconds(), 3);
    if (due(s.log_every)) {
      log.append({
        type: "train",
        step,
        loss: unlogged.loss / unlogged.steps,
        learning_rate: learningRate,
        gradient_norm: gradientNorm,
        tokens,
        tokens_per_second: round(tokensPerSecond, 1),
        seconds: seconds(),
      });
      unlogged = { loss: 0, steps: 0 };
    }
    if (evaluation && due(s.eval_every)) {
      const meter = newMeter?.();
      const loss = await evaluation.evaluate(validation!, meter && ((...args) => meter.add(...args)));
      if (!Number.isFinite(loss)) throw diverged(`the validation loss became ${loss} after step ${step}`);
      const metrics = meter?.result();
      const metric = run.bestBy === undefined ? null : metrics![run.bestBy]!;
      const isBest = best === null || (metric === null ? loss < best.loss : metric > best.metric!);
      if (isBest) best = { step, loss, metric };
      log.append({
        type: "evaluation",
        step,
        loss,
        perplexity: Math.exp(loss),
        ...(metrics ? { metrics } : {}),
        seconds: seconds(),
      });
      onEvent({ type: "evaluation", step, loss, perplexity: Math.exp(loss), metrics, best: isBest });
      if (isBest && s.keep === "best") publish();
    }
    if (due(s.checkpoint_every) || stale() || signal?.aborted) save();
  }
  const last = log.records.findLast((record) => record.type === "evaluation");
  return {
    status: step >= s.steps ? "finished" : stale() ? "stopped" : "interrupted",
    step,
    validation: last ?? null,
    best,
    seconds: clock.seconds(),
  };
}

/** Time spent, added to that of earlier sittings, and a running mean of speeds. */
function stopwatch(earlier: number) {
  const start = performance.now();
  let mean: number | undefined;
  return {
    seconds: () => earlier + (performance.now() - start) / 1000,
    pace(speed: number): number {
      mean = mean === undefined ? speed : 0.9 * mean + 0.1 * speed;
      return mean;
    },
  };
}

function firstNotFinite(weights: Weights): string | undefined {
  for (const [path, { data }] of weights) if (!(data as Float32Array).every(Number.isFinite)) return path;
  return undefined;
}

function titleOf({ settings, model, state }: TrainingRun): string {
  const count = [...state.weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  const size = count >= 1e6 ? `${(count / 1e6).toFixed(1)}M` : `${Math.round(count / 1e3)}k`;
  return `${basename(settings.out)} · ${model.family.modelType}, ${size} parameters`;
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));
