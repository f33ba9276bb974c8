import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { TesseraError } from "../core/errors.js";
import { initialize } from "../core/initialize.js";
import { parametersOf } from "../core/module.js";
import { quote } from "../core/quote.js";
import { writeFileAtomic } from "../hub/atomic-write.js";
import type { GenerationConfig } from "../hub/generation-config.js";
import { isObject, readJsonObject } from "../hub/json-file.js";
import { ioError } from "../hub/regular-file.js";
import type { FileRecord } from "../hub/text-file.js";
import { familyOf, presetNames, presetOf } from "../models/index.js";
import { labelFields } from "../models/labels.js";
import type { AnyModelFamily, ModelSizes, Task } from "../models/model.js";
import {
  describeModel,
  identifyingFields,
  type LanguageModel,
  readChangedConfig,
  readModel,
} from "../pretrained/load-model.js";
import { defaultThreads } from "../runtime/threads.js";
import { loadTokenizer, saveTokenizer } from "../text/load-tokenizer.js";
import type { LoadedTokenizer } from "../text/tokenizer-from-json.js";
import {
  listCheckpoints,
  readCheckpoint,
  removeUnfinished,
  runPaths,
  type TrainingState,
  writeCheckpoint,
} from "./checkpoint.js";
import { isHiddenMatrix } from "./muon.js";
import { parseTrainSettings, type RunSettings, type TrainSettings } from "./settings.js";
import {
  type PreparedData,
  suitingTask,
  type TaskData,
  type TrainingTask,
  taskByColumns,
  taskOf,
  taskSettings,
  trainingTasks,
} from "./tasks/index.js";
import { freshMoments } from "./train-step.js";
import { trainTokenizer } from "./train-tokenizer.js";
import { trainedParts } from "./trained-parts.js";

/** A run that is ready to train: started, or read back from its folder. */
export interface TrainingRun extends PreparedData {
  readonly settings: RunSettings;
  readonly task: TrainingTask;
  readonly model: LanguageModel;
  readonly tokenizer: LoadedTokenizer;
  /** Writes down settings that have changed, for the next resumption; called when something is saved that they have made. */
  readonly keepSettings?: () => void;
  /** The metric that the best evaluation has the highest of; undefined: the least loss. */
  readonly bestBy: string | undefined;
  /** Where it stands; its weights are the model's. */
  readonly state: TrainingState;
  /** What is worth knowing before it trains, one line each. */
  readonly warnings: readonly string[];
}

/** What preparing a run tells. */
export interface PrepareOptions {
  /** Told how far a step of the preparation is, as a share of 1. */
  readonly onProgress?: (stage: "tokenizer" | "encoding", done: number) => void;
}

/**
 * Starts a run: reads the data, makes or loads tokenizer and model, and writes the first checkpoint. All that can be refused is
 * refused before anything is written.
 *
 * @throws TesseraError `data` for text that cannot be used, `argument` when the folder holds a run or a model already, and as the
 *   parts do
 * @example
 * const run = await startRun(parseTrainSettings({ data: ["moby-dick.txt"], out: "runs/melville", steps: 2000 }));
 * await train(run, { onEvent: (event) => console.log(event) });
 */
export async function startRun(given: TrainSettings, options: PrepareOptions = {}): Promise<TrainingRun> {
  const { out, from } = given;
  const paths = runPaths(out);
  if (existsSync(paths.run))
    throw new TesseraError("argument", `${out}: there is a run already. Resume it, or choose another folder`);
  if (existsSync(join(out, "config.json")))
    throw new TesseraError("argument", `${out}: there is a model already. Choose another folder`);
  const described = from === null ? undefined : describeFolder(from, given);
  const task = await taskFor(given, described?.family ?? freshFamily(given), described?.task);
  requireUsed(given, task);
  const source = await task.read(given);
  const loaded = described && loadFor(from!, described, task, source, given);
  const tokenizer = await tokenizerFor(given, task, source.texts, options);
  const model = loaded ?? freshModel(given, task, source, tokenizer);
  const context_length = contextLength(given, model);
  requireVocabulary(model, tokenizer, given);
  requireOptimizer(model, given);
  requireTrained(model, given);
  const data = prepare(task, source, { ...given, context_length }, model, tokenizer, options);
  const settings = decide({ ...given, task: task.name, context_length }, data);
  const state: TrainingState = {
    weights: model.weights,
    moments: freshMoments(model.weights, { name: settings.optimizer }),
    progress: { step: 0, position: 0, tokens: 0, seconds: 0, unlogged: { loss: 0, steps: 0 }, best: null },
  };

  try {
    // Without run.json there is no run: whatever else is there is left from a start that was cut short.
    for (const { path } of listCheckpoints(out)) renameSync(path, `${path}.old`);
    removeUnfinished(out);
    rmSync(paths.log, { force: true });
    mkdirSync(paths.training, { recursive: true });
  } catch (cause) {
    throw ioError(paths.training, "written", cause);
  }
  writeCheckpoint(out, state, settings.keep_checkpoints);
  await saveTokenizer(out, tokenizer);
  const record: RunRecord = {
    version: 1,
    settings,
    files: source.files.map(({ size, sha256 }: FileRecord) => ({ bytes: size, sha256 })),
    config: model.rawConfig,
    architecture: model.architecture,
    generation: model.generation,
    generationExtra: model.generationExtra,
  };
  writeRecord(paths.run, record);
  return {
    settings,
    task,
    model,
    tokenizer,
    state,
    ...data,
    warnings: warningsOf(model, settings, source, data.training.size),
  };
}

