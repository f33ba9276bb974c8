import type { RandomStream } from "../../core/random-stream.js";
import { inputLayout } from "../../text/input-layout.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import { headObjective } from "../head-objective.js";
import { shuffled } from "../windows.js";
import { ordinaryTokens } from "./masking.js";
import { poisson } from "./poisson.js";
import { seq2seqWriter } from "./seq2seq-rows.js";
import type { TrainingTask } from "./task.js";
import { readTextData, requireSpecial, type TextData, tokenizedText, windowRows } from "./text-data.js";

/** Ways to spoil a text. */
export const noises = ["infilling", "permutation", "deletion"] as const;
export type Noise = (typeof noises)[number];

/**
 * BART's pre-training (Lewis et al. 2020, section 2.2): the text is spoiled, and the target is the text. Infilling replaces spans, of a
 * Poisson length of 3 on average and perhaps of none, by one mask each, 30 % of the tokens together; permutation changes the order of
 * the sentences; deletion drops tokens, as many as infilling would mask. `noise` says which; `mask_rate` and `mean_span` how much.
 */
export const denoising: TrainingTask<TextData> = {
  name: "denoising",
  head: "seq2seq-lm",
  tokenizer: "roberta",
  uses: ["separator", "end_of_text", "validation_split", "mask_rate", "mean_span", "noise"],
  read: readTextData,
  prepare(data, context) {
    const { settings, tokenizer } = context;
    const length = settings.context_length;
    const layout = inputLayout(tokenizer);
    const eos = requireSpecial(context, "eos", "denoising");
    const options = {
      noise: settings.noise,
      rate: settings.mask_rate ?? 0.3,
      mean: settings.mean_span ?? 3,
      mask: requireSpecial(context, "mask", "denoising"),
      ends: sentenceEnds(tokenizer),
    };
    const around = (ids: readonly number[]) => {
      const whole = layout.single(ids).ids;
      return whole.at(-1) === eos ? whole : [...whole, eos];
    };
    const write = seq2seqWriter(context);
    const room = length - Math.max(1, layout.specials.single);
    const rows = windowRows(tokenizedText(data, context), context, room, (window, random, batch, row) => {
      const ids = [...window];
      write({ source: around(spoil(ids, random, options).slice(0, room)), target: around(ids) }, batch, row);
    });
    return { objective: headObjective({ task: "seq2seq-lm", length }), ...rows, tokensPerRow: 2 * length };
  },
};

/** How a text is spoiled. */
export interface SpoilOptions {
  readonly noise: readonly Noise[];
  readonly rate: number;
  readonly mean: number;
  readonly mask: number;
  /** Tokens that end a sentence. */
  readonly ends: ReadonlySet<number>;
}

/** A text spoiled in each of the ways, one after the other. */
export function spoil(ids: readonly number[], random: RandomStream, options: SpoilOptions): number[] {
  let spoiled = [...ids];
  if (options.noise.includes("permutation")) spoiled = permute(spoiled, random, options.ends);
  if (options.noise.includes("deletion")) spoiled = spoiled.filter(() => random.next() >= options.rate);
  if (options.noise.includes("infilling")) spoiled = infill(spoiled, random, options);
  return spoiled;
}

function permute(ids: readonly number[], random: RandomStream, ends: ReadonlySet<number>): number[] {
  const sentences: number[][] = [[]];
  for (const [i, id] of ids.entries()) {
    sentences.at(-1)!.push(id);
    if (ends.has(id) && i < ids.length - 1) sentences.push([]);
  }
  return [...shuffled(sentences.length, random)].flatMap((i) => sentences[i]!);
}

function infill(ids: readonly number[], random: RandomStream, { rate, mean, mask }: SpoilOptions): number[] {
  const hidden = new Array<boolean>(ids.length).fill(false);
  const begins = new Set<number>();
  const empty: number[] = [];
  let left = Math.round(ids.length * rate);
  for (let tries = 0; left > 0 && tries < 10 * ids.length; tries++) {
    const size = Math.min(poisson(mean, random), left);
    const at = random.below(ids.length - size + 1);
    if (size === 0) {
      empty.push(at);
      left--; // an insertion counts as one token, so that the spans come to an end
      continue;
    }
    // Spans neither meet nor overlap: each is one mask.
    if (hidden.slice(Math.max(0, at - 1), at + size + 1).includes(true)) continue;
    hidden.fill(true, at, at + size);
    begins.add(at);
    left -= size;
  }
  const inserted = new Set(empty);
  return ids.flatMap((id, i) => [
    ...(inserted.has(i) && !hidden[i] ? [mask] : []),
    ...(begins.has(i) ? [mask] : hidden[i] ? [] : [id]),
  ]);
}

/** Tokens whose text ends as a sentence does. */
function sentenceEnds(tokenizer: Tokenizer): ReadonlySet<number> {
  return new Set(ordinaryTokens(tokenizer).filter((id) => /[.!?。！？]["'”’」』)]*\s*$/.test(tokenizer.decode([id]))));
}
