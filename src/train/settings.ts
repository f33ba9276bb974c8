import { z } from "zod";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { readJsonObject } from "../hub/json-file.js";
import { presetOf } from "../models/index.js";
import { weightDtypes } from "../pretrained/weights.js";
import { optimizerNames } from "./optimizer.js";
import { decayNames } from "./schedule.js";
import { tokenizerKinds } from "./tasks/task.js";

const whole = (least: number) => z.int().min(least);
/** A size of something that is built: what nobody means is refused before the machine tries it. */
const size = (most: number) => whole(1).max(most);
const share = z.number().min(0).lt(1);
const positive = z.number().positive();
const text = z.string().min(1);

/**
 * Every setting of a training run, with its default and a line that says what it is: the keys of the JSON file of a run, and the
 * flags of the command line. A default of null is decided when the run starts; what it became is in the run's `run.json`.
 */
export const trainSettingsSchema = z.strictObject({
  data: z.array(text).min(1).describe("text files in UTF-8"),
  out: text.describe("folder for the trained model and the state of the run"),
  task: text
    .nullable()
    .default(null)
    .describe("what it is trained for; default: what the columns are for, else what the family is pre-trained for"),

  from: text.nullable().default(null).describe("model folder to fine-tune; its sizes and tokenizer are kept"),
  model: text
    .default("gpt2")
    .describe("family of a model from scratch, or a configuration that its paper names: gpt3-small"),
  layers: size(1024).default(4).describe("blocks of a model from scratch"),
  heads: size(1024).default(4).describe("attention heads of a model from scratch"),
  d: size(2 ** 16)
    .default(256)
    .describe("model size of a model from scratch"),
  dropout: share.default(0.1).describe("dropout of a model from scratch"),
  model_config: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("further fields of config.json; fine-tuning: fields to change"),

  tokenizer: text
    .nullable()
    .default(null)
    .describe(
      "tokenizer.json, folder of a model, or the kind that is trained on the data; default: the kind that suits the task",
    ),
  vocab_size: size(2 ** 22)
    .default(4096)
    .describe("tokens of a tokenizer that is trained on the data"),
  separator: text
    .nullable()
    .default(null)
    .describe("text between the documents of a file; default: a file is a document"),
  end_of_text: z.boolean().default(true).describe("set the tokenizer's end token after every document"),
  context_length: size(2 ** 20)
    .nullable()
    .default(null)
    .describe("tokens that the model sees at once; default: 128, fine-tuning: at most 1024"),
  target_length: size(2 ** 20)
    .nullable()
    .default(null)
    .describe("tokens of a target, of an encoder-decoder; default: context_length"),
  text_column: text.nullable().default(null).describe("column of the text, question, source or list of words"),
  pair_column: text.nullable().default(null).describe("column of a second text, or of the context of a question"),
  label_column: text.nullable().default(null).describe("column of the label, tags, answers or target"),
  problem_type: z
    .enum(["single_label_classification", "multi_label_classification", "regression"])
    .nullable()
    .default(null)
    .describe("what labels of texts are; default: by the labels"),
  validation_data: z.array(text).default([]).describe("data sets to validate on, in place of a share"),
  validation: share.default(0.05).describe("share of the text that is kept for validation"),
  validation_split: z
    .enum(["tail", "documents"])
    .default("tail")
    .describe("what is kept: the end of the text, or documents by chance"),

  mask_rate: share
    .nullable()
    .default(null)
    .describe("share of tokens that are hidden; default: that of the task's paper"),
  mean_span: z.number().min(1).nullable().default(null).describe("mean length of hidden spans; default: 3"),
  whole_word: z.boolean().default(false).describe("hide whole words"),
  noise: z
    .array(z.enum(["infilling", "permutation", "deletion"]))
    .min(1)
    .default(["infilling", "permutation"])
    .describe("ways to spoil a text for denoising"),
  label_smoothing: share.default(0).describe("weight of the uniform distribution in the targets"),

  steps: whole(1).nullable().default(null).describe("updates; default: 1000, or what epochs says"),
  epochs: positive.nullable().default(null).describe("times through the text, instead of steps"),
  batch_size: size(2 ** 16)
    .default(16)
    .describe("windows of context_length tokens in a step"),
  micro_batch_size: whole(1)
    .nullable()
    .default(null)
    .describe(
      "windows processed at a time, dividing batch_size; fewer need less memory; default: as many as are 1024 tokens together",
    ),
  learning_rate: positive
    .nullable()
    .default(null)
    .describe("highest rate; default: 1e-3 from scratch, 1e-4 when fine-tuning"),
  min_learning_rate: z
    .number()
    .min(0)
    .nullable()
    .default(null)
    .describe("rate at the end; default: a tenth of learning_rate"),
  schedule: z.enum(decayNames).default("cosine").describe("how the rate falls after the warm-up"),
  warmup_steps: whole(0)
    .nullable()
    .default(null)
    .describe("steps over which the rate rises; default: a twentieth of steps, at most 200"),
  optimizer: z
    .enum(optimizerNames)
    .default("adamw")
    .describe("what updates the parameters; muon: Muon the matrices within layers, AdamW all else"),
  momentum: share.nullable().default(null).describe("Muon: decay of the mean of gradients; default: 0.95"),
  beta1: share.default(0.9).describe("AdamW: decay of the mean of gradients"),
  beta2: share.default(0.95).describe("AdamW: decay of the mean of squared gradients"),
  epsilon: positive.default(1e-8).describe("AdamW: added to the root of the mean square"),
  weight_decay: z.number().min(0).default(0.1).describe("AdamW: decoupled decay of matrices and embeddings"),
  max_gradient_norm: z
    .number()
    .min(0)
    .default(1)
    .describe("gradients of a larger norm are scaled down to it; 0: no clipping"),

  freeze: text.nullable().default(null).describe("regular expression of parameter paths that are not trained"),
  layer_rate_decay: z
    .number()
    .min(1)
    .default(1)
    .describe("each layer's rate is the one above divided by this; 2.6 in ULMFiT"),
  unfreeze_every: whole(1)
    .nullable()
    .default(null)
    .describe("steps after which one more layer is trained, from the head down; default: all from the start"),

  seed: whole(0).default(0).describe("decides weights, order of the data and dropout"),
  threads: whole(1).max(1024).nullable().default(null).describe("processor threads; default: one a core"),
  log_every: whole(1).default(10).describe("steps between lines of the log"),
  eval_every: whole(1)
    .nullable()
    .default(null)
    .describe("steps between evaluations; default: a twentieth of steps, at least 10"),
  eval_windows: whole(1).default(256).describe("most windows of an evaluation"),
  checkpoint_every: whole(1).nullable().default(null).describe("steps between checkpoints; default: as eval_every"),
  keep_checkpoints: whole(1).default(2).describe("checkpoints that stay"),
  keep: z
    .enum(["latest", "best"])
    .default("latest")
    .describe("which weights become the model: the latest, or the best in validation"),
  best_by: text
    .nullable()
    .default(null)
    .describe("what the best evaluation has: the least loss, or the highest of a metric; default: the task's metric"),
  early_stopping: whole(1).nullable().default(null).describe("ends after so many evaluations without a better one"),
  dtype: z.enum(weightDtypes).default("float32").describe("element type of the trained model on disk"),
});