/** Settings that may change when a run goes on; `data` only where the files lie. */
const changeable = new Set<keyof TrainSettings>([
  ...([
    "data",
    "steps",
    "learning_rate",
    "min_learning_rate",
    "schedule",
    "warmup_steps",
    "weight_decay",
    "max_gradient_norm",
  ] as const),
  ...([
    "threads",
    "log_every",
    "eval_every",
    "eval_windows",
    "checkpoint_every",
    "keep_checkpoints",
    "keep",
    "dtype",
  ] as const),
]);

/**
 * Reads a run back from its folder, at its newest checkpoint. It goes on as if it had never stopped: with the settings it started
 * with, the finished weights are those of an uninterrupted run, bit for bit.
 *
 * @param overrides settings to change from here on, also for the next resumption once a checkpoint is written; undefined ones count as absent
 * @throws TesseraError `config` for a setting that cannot change, `data` when the text is not the same, `checkpoint` or `io` when
 *   the folder holds no run or is damaged
 */
export async function resumeRun(
  out: string,
  overrides: Partial<TrainSettings> = {},
  options: PrepareOptions = {},
): Promise<TrainingRun> {
  const paths = runPaths(out);
  if (!existsSync(paths.run))
    throw new TesseraError("checkpoint", `${out}: there is no run to resume (no ${paths.run})`);
  const record = readRecord(paths.run);
  const changes = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const fixed = Object.keys(changes).filter((key) => !changeable.has(key as keyof TrainSettings));
  if (fixed.length > 0)
    throw new TesseraError("config", `${out}: ${fixed.join(", ")} cannot change once a run has started`);
  const before = record.settings;
  // The rate at the end stays the same share of the highest one, unless it is given.
  const floor = ((overrides.learning_rate ?? before.learning_rate) / before.learning_rate) * before.min_learning_rate;
  const merged = { ...before, min_learning_rate: floor, ...changes, out };
  const settings = parseTrainSettings(merged, paths.run, {}) as RunSettings;

  removeUnfinished(out);
  const checkpoint = listCheckpoints(out).at(-1);
  if (!checkpoint) throw new TesseraError("checkpoint", `${paths.training}: there is no checkpoint to resume from`);
  const described = describeModel({ ...record.config, architectures: [record.architecture] }, paths.run);
  const state = readCheckpoint(checkpoint.path, described.module, { name: settings.optimizer });
  if (settings.steps < state.progress.step)
    throw new TesseraError("config", `steps: the run is past that, ${settings.steps} vs step ${state.progress.step}`);
  const { config: rawConfig, generation, generationExtra } = record;
  const model = { ...described, rawConfig, weights: state.weights, generation, generationExtra };
  const task = taskOf(settings.task);
  const source = await task.read(settings);
  requireSameFiles(source.files, record.files);
  const tokenizer = await loadTokenizer(out);
  const data = prepare(task, source, settings, model, tokenizer, options);
  return {
    settings,
    ...(Object.keys(changes).length > 0 ? { keepSettings: () => writeRecord(paths.run, { ...record, settings }) } : {}),
    task,
    model,
    tokenizer,
    state,
    ...data,
    warnings: warningsOf(model, settings, source, data.training.size),
  };
}

