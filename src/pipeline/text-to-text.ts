import { TesseraError } from "../core/errors.js";
import { compileModel } from "../generate/compile-model.js";
import { generationOf } from "../generate/generate.js";
import { generateText, type TextOptions } from "../generate/generate-text.js";
import { parseGenerationConfig } from "../hub/generation-config.js";
import { endSource } from "../text/end-source.js";
import { checkInputs, text as textKind } from "./check-call.js";
import type { OpenedModel } from "./open-model.js";
import { inBatches } from "./text-generation.js";
import { textInput } from "./text-input.js";

/**
 * How texts are rewritten: as {@link generateText} does, with what config.json has for the task over the model's generation
 * configuration. Beam search with 4 beams unless one of them or the options say otherwise.
 */
export interface RewriteOptions extends TextOptions {
  /** Set before each text. Default: the one that config.json has for the task, `summarize: ` for example, or none. */
  readonly prefix?: string;
  /** Cut texts longer than the model reads; else they are an error. Default false. */
  readonly truncation?: boolean;
}

/** How texts are translated. */
export interface TranslateOptions extends RewriteOptions {
  /** The languages as config.json names them: their prefix is set before each text. Default: the only pair that it has, if it has one. */
  readonly from?: string;
  readonly to?: string;
}

/** One result for each text of a list; for a single text, or with several results each, a list of results for each text. */
export interface Rewriting<R, O = RewriteOptions> {
  (text: string, options?: O): Promise<readonly R[]>;
  (texts: readonly string[], options: O & { readonly numReturnSequences: number }): Promise<readonly (readonly R[])[]>;
  (texts: readonly string[], options?: O & { readonly numReturnSequences?: undefined }): Promise<readonly R[]>;
  (texts: readonly string[], options: O): Promise<readonly (R | readonly R[])[]>;
}

export type TextToText = Rewriting<{ readonly generated_text: string }>;
export type Summarization = Rewriting<{ readonly summary_text: string }>;
export type Translation = Rewriting<{ readonly translation_text: string }, TranslateOptions>;

export const openTextToText = (opened: OpenedModel) =>
  openRewriting<TextToText>(opened, "generated_text", () => undefined);

export const openSummarization = (opened: OpenedModel) =>
  openRewriting<Summarization>(opened, "summary_text", () => "summarization");

export const openTranslation = (opened: OpenedModel) =>
  openRewriting<Translation>(opened, "translation_text", ({ from, to }: TranslateOptions) => {
    const { model, where } = opened;
    const pairs = Object.keys(specific(model.rawConfig.task_specific_params)).filter((name) =>
      /^translation_/.test(name),
    );
    if (from === undefined && to === undefined) return pairs.length === 1 ? pairs[0] : undefined;
    const name = `translation_${from}_to_${to}`;
    if (pairs.includes(name)) return name;
    throw new TesseraError(
      "unsupported",
      `${where}: config.json has nothing for translating from ${from} to ${to} (${pairs.join(", ") || "no pairs at all"})`,
    );
  });

const BEAMS = 4;

/**
 * @param field what the result is called
 * @param taskOf which of config.json's `task_specific_params` a call is for
 */
async function openRewriting<R>(
  opened: OpenedModel,
  field: string,
  taskOf: (options: TranslateOptions) => string | undefined,
): Promise<R & Disposable> {
  const { model, tokenizer, runtime, threads } = opened;
  const compiled = await compileModel(model, { runtime, ...(threads === undefined ? {} : { threads }) });
  const params = specific(model.rawConfig.task_specific_params);
  const texts = textInput(opened);
  const spare = endSource(tokenizer)([]).length; // the end token, where it is not the tokenizer that sets it
  const cut = { truncation: true, ...(Number.isFinite(texts.limit) ? { maxLength: texts.limit - spare } : {}) };

  async function go(given: readonly string[], options: TranslateOptions) {
    const task = taskOf(options);
    const { prefix: own, ...settings } = task === undefined ? {} : specific(params[task]);
    const usual = own ?? model.rawConfig.prefix;
    const suited = parseGenerationConfig(settings, `config.json: task_specific_params.${task}`).config;
    const config = { ...generationOf(model), ...suited };
    const forTask = { ...compiled, model: { ...compiled.model, generation: config } };
    const {
      prefix = typeof usual === "string" ? usual : "",
      truncation = false,
      from: _,
      to: __,
      ...generation
    } = options;
    const { doSample, temperature, topK, topP, minP, stop } = generation;
    const { num_beams, do_sample, stop_strings } = config;
    // Neither drawing nor stop strings go with beams.
    const alone = [num_beams, stop, stop_strings].every((x) => x === undefined);
    const draws = doSample ?? (do_sample || [temperature, topK, topP, minP].some(Boolean));
    const beams = alone && !draws ? { numBeams: BEAMS } : {};
    const prompts = given.map((text) => prefix + text);
    const reader = truncation
      ? { ...tokenizer, encode: (text: string) => [...texts.encode(text, 0, cut).ids] }
      : tokenizer;
    const completions = await inBatches(opened.batchSize, prompts, { ...beams, ...generation }, (batch, own) =>
      generateText(forTask, reader, batch, own),
    );
    return completions.map((found) => found.map(({ text }) => ({ [field]: text })));
  }

  const call = async (given: string | readonly string[], options: TranslateOptions = {}) => {
    checkInputs(opened.where, given, textKind);
    if (typeof given === "string") return (await go([given], options))[0]!;
    const all = await go(given, options);
    return options.numReturnSequences === undefined && all.every((found) => found.length === 1)
      ? all.map(([one]) => one!)
      : all;
  };
  return Object.assign(call as unknown as R & object, { [Symbol.dispose]: () => compiled.dispose() });
}

const specific = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
