import { TesseraError } from "../../core/errors.js";
import type { RandomStream } from "../../core/random-stream.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import { headObjective } from "../head-objective.js";
import { type Seq2SeqRow, seq2seqWriter } from "./seq2seq-rows.js";
import type { TrainingTask } from "./task.js";
import { readTextData, requireSpecial, type TextData, tokenizedText, windowRows } from "./text-data.js";

/**
 * T5's pre-training (Raffel et al. 2020, section 3.1.4): spans of the text are replaced by a sentinel each, and the target is each
 * sentinel and the span that stood there. 15 % of the tokens in spans of 3 on average, unless `mask_rate` and `mean_span` say otherwise.
 */
export const spanCorruption: TrainingTask<TextData> = {
  name: "span-corruption",
  head: "seq2seq-lm",
  tokenizer: "unigram",
  uses: ["separator", "end_of_text", "validation_split", "mask_rate", "mean_span"],
  read: readTextData,
  prepare(data, context) {
    const { settings, tokenizer } = context;
    const length = settings.context_length;
    const [rate, mean] = [settings.mask_rate ?? 0.15, settings.mean_span ?? 3];
    const eos = requireSpecial(context, "eos", "span-corruption");
    const sentinels = sentinelsOf(tokenizer);
    const { tokens, targetLength, spans } = fittingLength(length, rate, mean);
    if (sentinels.length < spans)
      throw new TesseraError(
        "tokenizer",
        `${context.where}: windows of ${tokens} tokens have up to ${spans} spans, and the tokenizer has ${sentinels.length} sentinels (<extra_id_0>, …)`,
      );
    const write = seq2seqWriter(context);
    const rows = windowRows(tokenizedText(data, context), context, tokens, (window, random, batch, row) =>
      write(corrupt([...window], random, { rate, mean, sentinels, eos }), batch, row),
    );
    return {
      objective: headObjective({ task: "seq2seq-lm", length, targetLength }),
      ...rows,
      tokensPerRow: length + targetLength,
    };
  },
};

/** How many tokens are noise, and in how many spans. */
function noiseOf(tokens: number, rate: number, mean: number) {
  const noise = Math.min(Math.max(Math.round(tokens * rate), 1), tokens - 1);
  const spans = Math.min(Math.max(Math.round(noise / mean), 1), tokens - noise);
  return { noise, spans };
}

/** The longest text whose corrupted form, with the end token, is of a length; and how long its target is. */
function fittingLength(length: number, rate: number, mean: number) {
  const sizes = (tokens: number) => {
    const { noise, spans } = noiseOf(tokens, rate, mean);
    return { tokens, spans, input: tokens - noise + spans + 1, targetLength: noise + spans + 1 };
  };
  let tokens = 2;
  if (sizes(tokens).input > length)
    throw new TesseraError(
      "config",
      `context_length: ${length} leaves no room for a text (at least ${sizes(tokens).input})`,
    );
  while (sizes(tokens + 1).input <= length) tokens++;
  return sizes(tokens);
}

/** A text with spans replaced by sentinels, and what stood there. Spans and the text between them are of at least one token each. */
export function corrupt(
  ids: readonly number[],
  random: RandomStream,
  { rate, mean, sentinels, eos }: { rate: number; mean: number; sentinels: readonly number[]; eos: number },
): Seq2SeqRow {
  if (ids.length < 2) return { source: [...ids, eos], target: [eos] };
  const { noise, spans } = noiseOf(ids.length, rate, mean);
  const [hidden, shown] = [parts(noise, spans, random), parts(ids.length - noise, spans, random)];
  const [source, target]: [number[], number[]] = [[], []];
  let at = 0;
  for (let i = 0; i < spans; i++) {
    source.push(...ids.slice(at, at + shown[i]!), sentinels[i]!);
    at += shown[i]!;
    target.push(sentinels[i]!, ...ids.slice(at, at + hidden[i]!));
    at += hidden[i]!;
  }
  return { source: [...source, eos], target: [...target, eos] };
}

/** A number as a sum of so many of at least 1, all such sums equally probable. */
function parts(total: number, count: number, random: RandomStream): number[] {
  const cuts = new Set<number>();
  while (cuts.size < count - 1) cuts.add(1 + random.below(total - 1));
  const sorted = [0, ...[...cuts].sort((a, b) => a - b), total];
  return sorted.slice(1).map((cut, i) => cut - sorted[i]!);
}

/** `<extra_id_0>`, `<extra_id_1>`, …, as many as there are. */
export function sentinelsOf(tokenizer: Tokenizer): number[] {
  const found: number[] = [];
  for (let id = tokenizer.idOf("<extra_id_0>"); id !== undefined; id = tokenizer.idOf(`<extra_id_${found.length}>`))
    found.push(id);
  return found;
}
