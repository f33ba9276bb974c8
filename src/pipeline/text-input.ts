import { TesseraError } from "../core/errors.js";
import { type InputLayout, inputLayout, truncatePair } from "../text/input-layout.js";
import type { EncoderInput } from "./encoder-session.js";
import type { OpenedModel } from "./open-model.js";
import { checkCount } from "./probabilities.js";

/** Texts longer than the model reads. */
export interface TruncationOptions {
  /** Cut what is longer than the model reads, the longer text of a pair first; else that is an error. Default false. */
  readonly truncation?: boolean;
  /** Most tokens, special ones included. Default: what the model reads. */
  readonly maxLength?: number;
}

/** A text, or a pair of texts set one behind the other. */
export type TextOrPair = string | { readonly text: string; readonly pair: string };

/** Makes texts into a model's input. */
export interface TextInput {
  /** How the tokenizer sets special tokens; found out when first asked for. */
  layout(): InputLayout;
  /** Most tokens that model and tokenizer are meant for; longer texts are cut to it, or read in windows. */
  readonly limit: number;
  encode(text: TextOrPair, index: number, options?: TruncationOptions): EncoderInput;
}

const LARGEST_LENGTH = 1e15; // model_max_length of a tokenizer without one is 1e30

/** @throws TesseraError `argument`, from `encode`, for a text longer than the model reads, where it is not to be cut */
export function textInput({ model, tokenizer, where }: OpenedModel): TextInput {
  const stated = tokenizer.config.model_max_length;
  const own = typeof stated === "number" && stated > 0 && stated < LARGEST_LENGTH ? stated : Number.POSITIVE_INFINITY;
  const { sourceLength, contextLength } = model.facts;
  const reads = (model.task === "seq2seq-lm" ? sourceLength : contextLength) ?? Number.POSITIVE_INFINITY;
  const limit = Math.min(own, reads);
  let layout: InputLayout | undefined;
  const laidOut = () => (layout ??= inputLayout(tokenizer));
  return {
    layout: laidOut,
    limit,
    encode(given, index, { truncation = false, maxLength } = {}) {
      if (maxLength !== undefined) checkCount(where, "maxLength", maxLength);
      const { text, pair } = typeof given === "string" ? { text: given, pair: undefined } : given;
      const most = Math.min(truncation ? limit : reads, maxLength ?? reads);
      const { ids, typeIds } = tokenizer.encoding(text, pair === undefined ? {} : { pair });
      if (ids.length === 0) throw new TesseraError("argument", `${where}: text ${index} has no tokens`);
      if (ids.length <= most) return { ids, typeIds };
      if (!truncation)
        throw new TesseraError(
          "argument",
          `${where}: text ${index} has ${ids.length} tokens, ${most < reads ? "maxLength allows" : "the model reads"} ${most} at once (${ids.length} vs ${most}). Shorten it, or set truncation`,
        );
      const { single, pair: both, specials } = laidOut();
      const framed = pair === undefined ? specials.single : specials.pair;
      if (most <= framed)
        throw new TesseraError(
          "argument",
          `${where}: maxLength ${most} leaves no room for text beside ${framed} special tokens (${most} vs ${framed})`,
        );
      const plain = (part: string) => tokenizer.encode(part, { addSpecialTokens: false });
      if (pair === undefined) return single(plain(text).slice(0, most - framed));
      return both(...truncatePair(plain(text), plain(pair), most - framed));
    },
  };
}