/** What run.json holds. */
interface RunRecord {
  readonly version: 1;
  readonly settings: RunSettings;
  readonly files: readonly { readonly bytes: number; readonly sha256: string }[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly architecture: string;
  readonly generation: GenerationConfig;
  readonly generationExtra: Readonly<Record<string, unknown>>;
}

function writeRecord(path: string, { settings, ...rest }: RunRecord): void {
  const data = settings.data.map((file) => resolve(file));
  writeFileAtomic(path, `${JSON.stringify({ ...rest, settings: { ...settings, data } }, null, 2)}\n`);
}

function readRecord(path: string): RunRecord {
  const record = readJsonObject(path, { code: "checkpoint" });
  if (
    record.version === 1 &&
    isObject(record.settings) &&
    isObject(record.config) &&
    isObject(record.generation) &&
    isObject(record.generationExtra) &&
    Array.isArray(record.files)
  )
    return record as unknown as RunRecord;
  throw new TesseraError(
    "checkpoint",
    `${path}: not the record of a run, or of another version (${quote(record.version)} vs 1)`,
  );
}

function requireSameFiles(files: readonly FileRecord[], before: RunRecord["files"]): void {
  if (files.length !== before.length)
    throw new TesseraError(
      "data",
      `${namesOf(files)}: the run began with ${before.length} files, got ${files.length} (${before.length} vs ${files.length})`,
    );
  files.forEach(({ path, size, sha256 }, i) => {
    if (sha256 !== before[i]!.sha256)
      throw new TesseraError(
        "data",
        `${path}: the file is not what the run began with, ${before[i]!.bytes} bytes then, ${size} now (SHA-256 ${before[i]!.sha256.slice(0, 12)} vs ${sha256.slice(0, 12)})`,
      );
  });
}

// --- preparing --------------------------------------------------------------------------------------------------------

/**
 * What is trained: as the settings say, or what the columns of the data are for, or what suits the data and the head of the checkpoint,
 * or the family.
 *
 * @throws TesseraError `config` where the family cannot do it
 */
async function taskFor(
  { task: name, data }: TrainSettings,
  family: AnyModelFamily,
  head?: Task,
): Promise<TrainingTask> {
  const heads = new Set(Object.values(family.architectures).map(({ task }) => task));
  const own = new Set(trainingTasks.flatMap((task) => (task.head === head ? [task.head] : [])));
  const task =
    name === null
      ? ((await taskByColumns(heads, head, data)) ?? suitingTask(own.size > 0 ? own : heads, family.pretraining, data))
      : taskOf(name);
  if (!task) throw new TesseraError("config", `task: ${family.modelType} has none that it is trained for`);
  if (!heads.has(task.head)) {
    const possible = trainingTasks.filter((other) => heads.has(other.head)).map((other) => other.name);
    throw new TesseraError("config", `task: ${family.modelType} has no head for ${task.name} (${possible.join(", ")})`);
  }
  return task;
}

/** @throws TesseraError `config` where `freeze` leaves nothing to train, or nothing out */
function requireTrained({ module }: LanguageModel, settings: TrainSettings): void {
  const { freeze } = settings;
  if (freeze === null) return;
  const paths = [...parametersOf(module)].flatMap(([path, { fixed }]) => (fixed ? [] : [path]));
  const trained = paths.filter(trainedParts(module, settings).trainable).length;
  const fault =
    trained === paths.length ? "fits no parameter" : trained === 0 ? "leaves no parameter to train" : undefined;
  if (fault)
    throw new TesseraError("config", `freeze: ${quote(freeze)} ${fault} (their paths are such as ${paths.at(0)})`);
}

/** Every setting as it is where nothing is said of it. */
const defaultSettings = () => parseTrainSettings({ data: ["-"], out: "-" });

/** Settings that the task does not read must be left at their defaults. */
export function requireUsed(settings: TrainSettings, { name, uses }: TrainingTask): void {
  const defaults: Readonly<Record<string, unknown>> = defaultSettings();
  const idle = taskSettings.filter(
    (key) => !uses.includes(key) && JSON.stringify(settings[key]) !== JSON.stringify(defaults[key]),
  );
  if (idle.length > 0)
    throw new TesseraError("config", `${idle.join(", ")}: ${name} does not use ${idle.length > 1 ? "them" : "it"}`);
}

/** A folder's model with the head of the task: a new one where the checkpoint has another. */
function loadFor(
  folder: string,
  described: ReturnType<typeof describeFolder>,
  task: TrainingTask,
  { labels }: TaskData,
  { seed, model_config }: TrainSettings,
): LanguageModel {
  const names = described.facts.labels?.names;
  const same = described.task === task.head && (!labels || labels.names.every((name) => names?.includes(name)));
  const changes = Object.keys(model_config).length > 0 ? { config: model_config, initialize: seed } : {};
  return readModel(folder, {
    ...changes,
    ...(same ? {} : { task: task.head, initialize: seed, ...(labels ? { labels: labels.names } : {}) }),
  });
}

function describeFolder(folder: string, { model_config }: TrainSettings) {
  const { path, values } = readChangedConfig(folder, model_config);
  return describeModel(values, path);
}

async function tokenizerFor(
  { from, tokenizer, vocab_size }: TrainSettings,
  task: TrainingTask,
  texts: readonly string[],
  { onProgress }: PrepareOptions,
): Promise<LoadedTokenizer> {
  if (from !== null) return loadTokenizer(from);
  const kind = tokenizer ?? task.tokenizer;
  return (
    trainTokenizer(kind, texts, { vocabSize: vocab_size, onProgress: (done) => onProgress?.("tokenizer", done) }) ??
    loadTokenizer(kind)
  );
}

const freshFamily = ({ model }: TrainSettings): AnyModelFamily =>
  presetOf(model)?.family ?? familyOf(model, "model", presetNames);

/** @throws TesseraError `config` for more tokens than the configuration that a paper names has */
function freshConfig(settings: TrainSettings, sizes: ModelSizes): Readonly<Record<string, unknown>> {
  const preset = presetOf(settings.model);
  if (!preset) return freshFamily(settings).fresh(sizes);
  const { contextLength = Number.POSITIVE_INFINITY, vocabSize } = preset.family.facts(preset.config);
  for (const [what, asked, most] of [
    ["context_length", sizes.contextLength, contextLength],
    ["tokenizer", sizes.vocabSize, vocabSize],
  ] as const)
    if (asked > most)
      throw new TesseraError("config", `${what}: more tokens than ${settings.model} has, ${asked} vs ${most}`);
  return preset.fresh(sizes);
}

function freshModel(
  settings: TrainSettings,
  task: TrainingTask,
  { labels }: TaskData,
  tokenizer: LoadedTokenizer,
): LanguageModel {
  const family = freshFamily(settings);
  const { bos, eos, pad } = tokenizer.specialTokens;
  const tokens = {
    bos_token_id: bos ?? null,
    eos_token_id: eos ?? null,
    ...(pad === undefined ? {} : { pad_token_id: pad }),
  };
  const sizes = {
    vocabSize: tokenizer.vocabSize,
    contextLength: Math.max(settings.context_length ?? 128, settings.target_length ?? 0),
    layers: settings.layers,
    heads: settings.heads,
    d: settings.d,
    dropout: settings.dropout,
    ...(pad === undefined ? {} : { padding: pad }),
  };
  const fixed = identifyingFields(settings.model_config);
  if (fixed.length > 0)
    throw new TesseraError("config", `model_config: ${fixed.join(" and ")} come from the family and the task`);
  const architecture = Object.entries(family.architectures).find(([, { task: head }]) => head === task.head)![0];
  const rawConfig = {
    ...freshConfig(settings, sizes),
    ...tokens,
    ...(labels ? labelFields(labels) : {}),
    ...settings.model_config,
    model_type: family.modelType,
    architectures: [architecture],
  };
  const described = describeModel(rawConfig, "model_config");
  const start = described.facts.decoderStart;
  const model =
    start === undefined ? described : { ...described, rawConfig: { ...rawConfig, decoder_start_token_id: start } };
  const generation = Object.fromEntries(Object.entries(tokens).filter(([, id]) => id !== null)) as GenerationConfig;
  const weights = initialize(model.module, settings.seed);
  family.fillFromVocabulary?.(
    model.config,
    weights,
    Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.decode([id])),
  );
  const warnings = [...model.warnings, ...unusedSizes(settings, sizes)];
  return { ...model, weights, generation, generationExtra: {}, warnings };
}

