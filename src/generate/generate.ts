import { TesseraError } from "../core/errors.js";
import { type BeamPrompt, beamSearch } from "./beam-search.js";
import { type CompiledModel, compileModel, type GenerationModel } from "./compile-model.js";
import type { Decoder } from "./decoder.js";
import { type GenerationOptions, type GenerationSettings, resolveOptions } from "./generation-options.js";
import {
  badWords,
  beginSuppressTokens,
  chain,
  forcedTokens,
  type LogitsProcessor,
  logNormalize,
  minLength,
  minP,
  noRepeatNgram,
  repetitionPenalty,
  suppressTokens,
  temperature,
  topK,
  topP,
} from "./logits-processors.js";
import { argmax, type Chooser, sampler } from "./sampling.js";

/** Why a completion ended: with a token that ends a text, at a stop string, or because it is long enough. */
export type FinishReason = "eos" | "stop" | "length";

/** A completion of one prompt. */
export interface Completion {
  /** The generated tokens, without the prompt, with the token that ended the text. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** Of beam search: the log-probability over the length to the power of `lengthPenalty`. */
  readonly score?: number;
}

/** One generated token. */
export interface TokenEvent {
  readonly row: number;
  readonly id: number;
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
 * Continues a prompt, or a batch of prompts of any lengths: the result of each is what it would be alone.
 *
 * @param model compiled with {@link compileModel}, or not: it is then compiled for this call only
 * @param prompt token ids; for a batch a list of them
 * @param options over those of the model's generation configuration
 * @param signal ends it early
 * @returns a completion, or for a batch one for each prompt (`numReturnSequences` for each, one behind the other)
 * @throws TesseraError `argument` for prompts or options that make no sense, `aborted` by the signal
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
  }));
  for await (const { row, id, finishReason } of events) {
    completions[row]!.ids.push(id);
    if (finishReason) completions[row]!.finishReason = finishReason;
  }
  return completions;
}

