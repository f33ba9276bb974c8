import { TesseraError } from "../core/errors.js";
import { type GenerationConfig, parseGenerationConfig } from "../hub/generation-config.js";
import { type BeamPrompt, beamSearch } from "./beam-search.js";
import { requireIdCall } from "./check-arguments.js";
import { type CompiledModel, compileModel, type GenerationModel } from "./compile-model.js";
import type { Decoder } from "./decoder.js";
import { type GenerationOptions, type GenerationSettings, resolveOptions } from "./generation-options.js";
import { type TokenLogprobs, tokenLogprobs } from "./logprobs.js";
import { type OpenText, openText } from "./open-text.js";
import { argmax, type Chooser, sampler } from "./sampling.js";

/** Why a completion ended: with a token that ends a text, at a stop string, or because it is long enough. */
export type FinishReason = "eos" | "stop" | "length";

/** A completion of one prompt: what follows it, or for an encoder-decoder what is made of it. */
export interface Completion {
  /** The generated tokens, without the prompt or the token that a target starts with, with the token that ended the text. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** Of beam search: the log-probability over the length to the power of `lengthPenalty`. */
  readonly score?: number;
  /** Of each token, where `logprobs` asks for them. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** One generated token. */
export interface TokenEvent {
  readonly row: number;
  readonly id: number;
  /** Where the settings ask for it. */
  readonly logprobs: TokenLogprobs | undefined;
  /** Set with a row's last token. */
  readonly finishReason: FinishReason | undefined;
}

/** Prompts and what happens to them. */
export interface TokenStreamOptions {
  readonly settings: GenerationSettings;
  readonly signal?: AbortSignal | undefined;
  /** Sees every token; true ends the row with `"stop"`. */
  readonly stopped?: (row: number, id: number) => boolean;
}

/**
 * Continues a prompt, or a batch of prompts of any lengths: the result of each is what it would be alone. An encoder-decoder reads
 * the prompt as its source, and generates its target.
 *
 * @param model compiled with {@link compileModel}, or not: it is then compiled for this call only
 * @param prompt token ids; for a batch a list of them
 * @param options over those of the model's generation configuration
 * @param signal ends it early
 * @returns a completion, or for a batch one for each prompt (`numReturnSequences` for each, one behind the other)
 * @throws TesseraError `argument` for prompts or options that make no sense, `unsupported` for a model that generates no text, `aborted`
 *   by the signal
 * @example const { ids } = await generate(model, tokenizer.encode("Call me"), { maxNewTokens: 20, temperature: 0.8, seed: 1 });
 */
export async function generate(
  model: CompiledModel | GenerationModel,
  prompt: readonly number[],
  options?: GenerationOptions,
  signal?: AbortSignal,
): Promise<Completion>;
export async function generate(
  model: CompiledModel | GenerationModel,
  prompts: readonly (readonly number[])[],
  options?: GenerationOptions,
  signal?: AbortSignal,
): Promise<Completion[]>;
export async function generate(
  model: CompiledModel | GenerationModel,
  given: readonly number[] | readonly (readonly number[])[],
  options: GenerationOptions = {},
  signal?: AbortSignal,
): Promise<Completion | Completion[]> {
  requireIdCall("generate", model, given, options);
  const single = given.length === 0 || typeof given[0] === "number";
  const prompts = single ? [given as readonly number[]] : (given as readonly (readonly number[])[]);
  const settings = settingsOf(model, options);
  if (single && settings.numReturnSequences > 1)
    throw new TesseraError(
      "argument",
      `generate: one prompt has one completion here, numReturnSequences is ${settings.numReturnSequences}. Give a list of prompts`,
    );
  const completions = settings.beams
    ? await searchBeams(model, prompts, settings, signal)
    : await collect(tokenStream(model, prompts, { settings, signal }), prompts.length * settings.numReturnSequences);
  return single ? completions[0]! : completions;
}

async function collect(events: AsyncIterable<TokenEvent>, rows: number): Promise<Completion[]> {
  const completions = Array.from({ length: rows }, () => ({
    ids: [] as number[],
    finishReason: "length" as FinishReason,
  })) as { ids: number[]; finishReason: FinishReason; logprobs?: TokenLogprobs[] }[];
  for await (const { row, id, logprobs, finishReason } of events) {
    const completion = completions[row]!;
    completion.ids.push(id);
    if (logprobs) (completion.logprobs ??= []).push(logprobs);
    if (finishReason) completion.finishReason = finishReason;
  }
  return completions;
}

/** What `generation_config.json` says, or, for a model without one, as older checkpoints have it, config.json. */
export function generationOf({ generation, rawConfig }: GenerationModel): GenerationConfig {
  return Object.keys(generation).length > 0 ? generation : parseGenerationConfig(rawConfig, "config.json").config;
}

/** The settings of a call: options over the model's configuration. @throws TesseraError as {@link resolveOptions} */
export function settingsOf(model: CompiledModel | GenerationModel, options: GenerationOptions): GenerationSettings {
  const { rawConfig, facts } = uncompiled(model);
  const generation = generationOf(uncompiled(model));
  // Older checkpoints say some of it in config.json.
  const eos = generation.eos_token_id ?? (rawConfig.eos_token_id as number | readonly number[] | null | undefined);
  const bos = generation.bos_token_id ?? (rawConfig.bos_token_id as number | null | undefined);
  const start = generation.decoder_start_token_id ?? facts.decoderStart ?? bos;
  const config = {
    ...generation,
    ...(eos === undefined || eos === null ? {} : { eos_token_id: eos }),
    ...(start === undefined || start === null ? {} : { decoder_start_token_id: start }),
  };
  return resolveOptions(config, options, facts.vocabSize);
}

const uncompiled = (model: CompiledModel | GenerationModel): GenerationModel =>
  "decoder" in model ? model.model : model;

/**
 * Beam search over a batch of prompts.
 *
 * @returns the best `numReturnSequences` completions of each prompt, best first, one prompt behind the other
 * @throws TesseraError as {@link generate}
 */
export async function searchBeams(
  model: CompiledModel | GenerationModel,
  prompts: readonly (readonly number[])[],
  settings: GenerationSettings,
  signal?: AbortSignal,
): Promise<Completion[]> {
  const { numBeams } = settings.beams!;
  const texts = prompts.map((prompt, p) => openText(uncompiled(model), prompt, p, settings));
  if (texts.length === 0) return [];
  const compiled = "decoder" in model ? model : await compileModel(model);
  using _ = "decoder" in model ? undefined : compiled;
  using decoder = openRows(compiled, texts, numBeams);
  const searched = texts.map((text): BeamPrompt => ({ ...text, eos: settings.eosTokenId }));
  const found = await beamSearch(decoder, searched, settings.beams!, signal ? { signal } : {});
  return found.flatMap((texts) =>
    texts.slice(0, settings.numReturnSequences).map((text) => ({
      ...text,
      finishReason: settings.eosTokenId.includes(text.ids.at(-1)!) ? "eos" : "length",
    })),
  );
}

/**
 * The tokens of all rows as they are generated. Rows are `numReturnSequences` for each prompt, one behind the other.
 *
 * @throws TesseraError as {@link generate}
 */
export async function* tokenStream(
  model: CompiledModel | GenerationModel,
  prompts: readonly (readonly number[])[],
  { settings, signal, stopped = () => false }: TokenStreamOptions,
): AsyncGenerator<TokenEvent, void, undefined> {
  const { contextLength = Number.POSITIVE_INFINITY } = uncompiled(model).facts;
  if (settings.beams)
    throw new TesseraError(
      "unsupported",
      `generate: beam search knows its text at the end only, numBeams is ${settings.beams.numBeams} (1 expected to stream)`,
    );
  const copies = settings.numReturnSequences;
  const texts = prompts.map((prompt, p) => openText(uncompiled(model), prompt, p, settings));
  const rows = texts.flatMap((text, p) =>
    Array.from({ length: copies }, (_, copy) => openRow(text, p * copies + copy, settings)),
  );
  if (rows.length === 0) return;

  const compiled = "decoder" in model ? model : await compileModel(model);
  using _ = "decoder" in model ? undefined : compiled;
  using decoder = openRows(compiled, texts, copies);
  const run = signal ? { signal } : {};
  const take = (row: Row, logits: Float32Array): TokenEvent => {
    const raw = settings.logprobs === undefined ? undefined : logits.slice(); // choosing changes them
    const id = row.choose(logits);
    row.history.push(id);
    row.left--;
    row.finishReason = stopped(row.index, id)
      ? "stop"
      : settings.eosTokenId.includes(id)
        ? "eos"
        : row.left === 0
          ? "length"
          : undefined;
    const logprobs = raw && tokenLogprobs(raw, id, settings.logprobs!);
    return { row: row.index, id, logprobs, finishReason: row.finishReason };
  };

  for (const [p, { source }] of texts.entries()) {
    const first = p * copies;
    if (source) {
      await decoder.read(p, source, run); // the targets start together, in the first step
      continue;
    }
    const logits = await read(decoder, rows[first]!, contextLength, run);
    const shared = copies > 1 ? logits.slice() : logits; // choosing changes them
    for (const row of rows.slice(first, first + copies)) {
      decoder.copyRow(first, row.index);
      yield take(row, row.index === first ? logits : shared.slice());
    }
  }
  const going = () => rows.some((row) => !row.finishReason);
  while (going()) {
    // Rows that have reached the context's end are read anew, the others go on by a token.
    const fits = rows.map((row) => !row.finishReason && decoder.length(row.index) < contextLength);
    const logits = fits.includes(true)
      ? await decoder.step(
          rows.map((row, i) => (fits[i] ? row.history.at(-1) : undefined)),
          run,
        )
      : [];
    for (const [i, row] of rows.entries())
      if (!row.finishReason) yield take(row, fits[i] ? logits[i]! : await read(decoder, row, contextLength, run));
  }
}

/** One text on its way. */
interface Row {
  readonly index: number;
  /** Prompt and completion. */
  readonly history: number[];
  /** Tokens still to come, at most. */
  left: number;
  finishReason: FinishReason | undefined;
  choose(logits: Float32Array): number;
}

const FIRST_ROOM = 512; // tokens that memory is set aside for at once, however many may come

/** A decoder for texts, each with `each` rows. */
function openRows(model: CompiledModel, texts: readonly OpenText[], each: number): Decoder {
  return model.decoder({
    batch: texts.length * each,
    rowsPerSource: each,
    capacity: Math.max(...texts.map(({ begin, left }) => begin.length + Math.min(left, FIRST_ROOM))),
    sourceCapacity: Math.max(1, ...texts.map(({ source }) => source?.length ?? 0)),
  });
}

function openRow({ begin, left, process }: OpenText, index: number, settings: GenerationSettings): Row {
  const history = [...begin];
  const pick: Chooser = settings.sampling ? sampler(settings.sampling.seed + index) : argmax;
  return {
    index,
    history,
    left,
    finishReason: undefined,
    choose(logits) {
      process(logits, history);
      return pick(logits);
    },
  };
}

/** Reads a row's text from its start, or, where it is longer than the context, its end: three quarters of a context, to have room to go on. */
async function read(
  decoder: Decoder,
  { index, history }: Row,
  contextLength: number,
  run: { readonly signal?: AbortSignal },
): Promise<Float32Array> {
  const kept = history.length <= contextLength ? history : history.slice(-Math.ceil(0.75 * contextLength));
  decoder.clear(index);
  return decoder.append(index, kept, run);
}
