import { TesseraError } from "../core/errors.js";
import { checkInputs, checkOptions, type OptionNames, text } from "./check-call.js";
import { openEncoder } from "./encoder-session.js";
import type { OpenedModel } from "./open-model.js";
import { checkCount, largestIndices, softmax } from "./probabilities.js";
import { type TruncationOptions, textInput } from "./text-input.js";

/** A token for a mask. */
export interface FilledMask {
  readonly score: number;
  readonly token: number;
  readonly token_str: string;
  /** The text with the token in the mask's place. */
  readonly sequence: string;
}

/** How masks are filled. */
export interface FillMaskOptions extends TruncationOptions {
  /** Tokens for each mask. Default 5. */
  readonly topK?: number;
  /** Only these are looked at: tokens of the vocabulary, of other words the first token. Default: all tokens. */
  readonly targets?: string | readonly string[];
  readonly signal?: AbortSignal;
}

/** Tokens for one mask, most probable first; for a text with several masks, a list for each of them. */
export type FillMaskResult = readonly FilledMask[] | readonly (readonly FilledMask[])[];

/** What goes in the place of a text's mask tokens. Scores are probabilities over the whole vocabulary. */
export interface FillMask {
  (text: string, options?: FillMaskOptions): Promise<FillMaskResult>;
  (texts: readonly string[], options?: FillMaskOptions): Promise<readonly FillMaskResult[]>;
}

const optionNames: OptionNames<FillMaskOptions> = {
  topK: true,
  targets: true,
  truncation: true,
  maxLength: true,
  signal: true,
};

export async function openFillMask(opened: OpenedModel): Promise<FillMask & Disposable> {
  const { tokenizer, where } = opened;
  const { mask, pad } = tokenizer.specialTokens;
  if (mask === undefined) throw new TesseraError("unsupported", `${where}: the tokenizer has no mask token`);
  const session = await openEncoder(opened, ({ logits }, { pick }) => ({ logits: pick(logits!) }));
  const texts = textInput(opened);

  const idOfTarget = (target: string) => {
    const id = tokenizer.idOf(target) ?? tokenizer.encode(target, { addSpecialTokens: false })[0];
    if (id === undefined)
      throw new TesseraError("argument", `${where}: no token stands for the target ${JSON.stringify(target)}`);
    return id;
  };

  async function fill(given: readonly string[], options: FillMaskOptions): Promise<FillMaskResult[]> {
    const { topK = 5, targets, signal } = options;
    checkCount(where, "topK", topK);
    const wanted = targets === undefined ? undefined : [...new Set([targets].flat().map(idOfTarget))];
    if (wanted?.length === 0) throw new TesseraError("argument", `${where}: targets is empty, at least one expected`);
    const inputs = given.map((text, i) => {
      const encoded = texts.encode(text, i, options);
      const picks = encoded.ids.flatMap((id, at) => (id === mask ? [at] : []));
      if (picks.length === 0)
        throw new TesseraError(
          "argument",
          tokenizer.encode(text).includes(mask!)
            ? `${where}: the mask of text ${i} is cut off, it stands behind token ${encoded.ids.length}. Shorten the text before it`
            : `${where}: text ${i} has no mask, write ${tokenizer.tokenOf(mask!)}`,
        );
      return { ...encoded, picks };
    });
    const results = await session.run(inputs, ["logits"], signal);
    return results.map(({ logits }, i) => {
      const { ids, picks } = inputs[i]!;
      const [, v] = logits!.shape as [number, number];
      const filled = picks.map((at, m) => {
        const probabilities = softmax((logits!.data as Float32Array).subarray(m * v, (m + 1) * v));
        const scores = wanted ? wanted.map((id) => probabilities[id] ?? 0) : probabilities;
        return largestIndices(scores, topK).map((k): FilledMask => {
          const token = wanted ? wanted[k]! : k;
          const sequence = ids.map((id, j) => (j === at ? token : id)).filter((id) => id !== pad);
          return {
            score: scores[k]!,
            token,
            token_str: tokenizer.decode([token]),
            // Other masks are special tokens and would be lost.
            sequence: tokenizer.decode(sequence, { skipSpecialTokens: picks.length === 1 }),
          };
        });
      });
      return filled.length === 1 ? filled[0]! : filled;
    });
  }

  const call = async (given: string | readonly string[], options: FillMaskOptions = {}) => {
    checkInputs(where, given, text);
    checkOptions(where, options, optionNames);
    return typeof given === "string" ? (await fill([given], options))[0]! : fill(given, options);
  };
  return Object.assign(call as FillMask, { [Symbol.dispose]: () => session[Symbol.dispose]() });
}
