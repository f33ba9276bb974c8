import { TesseraError } from "../core/errors.js";
import { endSource } from "../text/end-source.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { requireTextCall } from "./check-arguments.js";
import type { CompiledModel, GenerationModel } from "./compile-model.js";
import { type Completion, type FinishReason, searchBeams, settingsOf, tokenStream } from "./generate.js";
import type { GenerationOptions } from "./generation-options.js";
import type { TokenLogprobs } from "./logprobs.js";
import { stopScanner } from "./stop-strings.js";

/** How a text is continued. */
export interface TextOptions extends GenerationOptions {
  /** Texts that end the completion, and are not part of it. Default: `stop_strings` of the model's generation configuration. */
  readonly stop?: string | readonly string[];
  /** Whether special tokens are left out of the completion. Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Whether the tokenizer sets the special tokens of a model's input around the prompt. Default true. */
  readonly addSpecialTokens?: boolean;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/** A completion of one prompt as text. */
export interface TextCompletion extends Completion {
  /** What follows the prompt, or is made of it. */
  readonly text: string;
}

/**
 * Continues a text piece by piece: each piece as soon as it is certain, whole characters only, and nothing of a stop string.
 *
 * @returns the pieces; the generator's return value is the whole completion
 * @throws TesseraError `argument` for options that make no sense or an empty prompt without a token to begin with, `aborted` by the signal
 * @example for await (const piece of streamText(model, tokenizer, "Call me", { maxNewTokens: 40 })) process.stdout.write(piece);
 */
export async function* streamText(
  model: CompiledModel | GenerationModel,
  tokenizer: Tokenizer,
  prompt: string,
  options: TextOptions = {},
): AsyncGenerator<string, TextCompletion, undefined> {
  requireTextCall("streamText", model, tokenizer, prompt, options);
  const { rows, events } = textRows(model, tokenizer, [prompt], options);
  if (rows.length > 1)
    throw new TesseraError("argument", `streamText: one text is streamed, numReturnSequences is ${rows.length}`);
  const row = rows[0]!;
  let told = 0;
  for await (const _ of events) {
    if (row.text.length > told) yield row.text.slice(told);
    told = row.text.length;
  }
  if (row.text.length > told) yield row.text.slice(told); // beam search knows its text at the end only
  return row;
}

/**
 * Continues a text, or a batch of texts.
 *
 * @returns a completion, or for a batch one for each prompt (`numReturnSequences` for each, one behind the other)
 * @throws TesseraError as {@link streamText}
 * @example const { text } = await generateText(model, tokenizer, "Call me", { maxNewTokens: 40, temperature: 0.8, seed: 7 });
 */
export async function generateText(
  model: CompiledModel | GenerationModel,
  tokenizer: Tokenizer,
  prompt: string,
  options?: TextOptions,
): Promise<TextCompletion>;
export async function generateText(
  model: CompiledModel | GenerationModel,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  options?: TextOptions,
): Promise<TextCompletion[]>;
export async function generateText(
  model: CompiledModel | GenerationModel,
  tokenizer: Tokenizer,
  given: string | readonly string[],
  options: TextOptions = {},
): Promise<TextCompletion | TextCompletion[]> {
  requireTextCall("generateText", model, tokenizer, given, options);
  const { rows, events } = textRows(model, tokenizer, typeof given === "string" ? [given] : given, options);
  if (typeof given === "string" && rows.length > 1)
    throw new TesseraError(
      "argument",
      `generateText: one prompt has one completion here, numReturnSequences is ${rows.length}. Give a list of prompts`,
    );
  for await (const _ of events);
  return typeof given === "string" ? rows[0]! : rows;
}

/** A text on its way. */
interface TextRow {
  readonly ids: number[];
  /** What is certain of the completion. */
  text: string;
  finishReason: FinishReason;
  score?: number;
  logprobs?: TokenLogprobs[];
}

/** The rows of a call, which grow while its events are taken. */
function textRows(
  model: CompiledModel | GenerationModel,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  options: TextOptions,
) {
  const { stop, skipSpecialTokens = true, addSpecialTokens = true, signal, ...generation } = options;
  const { generation: config, rawConfig, task } = "decoder" in model ? model.model : model;
  const { eos, bos } = tokenizer.specialTokens;
  const known = settingsOf(model, generation);
  const settings =
    known.eosTokenId.length > 0 || generation.eosTokenId !== undefined || eos === undefined
      ? known
      : { ...known, eosTokenId: [eos] };
  const stops = [stop ?? config.stop_strings ?? []].flat();
  for (const text of stops)
    if (typeof text !== "string" || text === "")
      throw new TesseraError(
        "argument",
        `generate: stop must be texts that are not empty, got ${JSON.stringify(text)}`,
      );

  const begin = [config.bos_token_id, rawConfig.bos_token_id, bos].find((id) => typeof id === "number");
  const end = task === "seq2seq-lm" && addSpecialTokens ? endSource(tokenizer) : (ids: readonly number[]) => ids;
  const encoded = prompts.map((prompt) => {
    const ids = end(tokenizer.encode(prompt, { addSpecialTokens }));
    if (ids.length > 0) return ids;
    if (begin === undefined)
      throw new TesseraError(
        "argument",
        "generate: the prompt is empty, and the model has no token to begin a text with. Give a prompt",
      );
    return [begin];
  });
  if (settings.beams && stops.length > 0)
    throw new TesseraError("unsupported", "generate: beam search has no stop strings. Leave out stop or numBeams");
  const inner = encoded.flatMap((ids) =>
    Array.from({ length: settings.numReturnSequences }, () =>
      openTextRow(tokenizer, task === "seq2seq-lm" ? [] : ids, stops, skipSpecialTokens),
    ),
  );
  const stopped = (row: number, id: number) => inner[row]!.push(id);
  async function* events() {
    if (settings.beams) {
      const completions = await searchBeams(model, encoded, settings, signal);
      for (const [i, { ids, finishReason, ...more }] of completions.entries()) {
        for (const id of ids) inner[i]!.push(id);
        inner[i]!.finish(finishReason);
        Object.assign(inner[i]!.row, more);
      }
      return;
    }
    for await (const { row, logprobs, finishReason } of tokenStream(model, encoded, { settings, signal, stopped })) {
      if (logprobs) (inner[row]!.row.logprobs ??= []).push(logprobs);
      if (finishReason) inner[row]!.finish(finishReason);
      yield;
    }
  }
  return { rows: inner.map(({ row }) => row), events: events() };
}

function openTextRow(
  tokenizer: Tokenizer,
  before: readonly number[],
  stops: readonly string[],
  skipSpecialTokens: boolean,
) {
  const decoding = tokenizer.stream({ skipSpecialTokens, after: before });
  const scanner = stopScanner(stops);
  const row: TextRow = { ids: [], text: "", finishReason: "length" };
  const take = (piece: string) => {
    const { text, stopped } = scanner.push(piece);
    row.text += text;
    return stopped;
  };
  return {
    row,
    /** Takes a token; whether a stop string is complete. */
    push(id: number): boolean {
      row.ids.push(id);
      return take(decoding.push(id));
    },
    finish(reason: FinishReason): void {
      row.finishReason = reason;
      if (reason === "stop") return;
      const rest = decoding.flush();
      // A text cut for its length may end within a character.
      const stopped = take(reason === "length" ? rest.replace(/\uFFFD+$/, "") : rest);
      if (stopped) row.finishReason = "stop";
      else row.text += scanner.flush();
    },
  };
}
