import { TesseraError } from "../core/errors.js";
import { type SpecialRole, specialRoles } from "./tokenizer.js";
import type { AddedTokenJson, TokenizerConfig } from "./tokenizer-json.js";

/** The special tokens of a new tokenizer by role; one token may have several. `additional` ones have none. */
export type SpecialTokenNames = { readonly [role in SpecialRole]?: string } & {
  readonly additional?: readonly string[];
};

/** The special tokens, each once, numbered from 0 in the order bos, eos, unk, sep, pad, cls, mask, additional. */
export function addedSpecialTokens(names: SpecialTokenNames): AddedTokenJson[] {
  const contents = [...specialRoles.map((role) => names[role]), ...(names.additional ?? [])].filter(
    (token) => token !== undefined,
  );
  if (contents.includes("")) throw new TesseraError("argument", "specialTokens: a special token must not be empty");
  return [...new Set(contents)].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
}

/** The tokenizer_config.json that says which special token has which role, as Hugging Face's transformers reads it. */
export function configOf(names: SpecialTokenNames): TokenizerConfig {
  const roles = specialRoles.flatMap((role) => (names[role] === undefined ? [] : [[`${role}_token`, names[role]]]));
  return {
    ...Object.fromEntries(roles),
    ...(names.additional === undefined ? {} : { additional_special_tokens: names.additional }),
    clean_up_tokenization_spaces: false,
    tokenizer_class: "PreTrainedTokenizerFast",
  };
}