/** Warnings of sizes that are set to something, and that the family has no use for. */
function unusedSizes(settings: TrainSettings, sizes: ModelSizes): string[] {
  const defaults = defaultSettings();
  const made = (changed: ModelSizes) => JSON.stringify(freshConfig(settings, changed));
  return (["layers", "heads", "d", "dropout"] as const)
    .filter((key) => settings[key] !== defaults[key] && settings[key] !== 0)
    .filter((key) => made(sizes) === made({ ...sizes, [key]: 2 * settings[key] }))
    .map((key) => `${key}: ${settings.model} has no such setting, ${settings[key]} is ignored`);
}

function contextLength({ context_length, from }: TrainSettings, { facts }: LanguageModel): number {
  const most = facts.contextLength ?? Number.POSITIVE_INFINITY;
  if (context_length !== null && context_length > most)
    throw new TesseraError("config", `context_length: more than the model sees, ${context_length} vs ${most}`);
  return context_length ?? Math.min(most, from === null ? 128 : 1024);
}

/** @throws TesseraError `tokenizer` where the model has no place for some tokens */
export function requireVocabulary(
  { facts }: LanguageModel,
  { vocabSize }: Pick<LoadedTokenizer, "vocabSize">,
  { from }: Pick<TrainSettings, "from">,
): void {
  if (vocabSize > facts.vocabSize)
    throw new TesseraError(
      "tokenizer",
      `${from ?? "tokenizer"}: it has more tokens than the model, ${vocabSize} vs ${facts.vocabSize}`,
    );
}

