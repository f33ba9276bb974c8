import { TesseraError } from "../core/errors.js";
import type { Task } from "../models/model.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { nativeRuntime } from "../runtime/native.js";
import type { Runtime } from "../runtime/session.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { evaluator } from "./evaluate.js";
import type { Metrics } from "./metrics.js";
import { microBatch, namesOf, requireUsed, requireVocabulary } from "./run.js";
import { parseTrainSettings, type TrainSettingsInput } from "./settings.js";
import { suitingTask, type TextPair, taskOf } from "./tasks/index.js";

/** What a model is evaluated on, and how: settings of training that say what a task's examples are. */
export interface EvaluationSettings
  extends Pick<
    TrainSettingsInput,
    | "data"
    | "context_length"
    | "target_length"
    | "separator"
    | "end_of_text"
    | "text_column"
    | "pair_column"
    | "label_column"
    | "mask_rate"
    | "mean_span"
    | "whole_word"
    | "noise"
    | "seed"
    | "threads"
  > {
  /** Most examples or windows of text, taken at even distances. Default all. */
  readonly limit?: number;
}

/** How good a model is on some data. */
export interface ModelEvaluation {
  /** Name of the task. */
  readonly task: string;
  /** Examples or windows of text. */
  readonly examples: number;
  /** Mean of the task's loss, in nats. */
  readonly loss: number;
  /** `e` to the loss, of tasks whose loss is that of tokens. */
  readonly perplexity: number | undefined;
  /** The task's own; of text-to-text as the model would write knowing the target so far. */
  readonly metrics: Metrics;
  /** Of text-to-text, the texts. */
  readonly pairs: readonly TextPair[] | undefined;
}

/** Heads whose loss is the mean over tokens. */
const ofTokens: ReadonlySet<Task> = new Set<Task>([
  "causal-lm",
  "bidirectional-lm",
  "masked-lm",
  "blank-infilling",
  "permutation-lm",
  "seq2seq-lm",
]);

/** Rows at a time, where they are short. */
const ROWS = 16;

/**
 * Evaluates a model on data for a task, as training evaluates on its validation set: loss and metrics over all of the data, without
 * dropout or label smoothing. What chance decides, such as which tokens are masked, depends on the seed alone. Nothing is written.
 *
 * @param task its name; see {@link evaluationTask}
 * @param settings `context_length` by default what the model sees, at most 1024, or 128 where it has no bound
 * @throws TesseraError `config` for settings that the task does not use or a head that the model lacks, `data` and `tokenizer` as training does
 * @example await evaluateModel(model, tokenizer, "sequence-classification", { data: ["held-out.jsonl"] }); // { loss, metrics: { accuracy, f1 }, … }
 */
export async function evaluateModel(
  model: LanguageModel,
  tokenizer: Tokenizer,
  task: string,
  { limit = Number.MAX_SAFE_INTEGER, ...given }: EvaluationSettings,
  { runtime = nativeRuntime() }: { readonly runtime?: Runtime } = {},
): Promise<ModelEvaluation> {
  const trained = taskOf(task);
  if (trained.head !== model.task)
    throw new TesseraError(
      "config",
      `task: ${task} needs a head for ${trained.head}, the model has one for ${model.task}`,
    );
  const parsed = parseTrainSettings({ ...given, out: "-" }, "evaluate");
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new TesseraError("argument", `evaluate: limit must be a whole number ≥ 1, got ${limit}`);
  requireUsed(parsed, trained);
  requireVocabulary(model, tokenizer, parsed);
  const { contextLength: seen = Number.POSITIVE_INFINITY, sourceLength = seen } = model.facts;
  const most = Math.min(seen, sourceLength);
  const context_length = parsed.context_length ?? (most === Number.POSITIVE_INFINITY ? 128 : Math.min(most, 1024));
  requireSeen("context_length", context_length, most);
  requireSeen("target_length", parsed.target_length ?? 1, seen);
  const settings = { ...parsed, context_length, validation: 1, eval_windows: limit };

  const source = await trained.read(settings);
  const { objective, validation, tokensPerRow, meter, pairs } = trained.prepare(source, {
    settings,
    tokenizer,
    facts: model.facts,
    where: namesOf(source.files),
  });
  using evaluation = await evaluator(runtime, {
    module: model.module,
    weights: model.weights,
    objective,
    rows: Math.min(validation!.size, microBatch(ROWS, tokensPerRow)),
    ...(settings.threads === null ? {} : { threads: settings.threads }),
  });
  const measure = meter?.();
  const loss = await evaluation.evaluate(validation!, measure && ((...seen) => measure.add(...seen)));
  return {
    task,
    examples: validation!.size,
    loss,
    perplexity: ofTokens.has(model.task) ? Math.exp(loss) : undefined,
    metrics: measure?.result() ?? {},
    pairs,
  };
}

function requireSeen(setting: string, length: number, most: number): void {
  if (length > most) throw new TesseraError("config", `${setting}: more than the model sees, ${length} vs ${most}`);
}

/**
 * The task that a model is evaluated for unless told otherwise: the one that data sets have examples of, or that is learned from running text.
 *
 * @throws TesseraError `config` for a head that no task evaluates
 */
export function evaluationTask({ task: head, family }: LanguageModel, data: readonly string[]): string {
  const found = suitingTask(new Set([head]), family.pretraining, data);
  if (!found) throw new TesseraError("config", `task: there is none for a model of ${head}`);
  return found.name;
}