/** Every setting of a training run; what is null is not decided yet. */
export type TrainSettings = z.output<typeof trainSettingsSchema>;

/** The settings that are decided when a run starts. */
type Decided =
  | "task"
  | "context_length"
  | "steps"
  | "micro_batch_size"
  | "learning_rate"
  | "min_learning_rate"
  | "warmup_steps"
  | "threads"
  | "eval_every"
  | "checkpoint_every";

/** The settings of a run that has started. */
export type RunSettings = TrainSettings & { readonly [K in Decided]: NonNullable<TrainSettings[K]> };

/** Settings as they are given: those with a default may be left out. */
export type TrainSettingsInput = z.input<typeof trainSettingsSchema>;

/**
 * Checks settings and fills in the defaults.
 *
 * @param where how messages name them, such as the file's path
 * @param chosen the settings that somebody chose, for those that exclude others; default all of `raw`
 * @throws TesseraError `config` naming every wrong or unknown setting
 */
export function parseTrainSettings(
  raw: unknown,
  where = "train",
  chosen: Readonly<Record<string, unknown>> = Object(raw),
): TrainSettings {
  const result = trainSettingsSchema.safeParse(raw);
  const problems = result.success
    ? contradictions(result.data, chosen)
    : result.error.issues.map((issue) => problemOf(issue, raw));
  if (result.success && problems.length === 0) return result.data;
  throw new TesseraError(
    "config",
    `${where}: ${problems.length > 1 ? `${problems.length} problems: ` : ""}${problems.join("; ")}`,
  );
}

