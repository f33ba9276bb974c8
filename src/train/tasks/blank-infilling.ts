import { TesseraError } from "../../core/errors.js";
import type { RandomStream } from "../../core/random-stream.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import { headObjective } from "../head-objective.js";
import { ignored } from "../objective.js";
import { shuffled } from "../windows.js";
import { poisson } from "./poisson.js";
import type { TrainingTask } from "./task.js";
import { fillInput, fillRow, readTextData, type TextData, tokenizedText, windowRows } from "./text-data.js";

/** The tokens that blanks are made of, as GLM's tokenizers spell them. */
export const blankTokens = {
  mask: "[MASK]",
  end: "[gMASK]",
  start: "<|startofpiece|>",
  stop: "<|endofpiece|>",
} as const;

/** Ids of {@link blankTokens}. */
export type BlankIds = Readonly<Record<keyof typeof blankTokens, number>>;

/**
 * GLM's pre-training (Du et al. 2022, section 2.1): spans of the text become blanks, and the model fills them one after the other, in
 * an order of chance; half of the rows leave out the text's end instead, one long span, as a writer must go on. 15 % of the tokens in
 * spans of 3 on average, unless `mask_rate` and `mean_span` say otherwise.
 */
export const blankInfilling: TrainingTask<TextData> = {
  name: "blank-infilling",
  head: "blank-infilling",
  tokenizer: "blanks",
  uses: ["separator", "end_of_text", "validation_split", "mask_rate", "mean_span"],
  read: readTextData,
  prepare(data, context) {
    const { settings, tokenizer, where } = context;
    const length = settings.context_length;
    const options = {
      blanks: blankIds(tokenizer, where),
      rate: settings.mask_rate ?? 0.15,
      mean: settings.mean_span ?? 3,
    };
    const room = roomFor(length, options.rate);
    const rows = windowRows(tokenizedText(data, context), context, room, (window, random, batch, row) => {
      const made =
        random.next() < 0.5 ? leaveSpans([...window], random, options) : leaveEnd([...window], random, options);
      fillInput(batch, row, made.ids, 0);
      fillRow(batch, "position_ids", row, made.positions, 0);
      fillRow(batch, "block_position_ids", row, made.blockPositions, 0);
      fillRow(batch, "labels", row, made.labels, ignored);
      fillRow(batch, "prefix_length", row, [made.prefix], 0);
    });
    return { objective: headObjective({ task: "blank-infilling", length }), ...rows, tokensPerRow: length };
  },
};

/** The ids of the tokens that blanks need. @throws TesseraError `tokenizer` where some are missing */
export function blankIds(tokenizer: Tokenizer, where: string): BlankIds {
  const entries = Object.entries(blankTokens).map(([role, token]) => [role, tokenizer.idOf(token)] as const);
  const missing = entries.filter(([, id]) => id === undefined).map(([role]) => blankTokens[role as keyof BlankIds]);
  if (missing.length > 0)
    throw new TesseraError(
      "tokenizer",
      `${where}: blank-infilling needs tokens that the tokenizer does not have (${missing.join(", ")}). Train one with tessera tokenizer train --extra-tokens '${Object.values(blankTokens).join(",")}'`,
    );
  return Object.fromEntries(entries) as unknown as BlankIds;
}

/** Tokens of text in a row: every one of them may stand once, and each span has a blank and a first token besides. */
function roomFor(length: number, rate: number): number {
  const most = (tokens: number) => tokens + 2 * Math.max(1, Math.round(tokens * rate));
  let room = Math.max(0, length - 2);
  while (room > 2 && most(room) > length) room--;
  if (room <= 2)
    throw new TesseraError("config", `context_length: ${length} leaves no room for a text with blanks (at least 6)`);
  return room;
}

/** A row: Part A, and behind it Part B. */
export interface BlankRow {
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  readonly blockPositions: readonly number[];
  /** What follows each token of Part B; −100 in Part A. */
  readonly labels: readonly number[];
  /** Tokens of Part A. */
  readonly prefix: number;
}

interface BlankOptions {
  readonly blanks: BlankIds;
  readonly rate: number;
  readonly mean: number;
}

/** Spans left out here and there, each one blank. */
export function leaveSpans(
  ids: readonly number[],
  random: RandomStream,
  { blanks, rate, mean }: BlankOptions,
): BlankRow {
  const hidden = new Array<boolean>(ids.length).fill(false);
  const spans: { start: number; end: number }[] = [];
  let left = Math.max(1, Math.round(ids.length * rate));
  for (let tries = 0; left > 0 && tries < 20 * ids.length; tries++) {
    const size = Math.min(Math.max(1, poisson(mean, random)), left);
    const start = random.below(ids.length - size + 1);
    if (hidden.slice(Math.max(0, start - 1), start + size + 1).includes(true)) continue; // blanks have text between them
    hidden.fill(true, start, start + size);
    spans.push({ start, end: start + size });
    left -= size;
  }
  return withBlanks(ids, spans, blanks.mask, blanks, random);
}

/** The end left out, between a half and all but one of the tokens. */
export function leaveEnd(ids: readonly number[], random: RandomStream, { blanks }: BlankOptions): BlankRow {
  const kept = random.below(Math.max(1, Math.ceil(ids.length / 2)));
  return withBlanks(ids, [{ start: kept, end: ids.length }], blanks.end, blanks, random);
}

function withBlanks(
  ids: readonly number[],
  spans: readonly { readonly start: number; readonly end: number }[],
  blank: number,
  { start: first, stop }: BlankIds,
  random: RandomStream,
): BlankRow {
  const byStart = new Map(spans.map((span) => [span.start, span]));
  const text: number[] = [];
  const places = new Map<object, number>();
  for (let i = 0; i < ids.length; i++) {
    const span = byStart.get(i);
    if (!span) text.push(ids[i]!);
    else {
      places.set(span, text.length);
      text.push(blank);
      i = span.end - 1;
    }
  }
  const row = {
    ids: [...text],
    positions: text.map((_, i) => i),
    blockPositions: text.map(() => 0),
    labels: text.map(() => ignored as number),
    prefix: text.length,
  };
  for (const i of shuffled(spans.length, random)) {
    const span = spans[i]!;
    const content = ids.slice(span.start, span.end);
    row.ids.push(first, ...content);
    row.labels.push(...content, stop);
    for (let k = 0; k <= content.length; k++) {
      row.positions.push(places.get(span)!);
      row.blockPositions.push(k + 1);
    }
  }
  return row;
}
