import { TesseraError } from "../core/errors.js";
import type { GenerationModel } from "./compile-model.js";
import type { GenerationSettings } from "./generation-options.js";
import {
  badWords,
  beginSuppressTokens,
  chain,
  encoderNoRepeatNgram,
  encoderRepetitionPenalty,
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

/** A text before its first token is generated. */
export interface OpenText {
  /** What an encoder reads: the prompt; undefined for a model without one. */
  readonly source: readonly number[] | undefined;
  /** What the text begins with: the prompt, or the token that a target starts with. */
  readonly begin: readonly number[];
  /** Most tokens that may follow. */
  readonly left: number;
  /** Changes their logits. */
  readonly process: LogitsProcessor;
}

const DEFAULT_NEW_TOKENS = 256;

/**
 * What a prompt begins, and how it may go on.
 *
 * @param index of the prompt, for messages
 * @throws TesseraError `argument` for a prompt without tokens, one too long, or a target without a token to start with
 */
export function openText(
  { task, facts }: GenerationModel,
  prompt: readonly number[],
  index: number,
  settings: GenerationSettings,
): OpenText {
  const { contextLength, sourceLength } = facts;
  if (prompt.length === 0)
    throw new TesseraError("argument", `generate: prompt ${index} has no tokens. Begin with the model's first token`);
  const source = task === "seq2seq-lm" ? prompt : undefined;
  const begin = source ? [startOf(settings.decoderStart, index)] : prompt;
  if (source && sourceLength !== undefined && source.length > sourceLength)
    throw new TesseraError(
      "argument",
      `generate: prompt ${index} has ${prompt.length} tokens, the model reads ${sourceLength} at once (${prompt.length} vs ${sourceLength}). Shorten it`,
    );
  if (settings.overflow === "stop" && contextLength !== undefined && begin.length > contextLength)
    throw new TesseraError(
      "argument",
      `generate: prompt ${index} has ${prompt.length} tokens, the model sees ${contextLength} at once (${prompt.length} vs ${contextLength}). Shorten it, or set overflow to "slide"`,
    );
  const left =
    settings.maxNewTokens ??
    (settings.maxLength === undefined ? DEFAULT_NEW_TOKENS : settings.maxLength - begin.length);
  if (left < 1)
    throw new TesseraError(
      "argument",
      `generate: prompt ${index} has ${begin.length} tokens, maxLength leaves none (${begin.length} vs ${settings.maxLength}). Set maxNewTokens`,
    );
  const room = contextLength === undefined ? left : contextLength - begin.length + 1;
  const staying = settings.beams ? "beam search" : source ? "an encoder-decoder" : undefined;
  if (staying && left > room && settings.overflow === "slide")
    throw new TesseraError(
      "unsupported",
      `generate: ${staying} stays within the context, text ${index} may have ${begin.length + left} tokens (${begin.length + left} vs ${contextLength})`,
    );
  const process = chain(processorsOf(settings, begin.length, begin.length + left, prompt));
  return { source, begin, left: settings.overflow === "stop" || staying ? Math.min(left, room) : left, process };
}

/** The token that a target starts with: one for all, or one for each prompt. */
function startOf(starts: readonly number[], index: number): number {
  const start = starts.length === 1 ? starts[0] : starts[index];
  if (start === undefined)
    throw new TesseraError(
      "argument",
      starts.length === 0
        ? "generate: the model does not say which token its target starts with. Set decoderStartTokenId"
        : `generate: decoderStartTokenId has no token for prompt ${index} (${starts.length} tokens)`,
    );
  return start;
}

/**
 * What changes the logits, in transformers' order.
 *
 * @param begin tokens that the text begins with
 * @param longest tokens it has in the end, at most
 * @param prompt what an encoder reads; without one, as in the original, the prompt
 */
function processorsOf(
  s: GenerationSettings,
  begin: number,
  longest: number,
  prompt: readonly number[],
): readonly LogitsProcessor[] {
  const least = Math.max(s.minLength, s.minNewTokens > 0 ? begin + s.minNewTokens : 0);
  const eos = s.eosTokenId;
  const { sampling } = s;
  const when = (condition: boolean, processor: () => LogitsProcessor) => (condition ? [processor()] : []);
  const firstFree = begin === 1 && s.forcedBosTokenId !== undefined ? 2 : begin;
  return [
    ...when(s.encoderRepetitionPenalty !== 1, () => encoderRepetitionPenalty(s.encoderRepetitionPenalty, prompt)),
    ...when(s.repetitionPenalty !== 1, () => repetitionPenalty(s.repetitionPenalty)),
    ...when(s.noRepeatNgramSize > 0, () => noRepeatNgram(s.noRepeatNgramSize)),
    ...when(s.encoderNoRepeatNgramSize > 0, () => encoderNoRepeatNgram(s.encoderNoRepeatNgramSize, prompt)),
    // A word that is the end of a text alone would forbid ending.
    ...when(s.badWordsIds.length > 0, () =>
      badWords(s.badWordsIds.filter((word) => word.length > 1 || !eos.includes(word[0]!))),
    ),
    ...when(least > begin && eos.length > 0, () => minLength(least, eos)),
    ...when(s.forcedBosTokenId !== undefined, () => forcedTokens([s.forcedBosTokenId!], 1)),
    ...when(s.forcedEosTokenId.length > 0, () => forcedTokens(s.forcedEosTokenId, longest - 1)),
    ...when(s.suppressTokens.length > 0, () => suppressTokens(s.suppressTokens)),
    ...when(s.beginSuppressTokens.length > 0, () => beginSuppressTokens(s.beginSuppressTokens, firstFree)),
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
