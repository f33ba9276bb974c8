import { TesseraError } from "../core/errors.js";
import { readConfig } from "../hub/config.js";
import { resolveModel } from "../hub/download.js";
import type { Task } from "../models/model.js";
import { describeModel, type LanguageModel, readModel } from "../pretrained/load-model.js";
import type { Runtime } from "../runtime/session.js";
import { loadChatTemplates } from "../text/load-chat-template.js";
import { loadTokenizer } from "../text/load-tokenizer.js";
import type { LoadedTokenizer } from "../text/tokenizer-from-json.js";

/** A model with its tokenizer. */
export interface PipelineModel {
  readonly model: LanguageModel;
  readonly tokenizer: LoadedTokenizer;
}

/** How a pipeline runs. */
export interface PipelineOptions {
  /** Default: the native runtime. */
  readonly runtime?: Runtime;
  /** Threads of one operator, see {@link SessionOptions}. */
  readonly threads?: number;
  /** Most texts that the model reads at once; how many never changes an answer. Default 8. */
  readonly batchSize?: number;
}

/** A model that a pipeline of a task can use, and what runs it. */
export interface OpenedModel extends PipelineModel {
  readonly runtime: Runtime;
  readonly threads: number | undefined;
  readonly batchSize: number;
  /** The pipeline's task, for messages. */
  readonly where: string;
}

/**
 * Loads what a pipeline needs, with the head for its task.
 *
 * @param given a folder, a name on the hub, or what was loaded already
 * @param task what the head must answer
 * @throws TesseraError `unsupported` for a model of another task; else as loading throws
 */
export async function openModel(
  given: string | PipelineModel,
  name: string,
  task: Task,
  { runtime, threads, batchSize = 8 }: PipelineOptions,
): Promise<OpenedModel> {
  const where = `pipeline ${name}`;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new TesseraError("argument", `${where}: batchSize must be a whole number ≥ 1, got ${batchSize}`);
  const opened = typeof given === "string" ? await fromFolder(await resolveModel(given), task, where) : given;
  if (opened.model.task !== task)
    throw new TesseraError(
      "unsupported",
      `${where}: ${opened.model.architecture} is for ${opened.model.task} (${task} expected)`,
    );
  return {
    ...opened,
    runtime: runtime ?? (await import("../runtime/native.js")).nativeRuntime(),
    threads,
    batchSize,
    where,
  };
}

async function fromFolder(folder: string, task: Task, where: string): Promise<PipelineModel> {
  const model = withHead(folder, task, where);
  const tokenizer = await loadTokenizer(folder);
  return { model, tokenizer: { ...tokenizer, config: await loadChatTemplates(folder, tokenizer.config) } };
}

function withHead(folder: string, task: Task, where: string): LanguageModel {
  try {
    // What the bare model pools is not read, so a checkpoint may lack it.
    return readModel(folder, { task, ...(task === "features" ? { initialize: 0 } : {}) });
  } catch (cause) {
    if (!(cause instanceof TesseraError) || cause.code !== "checkpoint") throw cause;
    const { path, values } = readConfig(folder);
    const own = describeModel(values, path);
    if (own.task === task) throw cause;
    throw new TesseraError(
      "unsupported",
      `${where}: ${folder} holds ${own.architecture}, which is for ${own.task} (${task} expected). Train a head for it first`,
      { cause },
    );
  }
}
