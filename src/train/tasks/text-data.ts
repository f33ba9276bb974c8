import { TesseraError } from "../../core/errors.js";
import { quote } from "../../core/quote.js";
import { type RandomStream, randomStream } from "../../core/random-stream.js";
import { readTextFile, type TextFile } from "../../hub/text-file.js";
import { documentsOf, encodeCorpus } from "../corpus.js";
import type { EvaluationSet } from "../evaluate.js";
import type { TrainSettings } from "../settings.js";
import { evenWindows, noExamples, shuffledWindows, type Tokens, type TrainingSet } from "../windows.js";
import type { TaskContext, TaskData } from "./task.js";

/** Running text. */
export interface TextData extends TaskData {
  readonly files: readonly TextFile[];
}

/** Reads text files. */
export async function readTextData({ data, separator }: TrainSettings): Promise<TextData> {
  const files = data.map(readTextFile);
  const missing = separator !== null && !files.some(({ text }) => text.includes(separator));
  return {
    files,
    texts: files.flatMap(({ text }) => documentsOf(text, separator ?? undefined)),
    warnings: missing ? [`separator: ${quote(separator)} occurs nowhere, a file is one document`] : [],
  };
}

/** The tokens of training and validation. */
export interface TokenizedText {
  readonly training: Tokens;
  /** Undefined where nothing is kept for validation. */
  readonly validation: Tokens | undefined;
}

/** Encodes running text as the settings say. */
export function tokenizedText(
  { files }: TextData,
  { settings, tokenizer, onProgress }: TaskContext,
  endOfText = tokenizer.specialTokens.eos ?? tokenizer.specialTokens.sep,
): TokenizedText {
  const corpus = encodeCorpus(files, tokenizer, {
    separator: settings.separator ?? undefined,
    endOfText: settings.end_of_text ? endOfText : undefined,
    validation: settings.validation,
    split: settings.validation_split,
    seed: settings.seed,
    ...(onProgress ? { onProgress } : {}),
  });
  return { training: corpus.training, validation: settings.validation === 0 ? undefined : corpus.validation };
}

/** Writes a row of a batch from the tokens of a window, with chances of its own. */
export type WindowWriter = (
  window: Tokens,
  random: RandomStream,
  batch: Parameters<TrainingSet["write"]>[1],
  row: number,
) => void;

/**
 * Rows made of windows of `length` tokens. What chance decides differs from epoch to epoch in training, and never in validation.
 */
export function windowRows(
  { training, validation }: TokenizedText,
  { settings, where }: TaskContext,
  length: number,
  write: WindowWriter,
): { readonly training: TrainingSet; readonly validation: EvaluationSet | undefined } {
  const { seed } = settings;
  const windows = trains(settings) ? shuffledWindows(training, length, seed, `${where}: training part`) : undefined;
  const held =
    validation && evenWindows(validation, length, settings.eval_windows, ...heldPart(settings, length, where));
  const cut = (tokens: Tokens, start: number) => tokens.subarray(start, Math.min(start + length, tokens.length));
  return {
    training: windows
      ? {
          size: windows.size,
          write: (position, batch, row) =>
            write(cut(training, windows.start(position)), randomStream(seed, `row ${position}`), batch, row),
        }
      : noExamples,
    validation: held && {
      size: held.size,
      write: (index, batch, row) =>
        write(cut(validation, held.start(index)), randomStream(seed, `validation row ${index}`), batch, row),
    },
  };
}

/** Whether there is anything to train on: not where all of the data is validation, as when a model is evaluated. */
export const trains = ({ validation }: TrainSettings) => validation < 1;

/** How messages name the text that is evaluated, and how few tokens it may have: in training a window and the token after. */
export function heldPart(settings: TrainSettings, length: number, where: string): [where: string, least: number] {
  return trains(settings) ? [`${where}: validation part`, length + 1] : [where, 2];
}

/** The id of a special token by its role. @throws TesseraError `tokenizer` where there is none */
export function requireSpecial(
  { tokenizer, where }: TaskContext,
  role: "mask" | "pad" | "eos" | "cls" | "sep",
  task: string,
): number {
  const id = tokenizer.specialTokens[role];
  if (id !== undefined) return id;
  throw new TesseraError("tokenizer", `${where}: ${task} needs a tokenizer with a ${role} token, and it has none`);
}

/** Fills a row of an int64 tensor. @param filler where the values end */
export function fillRow(
  batch: Parameters<TrainingSet["write"]>[1],
  name: string,
  row: number,
  values: ArrayLike<number>,
  filler: number,
): void {
  const tensor = batch[name];
  if (!tensor) return;
  const width = tensor.data.length / (tensor.shape[0] as number);
  const data = tensor.data as BigInt64Array;
  for (let i = 0; i < width; i++) data[row * width + i] = BigInt(i < values.length ? values[i]! : filler);
}

/** Fills a row's `input_ids`, `attention_mask` and, where the batch has them, `token_type_ids`. */
export function fillInput(
  batch: Parameters<TrainingSet["write"]>[1],
  row: number,
  ids: readonly number[],
  pad: number,
  typeIds: readonly number[] = [],
): void {
  fillRow(batch, "input_ids", row, ids, pad);
  fillRow(batch, "attention_mask", row, new Uint8Array(ids.length).fill(1), 0);
  fillRow(batch, "token_type_ids", row, typeIds, 0);
}