/** The settings of a call: options over the model's configuration. @throws TesseraError as {@link resolveOptions} */
export function settingsOf(model: CompiledModel | GenerationModel, options: GenerationOptions): GenerationSettings {
  const { generation, rawConfig, facts } = "decoder" in model ? model.model : model;
  const fromConfig = rawConfig.eos_token_id as number | readonly number[] | null | undefined; // where older checkpoints say it
  const ends = generation.eos_token_id ?? fromConfig;
  return resolveOptions(
    ends === undefined || ends === null ? generation : { ...generation, eos_token_id: ends },
    options,
    facts.vocabSize,
  );
}

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
  const { contextLength } = ("decoder" in model ? model.model : model).facts;
  const { numBeams } = settings.beams!;
  const searched = prompts.map((prompt, p): BeamPrompt => {
    const { left, process } = openText(prompt, p, settings, contextLength);
    const room = contextLength === undefined ? left : contextLength - prompt.length + 1;
    if (left > room && settings.overflow === "slide")
      throw new TesseraError(
        "unsupported",
        `generate: beam search stays within the context, prompt ${p} and its completion may have ${prompt.length + left} tokens (${prompt.length + left} vs ${contextLength})`,
      );
    return { ids: prompt, maxNewTokens: Math.min(left, room), eos: settings.eosTokenId, process };
  });
  if (searched.length === 0) return [];
  const compiled = "decoder" in model ? model : await compileModel(model);
  using _ = "decoder" in model ? undefined : compiled;
  using decoder = compiled.decoder({
    batch: prompts.length * numBeams,
    capacity: Math.max(...searched.map(({ ids, maxNewTokens }) => ids.length + Math.min(maxNewTokens, FIRST_ROOM))),
  });
  const found = await beamSearch(decoder, searched, settings.beams!, signal ? { signal } : {});
  return found.flatMap((texts) =>
    texts.slice(0, settings.numReturnSequences).map(({ ids, score }) => ({
      ids,
      score,
      finishReason: settings.eosTokenId.includes(ids.at(-1)!) ? "eos" : "length",
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
  const { contextLength } = ("decoder" in model ? model.model : model).facts;
  if (settings.beams)
    throw new TesseraError(
      "unsupported",
      `generate: beam search knows its text at the end only, numBeams is ${settings.beams.numBeams} (1 expected to stream)`,
    );
  const copies = settings.numReturnSequences;
  const rows = prompts.flatMap((prompt, p) =>
    Array.from({ length: copies }, (_, copy) => openRow(prompt, p * copies + copy, settings, contextLength)),
  );
  if (rows.length === 0) return;

  const compiled = "decoder" in model ? model : await compileModel(model);
  using _ = "decoder" in model ? undefined : compiled;
  const capacity = Math.max(...rows.map((row) => row.history.length + Math.min(row.left, FIRST_ROOM)));
  using decoder = compiled.decoder({ batch: rows.length, capacity });
  const run = signal ? { signal } : {};
  const take = (row: Row, logits: Float32Array): TokenEvent => {
    const id = row.choose(logits);
    row.history.push(id);
    row.left--;
    const full = settings.overflow === "stop" && row.history.length > (contextLength ?? Number.POSITIVE_INFINITY);
    row.finishReason = stopped(row.index, id)
      ? "stop"
      : settings.eosTokenId.includes(id)
        ? "eos"
        : row.left === 0 || full
          ? "length"
          : undefined;
    return { row: row.index, id, finishReason: row.finishReason };
  };

  for (let first = 0; first < rows.length; first += copies) {
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
    const fits = rows.map(
      (row) => !row.finishReason && decoder.length(row.index) < (contextLength ?? Number.POSITIVE_INFINITY),
    );
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

const DEFAULT_NEW_TOKENS = 256;
const FIRST_ROOM = 512; // tokens that memory is set aside for at once, however many may come

function openRow(
  prompt: readonly number[],
  index: number,
  settings: GenerationSettings,
  contextLength: number | undefined,
): Row {
  const { left, process } = openText(prompt, index, settings, contextLength);
  const history = [...prompt];
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

/** How many tokens may follow a prompt, and what changes their logits. */
function openText(
  prompt: readonly number[],
  index: number,
  settings: GenerationSettings,
  contextLength: number | undefined,
) {
  if (prompt.length === 0)
    throw new TesseraError("argument", `generate: prompt ${index} has no tokens. Begin with the model's first token`);
  if (settings.overflow === "stop" && contextLength !== undefined && prompt.length > contextLength)
    throw new TesseraError(
      "argument",
      `generate: prompt ${index} has ${prompt.length} tokens, the model sees ${contextLength} at once (${prompt.length} vs ${contextLength}). Shorten it, or set overflow to "slide"`,
    );
  const left =
    settings.maxNewTokens ??
    (settings.maxLength === undefined ? DEFAULT_NEW_TOKENS : settings.maxLength - prompt.length);
  if (left < 1)
    throw new TesseraError(
      "argument",
      `generate: prompt ${index} has ${prompt.length} tokens, maxLength leaves none (${prompt.length} vs ${settings.maxLength}). Set maxNewTokens`,
    );
  return { left, process: chain(processorsOf(settings, prompt.length, prompt.length + left)) };
}

/** What changes the logits, in transformers' order. */
function processorsOf(s: GenerationSettings, promptLength: number, maxLength: number): readonly LogitsProcessor[] {
  const least = Math.max(s.minLength, s.minNewTokens > 0 ? promptLength + s.minNewTokens : 0);
  const eos = s.eosTokenId;
  const { sampling } = s;
  const when = (condition: boolean, processor: () => LogitsProcessor) => (condition ? [processor()] : []);
  return [
    ...when(s.repetitionPenalty !== 1, () => repetitionPenalty(s.repetitionPenalty)),
    ...when(s.noRepeatNgramSize > 0, () => noRepeatNgram(s.noRepeatNgramSize)),
    // A word that is the end of a text alone would forbid ending.
    ...when(s.badWordsIds.length > 0, () =>
      badWords(s.badWordsIds.filter((word) => word.length > 1 || !eos.includes(word[0]!))),
    ),
    ...when(least > promptLength && eos.length > 0, () => minLength(least, eos)),
    ...when(s.forcedBosTokenId !== undefined, () => forcedTokens([s.forcedBosTokenId!], 1)),
    ...when(s.forcedEosTokenId.length > 0, () => forcedTokens(s.forcedEosTokenId, maxLength - 1)),
    ...when(s.suppressTokens.length > 0, () => suppressTokens(s.suppressTokens)),
    ...when(s.beginSuppressTokens.length > 0, () => beginSuppressTokens(s.beginSuppressTokens, promptLength)),
    ...s.logitsProcessors,
    ...(sampling
      ? [
          ...when(sampling.temperature !== 1, () => temperature(sampling.temperature)),
          ...when(sampling.topK > 0, () => topK(sampling.topK)),
          ...when(sampling.topP < 1, () => topP(sampling.topP)),
          ...when(sampling.minP > 0, () => minP(sampling.minP)),
        ]
      : []),
    ...when(s.renormalizeLogits, () => logNormalize),
  ];
}

/** Reads a row's text from its start, or, where it is longer than the context, its end: three quarters of a context, to have room to go on. */
async function read(
  decoder: Decoder,
  { index, history }: Row,
  contextLength: number | undefined,
  run: { readonly signal?: AbortSignal },
): Promise<Float32Array> {
  const kept =
    contextLength === undefined || history.length <= contextLength
      ? history
      : history.slice(-Math.ceil(0.75 * contextLength));
  decoder.clear(index);
  return decoder.append(index, kept, run);
}
