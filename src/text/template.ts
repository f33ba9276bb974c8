import { TesseraError } from "../core/errors.js";
import type { Component } from "./component.js";

/**
 * A `TemplateProcessing` for tokenizer.json in the notation of Hugging Face's tokenizers: `$A` and `$B` are the texts, any
 * other word is a special token, and `:1` behind either is its type id (default 0).
 *
 * @param idOf the id of a special token
 * @throws TesseraError `argument` for a special token without an id
 * @example
 * templateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", tokenizer.idOf);
 */
export function templateProcessing(
  single: string,
  pair: string,
  idOf: (token: string) => number | undefined,
): Component {
  const used = new Set<string>();
  const read = (template: string) =>
    template.split(" ").map((part) => {
      const [, id, type] = /^(.+?)(?::(\d+))?$/.exec(part)!;
      const type_id = Number(type ?? 0);
      if (id === "$A" || id === "$B") return { Sequence: { id: id.slice(1), type_id } };
      used.add(id!);
      return { SpecialToken: { id: id!, type_id } };
    });
  const templates = { single: read(single), pair: read(pair) };
  const tokens = [...used].map((token) => {
    const id = idOf(token);
    if (id === undefined) throw new TesseraError("argument", `templateProcessing: ${token} of the template has no id`);
    return [token, { id: token, ids: [id], tokens: [token] }];
  });
  return { type: "TemplateProcessing", ...templates, special_tokens: Object.fromEntries(tokens) };
}
