import type { RandomStream } from "../../core/random-stream.js";
import type { Tokenizer } from "../../text/tokenizer.js";
import { ignored } from "../objective.js";
import type { TaskContext } from "./task.js";
import { requireSpecial } from "./text-data.js";

/** A row with some of its tokens hidden: what the model sees, and the hidden tokens, −100 elsewhere. */
export interface MaskedRow {
  readonly inputs: number[];
  readonly labels: number[];
}

/** How tokens are hidden. */
export interface MaskingOptions {
  readonly mask: number;
  /** Share of tokens that are predicted. */
  readonly rate: number;
  /** Tokens that may stand in for another. */
  readonly ordinary: readonly number[];
  /** Tokens that are never predicted. */
  readonly special: ReadonlySet<number>;
  /** Whether a token goes on with the word before: words are then hidden whole. */
  readonly continues?: ReadonlySet<number> | undefined;
}

/**
 * BERT's masking (Devlin et al. 2019, section 3.1): of the tokens that are predicted 80 % become the mask, 10 % another token, and 10 %
 * stay. With `continues`, whole words are chosen (Cui et al. 2021).
 */
export function maskTokens(
  ids: readonly number[],
  random: RandomStream,
  { mask, rate, ordinary, special, continues }: MaskingOptions,
): MaskedRow {
  const words: number[][] = [];
  for (const [i, id] of ids.entries()) {
    if (special.has(id)) continue;
    const open = words.at(-1);
    if (continues?.has(id) && open && open.at(-1) === i - 1) open.push(i);
    else words.push([i]);
  }
  const inputs = [...ids];
  const labels = ids.map(() => ignored as number);
  let left = Math.max(1, Math.round(rate * words.reduce((n, word) => n + word.length, 0)));
  for (let i = words.length - 1; i >= 0 && left > 0; i--) {
    const j = random.below(i + 1);
    const word = words[j]!;
    words[j] = words[i]!;
    left -= word.length;
    for (const at of word) {
      const draw = random.next();
      labels[at] = ids[at]!;
      if (draw < 0.8) inputs[at] = mask;
      else if (draw < 0.9) inputs[at] = ordinary[random.below(ordinary.length)]!;
    }
  }
  return { inputs, labels };
}

/** How a task hides tokens, as its settings say: 15 % unless told otherwise. */
export function maskingOptions(context: TaskContext, task: string): MaskingOptions {
  const { settings, tokenizer } = context;
  return {
    mask: requireSpecial(context, "mask", task),
    rate: settings.mask_rate ?? 0.15,
    ordinary: ordinaryTokens(tokenizer),
    special: tokenizer.specialIds,
    continues: settings.whole_word ? continuingTokens(tokenizer) : undefined,
  };
}

/** The tokens that are text, not special. */
export function ordinaryTokens(tokenizer: Tokenizer): number[] {
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(
    (id) => !tokenizer.specialIds.has(id) && tokenizer.tokenOf(id) !== undefined,
  );
}

/** The tokens that go on with a word: those with WordPiece's `##`, or without the mark that begins a word in byte-level BPE or Unigram. */
export function continuingTokens(tokenizer: Tokenizer): ReadonlySet<number> {
  const ids = ordinaryTokens(tokenizer);
  const some = (start: string) => ids.some((id) => tokenizer.tokenOf(id)!.startsWith(start));
  const begins = ["Ġ", "▁"].find(some);
  const continues = (token: string) =>
    begins === undefined || some("##") ? token.startsWith("##") : !token.startsWith(begins);
  return new Set(ids.filter((id) => continues(tokenizer.tokenOf(id)!)));
}
