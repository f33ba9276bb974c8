import { z } from "zod";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { readJsonObject } from "../hub/json-file.js";
import { decayNames } from "./schedule.js";

const whole = (least: number) => z.int().min(least);
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

  from: text.nullable().default(null).describe("model folder to fine-tune; its sizes and tokenizer are kept"),
  model: text.default("gpt2").describe("family of a model from scratch"),
  layers: whole(1).default(4).describe("blocks of a model from scratch"),
  heads: whole(1).default(4).describe("attention heads of a model from scratch"),
  d: whole(1).default(256).describe("model size of a model from scratch"),
  dropout: share.default(0.1).describe("dropout of a model from scratch"),
  model_config: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("further fields of config.json of a model from scratch"),

  tokenizer: text
    .nullable()
    .default(null)
    .describe('tokenizer.json, folder of a model, "bpe" or "characters" (trained on the data); default: bpe'),
  vocab_size: whole(1).default(4096).describe("tokens of a bpe tokenizer that is trained on the data"),
  separator: text
    .nullable()
    .default(null)
    .describe("text between the documents of a file; default: a file is a document"),
  end_of_text: z.boolean().default(true).describe("set the tokenizer's end token after every document"),
  context_length: whole(1)
    .nullable()
    .default(null)
    .describe("tokens that the model sees at once; default: 128, fine-tuning: at most 1024"),
  validation: share.default(0.05).describe("share of the text that is kept for validation"),
  validation_split: z
    .enum(["tail", "documents"])
    .default("tail")
    .describe("what is kept: the end of the text, or documents by chance"),

  steps: whole(1).nullable().default(null).describe("updates; default: 1000, or what epochs says"),
  epochs: positive.nullable().default(null).describe("times through the text, instead of steps"),
  batch_size: whole(1).default(16).describe("windows of context_length tokens in a step"),
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
  beta1: share.default(0.9).describe("AdamW: decay of the mean of gradients"),
  beta2: share.default(0.95).describe("AdamW: decay of the mean of squared gradients"),
  epsilon: positive.default(1e-8).describe("AdamW: added to the root of the mean square"),
  weight_decay: z.number().min(0).default(0.1).describe("AdamW: decoupled decay of matrices and embeddings"),
  max_gradient_norm: z
    .number()
    .min(0)
    .default(1)
    .describe("gradients of a larger norm are scaled down to it; 0: no clipping"),

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
  dtype: z
    .enum(["float32", "float16", "bfloat16"])
    .default("float32")
    .describe("element type of the trained model on disk"),
});

/** Every setting of a training run; what is null is not decided yet. */
export type TrainSettings = z.output<typeof trainSettingsSchema>;

/** The settings that are decided when a run starts. */
type Decided =
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
  return parseTrainSettings({ ...readJsonObject(path), ...Object.fromEntries(given) }, path);
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
const fromScratch = ["model", "layers", "heads", "d", "dropout", "model_config", "tokenizer", "vocab_size"] as const;

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
  if (keep === "best" && validation === 0) problems.push('keep "best" needs a validation share, got 0');
  const fixed = fromScratch.filter((key) => chosen[key] !== undefined && chosen[key] !== null);
  if (from !== null && fixed.length > 0)
    problems.push(`${fixed.join(", ")} cannot be chosen when fine-tuning ${quote(from)}`);
  return problems;
}