/**
 * Reads settings from a JSON file, with others on top.
 *
 * @param overrides win over the file; undefined ones count as absent
 * @throws TesseraError `io` or `config`
 */
export function readTrainSettings(path: string, overrides: Readonly<Record<string, unknown>> = {}): TrainSettings {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  const { steps, epochs, ...rest } = readJsonObject(path);
  // They exclude each other: whichever is given on top says how long.
  const length = given.some(([name]) => name === "steps" || name === "epochs") ? {} : { steps, epochs };
  return parseTrainSettings({ ...rest, ...length, ...Object.fromEntries(given) }, path);
}

function problemOf(issue: z.core.$ZodIssue, raw: unknown): string {
  if (issue.code === "unrecognized_keys")
    return `there ${issue.keys.length > 1 ? "are" : "is"} no setting${issue.keys.length > 1 ? "s" : ""} ${issue.keys.map((key) => quote(key)).join(", ")}`;
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], raw);
  const name = issue.path.join(".") || "settings";
  return value === undefined
    ? `${name} is missing`
    : `${name}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}, got ${quote(value)}`;
}

/** Settings of a model from scratch. */
const fromScratch = ["model", "layers", "heads", "d", "dropout", "tokenizer", "vocab_size"] as const;

function contradictions(settings: TrainSettings, chosen: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = [];
  const { from, steps, epochs, batch_size, micro_batch_size, learning_rate, min_learning_rate, validation, keep } =
    settings;
  if (steps !== null && epochs !== null)
    problems.push(`steps and epochs both say how long, ${steps} and ${epochs}. Give one`);
  if (micro_batch_size !== null && batch_size % micro_batch_size !== 0)
    problems.push(`micro_batch_size must divide batch_size, got ${micro_batch_size} and ${batch_size}`);
  if (min_learning_rate !== null && learning_rate !== null && min_learning_rate > learning_rate)
    problems.push(`min_learning_rate is above learning_rate, ${min_learning_rate} vs ${learning_rate}`);
  const needing = [
    ...(keep === "best" ? ['keep "best"'] : []),
    ...(settings.early_stopping === null ? [] : ["early_stopping"]),
  ];
  if (needing.length > 0 && validation === 0 && settings.validation_data.length === 0)
    problems.push(`${needing.join(" and ")} needs a validation share, got 0`);
  if (settings.momentum !== null && settings.optimizer !== "muon")
    problems.push(`momentum is Muon's, and the optimizer is ${settings.optimizer}`);
  if (settings.freeze !== null && !isRegularExpression(settings.freeze))
    problems.push(`freeze is no regular expression, got ${quote(settings.freeze)}`);
  const fixed = fromScratch.filter((key) => chosen[key] !== undefined && chosen[key] !== null);
  if (from !== null && fixed.length > 0)
    problems.push(`${fixed.join(", ")} cannot be chosen when fine-tuning ${quote(from)}`);
  const own = settings.tokenizer !== null && !tokenizerKinds.some((kind) => kind === settings.tokenizer);
  if (from === null && own && fixed.includes("vocab_size"))
    problems.push(`vocab_size cannot be chosen beside the tokenizer ${quote(settings.tokenizer)}, which has its own`);
  if (settings.validation_data.length > 0 && chosen.validation !== undefined && validation > 0)
    problems.push("validation and validation_data both say what is validated on. Give one");
  const sizes = (["layers", "heads", "d"] as const).filter((key) => fixed.includes(key));
  if (from === null && sizes.length > 0 && presetOf(settings.model))
    problems.push(`${sizes.join(", ")} cannot be chosen beside ${quote(settings.model)}, which has its own`);
  return problems;
}

function isRegularExpression(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}
