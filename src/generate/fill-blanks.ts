import { TesseraError } from "../core/errors.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import type { Runtime } from "../runtime/session.js";
import { openBlankDecoder } from "./blank-decoder.js";
import { chain, type LogitsProcessor } from "./logits-processors.js";
import { argmax, sampler } from "./sampling.js";

/** How blanks are filled. */
export interface FillBlanksOptions {
  /** The tokens that stand for a blank. */
  readonly blanks: readonly number[];
  /** Token that a blank's content begins with, and the one that ends it. */
  readonly start: number;
  readonly stop: number;
  /** Most tokens of a blank. Default 64. */
  readonly maxNewTokens?: number;
  /** Applied to the logits one after the other, such as {@link temperature} and {@link topP}; they see the content so far. Default none. */
  readonly processors?: readonly LogitsProcessor[];
  /** Draws tokens, equal seeds equal ones. Default: takes the most probable. */
  readonly seed?: number | undefined;
  readonly runtime?: Runtime;
  readonly signal?: AbortSignal;
}

/** A filled text. */
export interface FilledBlanks {
  /** The text with the contents in place of the blanks. */
  readonly ids: readonly number[];
  /** What each blank was filled with, from left to right. */
  readonly contents: readonly (readonly number[])[];
}

/**
 * Fills the blanks of a text, from left to right, each with what the model writes after the text and the contents so far: GLM's
 * autoregressive blank infilling. Du et al. 2022, section 2.1. The text is read once, each token of a content is one step more.
 *
 * @throws TesseraError `argument` for a text without blanks or longer than the model sees, `unsupported` for a model of another task
 */
export async function fillBlanks(
  model: LanguageModel,
  ids: readonly number[],
  options: FillBlanksOptions,
): Promise<FilledBlanks> {
  const { blanks, start, stop, maxNewTokens = 64, processors = [], seed, signal } = options;
  if (model.task !== "blank-infilling")
    throw new TesseraError("unsupported", `fillBlanks: the model's task is ${model.task} (blank-infilling expected)`);
  const places = ids.flatMap((id, i) => (blanks.includes(id) ? [i] : []));
  if (places.length === 0) throw new TesseraError("argument", "fillBlanks: there is no blank in the text");
  const most = model.facts.contextLength ?? Number.POSITIVE_INFINITY;
  if (ids.length + 2 > most)
    throw new TesseraError(
      "argument",
      `fillBlanks: the text leaves no room for an answer, ${ids.length} tokens of ${most}`,
    );
  const runtime = options.runtime ?? (await import("../runtime/native.js")).nativeRuntime();
  const capacity = Math.min(most - ids.length, places.length * (maxNewTokens + 1));
  const how = signal ? { signal } : {};
  using decoder = await openBlankDecoder(model, ids, capacity, runtime, how);
  const choose = seed === undefined ? argmax : sampler(seed);
  const process = chain(processors);
  const contents: number[][] = [];
  let length = ids.length;
  for (const position of places) {
    const content: number[] = [];
    let next = start;
    while (length++ < most) {
      signal?.throwIfAborted();
      const scores = await decoder.step(next, { position, blockPosition: content.length + 1 }, how);
      if (content.length === maxNewTokens) break; // its last token is there for the blanks that follow
      process(scores, content);
      next = choose(scores);
      if (next === stop) break;
      content.push(next);
    }
    contents.push(content);
  }
  let blank = 0;
  return { ids: ids.flatMap((id, i) => (places.includes(i) ? contents[blank++]! : [id])), contents };
}
