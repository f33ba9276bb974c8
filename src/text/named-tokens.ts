import { TesseraError } from "../core/errors.js";
import { isRecord, shown } from "./component.js";
import { type SpecialRole, specialRoles } from "./tokenizer.js";
import type { AddedTokenJson, TokenizerConfig } from "./tokenizer-json.js";

/** The special tokens and added tokens that the files beside an older vocabulary name. */
export interface NamedTokens {
  /** `added_tokens` of tokenizer.json, by id. */
  readonly added: readonly AddedTokenJson[];
  /** The special tokens by role. */
  readonly roles: { readonly [role in SpecialRole]?: string };
  /** The id of a token, added tokens included. */
  idOf(token: string): number | undefined;
}

/** Where {@link namedTokens} looks. */
export interface NamedTokensSource {
  /** Every token's id, without added tokens. */
  readonly vocab: ReadonlyMap<string, number>;
  /** tokenizer_config.json, or what stands for it. */
  readonly config: TokenizerConfig;
  /** added_tokens.json: added tokens and their ids. */
  readonly addedTokens?: TokenizerConfig | undefined;
  /** The special tokens of the tokenizer's class, for the roles that `config` does not mention. */
  readonly defaults: { readonly [role in SpecialRole]?: string };
  /** The roles whose token takes the white space before it where `config` gives no more than its text. */
  readonly takesSpace?: readonly SpecialRole[];
  /** What messages call the directory. */
  readonly where: string;
}

/**
 * Brings together what `bos_token` and its like, `additional_special_tokens`, `added_tokens_decoder` and added_tokens.json say, as
 * transformers does: a token that has no id yet gets the next one behind the vocabulary.
 *
 * @throws TesseraError `tokenizer` for an entry that is not a token
 */
export function namedTokens(source: NamedTokensSource): NamedTokens {
  const { vocab, config, addedTokens = {}, defaults, takesSpace = [], where } = source;
  const special: { content: string; flags: Flags; unsaid?: Flags }[] = [];
  const roles: { [role in SpecialRole]?: string } = {};
  for (const role of specialRoles) {
    const field = `${role}_token`;
    const value = Object.hasOwn(config, field) ? config[field] : defaults[role];
    if (value === undefined || value === null) continue;
    const { content, flags } = tokenOf(value, `${where}: ${field}`);
    special.push({ content, flags, unsaid: { lstrip: takesSpace.includes(role) && !isRecord(value) } });
    roles[role] = content;
  }
  const more = config.additional_special_tokens ?? [];
  if (!Array.isArray(more))
    throw new TesseraError("tokenizer", `${where}: additional_special_tokens: expected a list, got ${shown(more)}`);
  special.push(...more.map((value, i) => tokenOf(value, `${where}: additional_special_tokens[${i}]`)));
  const isSpecial = new Set(special.map(({ content }) => content));

  const added = new Map<string, AddedTokenJson>();
  const idOf = (token: string) => added.get(token)?.id ?? vocab.get(token);
  let next = [...vocab.values()].reduce((largest, id) => Math.max(largest, id), -1) + 1;
  const add = (id: number, content: string, flags: Flags) => {
    added.set(content, { ...plain, ...flags, id, content });
    next = Math.max(next, id + 1);
  };
  const listed = isRecord(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  for (const [id, value] of Object.entries(listed)) {
    const { content, flags } = tokenOf(value, `${where}: added_tokens_decoder[${shown(id)}]`);
    add(Number(id), content, flags);
  }
  for (const [content, id] of Object.entries(addedTokens)) {
    if (content === "" || typeof id !== "number")
      throw new TesseraError(
        "tokenizer",
        `${where}: added_tokens.json: expected tokens and their ids, got ${shown(content)}: ${shown(id)}`,
      );
    if (!added.has(content)) add(id, content, { normalized: !isSpecial.has(content) });
  }
  for (const { content, flags, unsaid } of special)
    add(idOf(content) ?? next, content, { ...(added.get(content) ?? unsaid), ...flags, special: true });
  return { added: [...added.values()].sort((a, b) => a.id - b.id), roles, idOf };
}

type Flags = Partial<Omit<AddedTokenJson, "id" | "content">>;

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };

/** A token as its text, or as an object with `content` and flags. */
function tokenOf(value: unknown, where: string): { content: string; flags: Flags } {
  const content = isRecord(value) ? value.content : value;
  if (typeof content !== "string" || content === "")
    throw new TesseraError("tokenizer", `${where}: expected a token, got ${shown(value)}`);
  if (!isRecord(value)) return { content, flags: {} };
  const flags = Object.keys(plain).filter((flag) => typeof value[flag] === "boolean");
  return { content, flags: Object.fromEntries(flags.map((flag) => [flag, value[flag]])) };
}
