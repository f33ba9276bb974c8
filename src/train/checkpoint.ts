import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf } from "../core/module.js";
import { syncFolder, writeFileAtomic } from "../hub/atomic-write.js";
import { readJsonObject } from "../hub/json-file.js";
import { ioError } from "../hub/regular-file.js";
import { openSafetensors, writeSafetensors } from "../hub/safetensors.js";
import type { Weights } from "../pretrained/weights.js";
import { type OptimizerOptions, optimizerOf } from "./optimizer.js";
import type { Moments } from "./train-step.js";

/** How far a run has come: all that, with weights and moments, decides what comes next. */
const progressSchema = z.strictObject({
  /** Updates made. */
  step: z.int().min(0),
  /** Examples taken from the training set, over all epochs. */
  position: z.int().min(0),
  /** Tokens trained on. */
  tokens: z.int().min(0),
  /** Time spent, over all sittings. */
  seconds: z.number().min(0),
  /** The losses since the last line of the log: their sum and number. */
  unlogged: z.strictObject({ loss: z.number(), steps: z.int().min(0) }),
  /** The best evaluation so far. */
  best: z
    .strictObject({ step: z.int().min(0), loss: z.number(), metric: z.number().nullable().default(null) })
    .nullable(),
});
export type Progress = z.output<typeof progressSchema>;

/** The state of a run at one step. */
export interface TrainingState {
  readonly weights: Weights;
  readonly moments: Moments;
  readonly progress: Progress;
}

/** Where the parts of a run lie in its folder. The folder itself is the trained model, in Hugging Face's layout. */
export function runPaths(out: string) {
  const training = join(out, "training");
  return {
    training,
    /** Settings and data of the run. It is there once a first checkpoint is. */
    run: join(training, "run.json"),
    log: join(training, "log.jsonl"),
    curve: join(training, "loss.svg"),
  };
}

const complete = /^step-(\d{8,})$/;
const unfinished = /^step-\d{8,}\.(new|old)$/;

/** The complete checkpoints of a run, oldest first. */
export function listCheckpoints(out: string): readonly { readonly step: number; readonly path: string }[] {
  const { training } = runPaths(out);
  if (!existsSync(training)) return [];
  return readdirSync(training)
    .flatMap((name) => {
      const step = complete.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), path: join(training, name) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** Removes what a killed process left half written or half deleted. */
export function removeUnfinished(out: string): void {
  const { training } = runPaths(out);
  if (!existsSync(training)) return;
  for (const name of readdirSync(training))
    if (unfinished.test(name)) rmSync(join(training, name), { recursive: true, force: true });
}

/**
 * Writes a checkpoint: a folder of its own, which gets its name only when all its files are on disk. A process killed at any moment
 * leaves the older checkpoints and, perhaps, the new one; never a part of it.
 *
 * @param keep how many checkpoints stay, the newest
 * @returns the folder
 * @throws TesseraError `io` when it cannot be written; the older ones stay
 */
export function writeCheckpoint(out: string, { weights, moments, progress }: TrainingState, keep: number): string {
  const { training } = runPaths(out);
  const path = join(training, `step-${String(progress.step).padStart(8, "0")}`);
  const fresh = `${path}.new`;
  if (!existsSync(path)) {
    guarded(fresh, () => {
      rmSync(fresh, { recursive: true, force: true });
      mkdirSync(fresh, { recursive: true });
    });
    writeSafetensors(join(fresh, "weights.safetensors"), weights);
    writeSafetensors(join(fresh, "optimizer.safetensors"), momentEntries(moments));
    writeFileAtomic(join(fresh, "progress.json"), `${JSON.stringify(progress, null, 2)}\n`);
    guarded(path, () => renameSync(fresh, path));
    syncFolder(training);
  }
  for (const old of listCheckpoints(out).slice(0, -keep)) {
    // Renamed first: a deletion that is cut short must not leave what looks like a checkpoint.
    guarded(old.path, () => {
      renameSync(old.path, `${old.path}.old`);
      rmSync(`${old.path}.old`, { recursive: true, force: true });
    });
  }
  return path;
}

function guarded(path: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    throw ioError(path, "written", cause);
  }
}

function momentEntries({ expAvg, expAvgSq }: Moments): [string, HostTensor][] {
  return [
    ...[...expAvg].map(([path, tensor]): [string, HostTensor] => [`exp_avg.${path}`, tensor]),
    ...[...expAvgSq].map(([path, tensor]): [string, HostTensor] => [`exp_avg_sq.${path}`, tensor]),
  ];
}

/**
 * Reads a checkpoint of a model.
 *
 * @param optimizer what the run was started with
 * @throws TesseraError `io` or `checkpoint` when a file is missing, damaged, or of another model
 */
export function readCheckpoint(path: string, module: AnyModule, optimizer: OptimizerOptions = {}): TrainingState {
  const file = join(path, "progress.json");
  const progress = progressSchema.safeParse(readJsonObject(file, { code: "checkpoint" }));
  if (!progress.success)
    throw new TesseraError("checkpoint", `${file}: damaged, ${z.prettifyError(progress.error).replace(/\s+/g, " ")}`);
  const moments = join(path, "optimizer.safetensors");
  const squared = (path: string, shape: readonly unknown[]) => optimizerOf(path, shape, optimizer) === "adamw";
  return {
    weights: readParameters(join(path, "weights.safetensors"), module, ""),
    moments: {
      expAvg: readParameters(moments, module, "exp_avg."),
      expAvgSq: readParameters(moments, module, "exp_avg_sq.", squared),
    },
    progress: progress.data,
  };
}

function readParameters(
  path: string,
  module: AnyModule,
  prefix: string,
  has: (path: string, shape: readonly unknown[]) => boolean = () => true,
): Weights {
  using file = openSafetensors(path);
  const parameters = [...parametersOf(module)].filter(([name, { shape }]) => has(name, shape));
  return new Map(
    parameters.map(([name, { shape }]) => {
      const tensor = file.read(prefix + name);
      if (tensor.dtype === "float32" && sameShape(tensor.shape, shape)) return [name, tensor];
      throw new TesseraError(
        "checkpoint",
        `${path}: ${prefix + name} differs from the model, ${tensor.dtype}${formatShape(tensor.shape)} vs float32${formatShape(shape)}`,
      );
    }),
  );
}
