import type { HostTensor } from "../../core/host-tensor.js";
import type { FileRecord } from "../../hub/text-file.js";
import type { Labels } from "../../models/labels.js";
import type { ModelFacts, Task } from "../../models/model.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import type { EvaluationSet } from "../evaluate.js";
import type { Metrics } from "../metrics.js";
import type { Objective } from "../objective.js";
import type { TrainSettings } from "../settings.js";
import type { TrainingSet } from "../windows.js";

/** Something a model can be trained for: how its data is read and what is learned from it. */
// biome-ignore lint/suspicious/noExplicitAny: each task has data of its own form
export interface TrainingTask<D extends TaskData = any> {
  /** Name of the setting `task`. */
  readonly name: string;
  /** What the model answers: the head that is trained. */
  readonly head: Task;
  /** The tokenizer that is trained on the data unless another is chosen. */
  readonly tokenizer: TokenizerKind;
  /** Columns of its data sets, where the settings name no others; undefined for running text. */
  readonly columns?: readonly string[];
  /** Settings that it reads and not every task does. */
  readonly uses: readonly TaskSetting[];
  /** Reads the data. @throws TesseraError `io` or `data` naming the file and the fault */
  read(settings: TrainSettings): Promise<D>;
  /** Makes examples of it. @throws TesseraError `data` or `tokenizer` */
  prepare(data: D, context: TaskContext): PreparedData;
}

/** Kinds of tokenizers that training makes. */
export const tokenizerKinds = ["bpe", "characters", "words", "wordpiece", "unigram", "roberta", "blanks"] as const;
export type TokenizerKind = (typeof tokenizerKinds)[number];

/** Settings that only some tasks read. */
export const taskSettings = [
  "target_length",
  "separator",
  "end_of_text",
  "validation_split",
  "mask_rate",
  "mean_span",
  "whole_word",
  "noise",
  "label_smoothing",
  "text_column",
  "pair_column",
  "label_column",
  "problem_type",
] as const satisfies readonly (keyof TrainSettings)[];
export type TaskSetting = (typeof taskSettings)[number];

/** Data as a task reads it. */
export interface TaskData {
  readonly files: readonly FileRecord[];
  /** All text, to train a tokenizer on. */
  readonly texts: readonly string[];
  /** What a classifier is to tell apart. */
  readonly labels?: Labels;
  /** What the user is told of the data. */
  readonly warnings?: readonly string[];
}

/** What examples are made with. */
export interface TaskContext {
  readonly settings: TrainSettings & { readonly context_length: number };
  readonly tokenizer: Tokenizer;
  readonly facts: ModelFacts;
  /** How messages name the data. */
  readonly where: string;
  readonly onProgress?: (done: number, of: number) => void;
}

/** Data ready to train on. */
export interface PreparedData {
  readonly objective: Objective;
  readonly training: TrainingSet;
  /** Undefined where nothing is kept for validation. */
  readonly validation: EvaluationSet | undefined;
  /** Tokens that a row trains, padding not counted: what speeds are told in. */
  readonly tokensPerRow: number;
  /** Measures an evaluation. */
  readonly meter?: (() => Meter) | undefined;
  /** What texts of the validation set are made of which, where that is the task. */
  readonly pairs?: readonly TextPair[];
  /** The metric that says which evaluation is the best, larger is better. Default the loss, smaller is better. */
  readonly mainMetric?: string | undefined;
}

/** A text, and the one that is to be made of it; the tokens are a row's. */
export interface TextPair {
  readonly source: string;
  readonly target: string;
  readonly sourceIds: readonly number[];
  readonly targetIds: readonly number[];
}

/** Collects what a model answers to the validation set, and says how good it is. */
export interface Meter {
  /** Takes the outputs of `count` examples from number `first` on. */
  add(first: number, count: number, outputs: Readonly<Record<string, HostTensor>>): void;
  result(): Metrics;
}
