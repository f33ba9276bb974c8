import { TesseraError } from "../core/errors.js";
import { templateProcessing } from "./template.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";

/**
 * A tokenizer that frames what it encodes as BERT does (Devlin et al. 2018) with its own special tokens: `cls text sep`, a pair as
 * `cls text sep pair sep` with the types 0 and 1. Kept in tokenizer.json, in place of what framed texts before.
 *
 * @throws TesseraError `argument` for a tokenizer without a token for one of the two roles
 * @example
 * const specialTokens = { unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" };
 * const tokenizer = withBertFrame(trainCharacterTokenizer(poems, { specialTokens }));
 */
export function withBertFrame({ json, config, specialTokens, tokenOf, idOf }: LoadedTokenizer): LoadedTokenizer {
  const [cls, sep] = (["cls", "sep"] as const).map((role) => {
    const id = specialTokens[role];
    if (id === undefined) throw new TesseraError("argument", `withBertFrame: the tokenizer has no ${role} token`);
    return tokenOf(id)!;
  });
  const post_processor = templateProcessing(`${cls} $A ${sep}`, `${cls} $A ${sep} $B:1 ${sep}:1`, idOf);
  return tokenizerFromJson({ ...json, post_processor }, config);
}
