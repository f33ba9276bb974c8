import { TesseraError } from "../core/errors.js";
import type { Task } from "../models/model.js";
import { type FeatureExtraction, openFeatureExtraction } from "./feature-extraction.js";
import { type FillMask, openFillMask } from "./fill-mask.js";
import { type OpenedModel, openModel, type PipelineModel, type PipelineOptions } from "./open-model.js";
import { openQuestionAnswering, type QuestionAnswering } from "./question-answering.js";
import { openTextClassification, type TextClassification } from "./text-classification.js";
import { openTextGeneration, type TextGeneration } from "./text-generation.js";
import {
  openSummarization,
  openTextToText,
  openTranslation,
  type Summarization,
  type TextToText,
  type Translation,
} from "./text-to-text.js";
import { openTokenClassification, type TokenClassification } from "./token-classification.js";

/** What each pipeline is called with, and what it returns. */
export interface Pipelines {
  "fill-mask": FillMask;
  "text-classification": TextClassification;
  /** Another name of text-classification, as in transformers. */
  "sentiment-analysis": TextClassification;
  "token-classification": TokenClassification;
  /** Another name of token-classification. */
  ner: TokenClassification;
  "question-answering": QuestionAnswering;
  "feature-extraction": FeatureExtraction;
  "text-generation": TextGeneration;
  "text2text-generation": TextToText;
  translation: Translation;
  summarization: Summarization;
}

export type PipelineTask = keyof Pipelines;

/** A function for a task, which holds the compiled model until it is disposed. */
export type Pipeline<T extends PipelineTask = PipelineTask> = Pipelines[T] &
  PipelineModel &
  Disposable &
  AsyncDisposable & {
    readonly task: T;
    /** Frees the compiled model; the pipeline can no longer be called. */
    dispose(): void;
  };

type Opener<T extends PipelineTask> = (opened: OpenedModel) => Promise<Pipelines[T] & Disposable>;

/** What the model of each pipeline must be for, and how the pipeline is opened. */
const openers: { readonly [T in PipelineTask]: readonly [Task, Opener<T>] } = {
  "fill-mask": ["masked-lm", openFillMask],
  "text-classification": ["sequence-classification", openTextClassification],
  "sentiment-analysis": ["sequence-classification", openTextClassification],
  "token-classification": ["token-classification", openTokenClassification],
  ner: ["token-classification", openTokenClassification],
  "question-answering": ["question-answering", openQuestionAnswering],
  "feature-extraction": ["features", openFeatureExtraction],
  "text-generation": ["causal-lm", openTextGeneration],
  "text2text-generation": ["seq2seq-lm", openTextToText],
  translation: ["seq2seq-lm", openTranslation],
  summarization: ["seq2seq-lm", openSummarization],
};

/**
 * From text to answer in one call: a tokenizer, a model with a head, and what the head's numbers mean. Inputs are a text or a list of
 * texts of any lengths; results have the fields, and the nesting, of transformers' pipelines, with offsets in UTF-16 units.
 *
 * @param model a folder, a name on the hub, or a model and its tokenizer
 * @returns a function whose arguments and result follow from the task's name; dispose of it when done
 * @throws TesseraError `unsupported` for an unknown task or a model that has no head for it; else as loading and compiling throw
 * @example
 * using classify = await pipeline("text-classification", "my-bert");
 * await classify("A fine film."); // [{ label: "positive", score: 0.98 }]
 * @example
 * using tag = await pipeline("token-classification", { model, tokenizer });
 * await tag("Ahab sails from Nantucket.", { aggregationStrategy: "simple" });
 */
export async function pipeline<T extends PipelineTask>(
  task: T,
  model: string | PipelineModel,
  options: PipelineOptions = {},
): Promise<Pipeline<T>> {
  if (!Object.hasOwn(openers, task))
    throw new TesseraError(
      "unsupported",
      `pipeline: there is no task ${JSON.stringify(task)} (${Object.keys(openers).join(", ")})`,
    );
  const [needed, open] = openers[task] as readonly [Task, Opener<T>];
  const opened = await openModel(model, task, needed, options);
  const call = await open(opened);
  const dispose = () => call[Symbol.dispose]();
  return Object.assign(call, {
    task,
    model: opened.model,
    tokenizer: opened.tokenizer,
    dispose,
    [Symbol.asyncDispose]: async () => dispose(),
  }) as Pipeline<T>;
}