function requireOptimizer({ family, module }: LanguageModel, { optimizer: name }: TrainSettings): void {
  if (name === "muon" && ![...parametersOf(module)].some(([path, { shape }]) => isHiddenMatrix(path, shape)))
    throw new TesseraError(
      "config",
      `optimizer: muon has nothing to update, ${family.modelType} has no matrices in numbered layers`,
    );
}

function prepare(
  task: TrainingTask,
  source: TaskData,
  settings: DataSettings,
  { facts }: LanguageModel,
  tokenizer: LoadedTokenizer,
  { onProgress }: PrepareOptions,
): PreparedData & Pick<TrainingRun, "bestBy"> {
  const data = task.prepare(source, {
    settings,
    tokenizer,
    facts,
    where: namesOf(source.files),
    onProgress: (done, of) => onProgress?.("encoding", done / of),
  });
  const { best_by } = settings;
  const metrics = data.mainMetric === undefined ? [] : [data.mainMetric];
  if (best_by !== null && best_by !== "loss" && !metrics.includes(best_by))
    throw new TesseraError(
      "config",
      `best_by: ${task.name} has no metric ${quote(best_by)} (${["loss", ...metrics].join(", ")})`,
    );
  return { ...data, bestBy: best_by === "loss" ? undefined : (best_by ?? data.mainMetric) };
}

type DataSettings = TrainSettings & { readonly context_length: number };

function decide(
  settings: DataSettings & { readonly task: string },
  { training, tokensPerRow }: PreparedData,
): RunSettings {
  const { epochs, batch_size, from } = settings;
  const steps =
    settings.steps ?? (epochs === null ? 1000 : Math.max(1, Math.ceil((epochs * training.size) / batch_size)));
  const learning_rate = settings.learning_rate ?? (from === null ? 1e-3 : 1e-4);
  const eval_every = settings.eval_every ?? Math.max(10, Math.ceil(steps / 20));
  return {
    ...settings,
    steps,
    epochs: null, // it is in the steps now
    micro_batch_size: settings.micro_batch_size ?? microBatch(batch_size, tokensPerRow),
    learning_rate,
    min_learning_rate: settings.min_learning_rate ?? learning_rate / 10,
    warmup_steps: settings.warmup_steps ?? Math.min(200, Math.ceil(steps / 20)),
    threads: settings.threads ?? defaultThreads(), // kept, for another number would give other bits
    eval_every,
    checkpoint_every: settings.checkpoint_every ?? eval_every,
  };
}

/** Most windows of at most 1024 tokens together: what they activate then stays in the processor's caches. */
export function microBatch(batchSize: number, length: number): number {
  const divisors = Array.from({ length: batchSize }, (_, i) => i + 1).filter((n) => batchSize % n === 0);
  return divisors.findLast((n) => n * length <= 1024) ?? 1;
}

function warningsOf(
  model: LanguageModel,
  { steps, batch_size }: RunSettings,
  { warnings = [] }: TaskData,
  windows: number,
): string[] {
  const epochs = (steps * batch_size) / windows;
  const many =
    epochs > 100
      ? [`the training data is seen ${Math.round(epochs)} times, ${windows} rows and ${steps} steps of ${batch_size}`]
      : [];
  return [...model.warnings, ...warnings, ...many];
}

/** How messages name files. */
export function namesOf(files: readonly FileRecord[]): string {
  const names = files.map(({ path }) => path);
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}
