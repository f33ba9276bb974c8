import { TesseraError } from "../core/errors.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";

/**
 * A tokenizer that sets its first special token (`bos`) before every text, unless encoding is told to leave special tokens out:
 * the model then knows that a prompt is the beginning of a document. Kept in tokenizer.json, as a template post-processor.
 *
 * @throws TesseraError `argument` for a tokenizer without such a token
 */
export function withBeginToken({ json, config, specialTokens, tokenOf }: LoadedTokenizer): LoadedTokenizer {
  const id = specialTokens.bos;
  const token = id === undefined ? undefined : tokenOf(id);
  if (id === undefined || token === undefined)
    throw new TesseraError("argument", "withBeginToken: the tokenizer has no token that begins a text");
  const begin = (typeId: number) => ({ SpecialToken: { id: token, type_id: typeId } });
  const text = (name: "A" | "B", typeId: number) => ({ Sequence: { id: name, type_id: typeId } });
  const template = {
    type: "TemplateProcessing",
    single: [begin(0), text("A", 0)],
    pair: [begin(0), text("A", 0), begin(1), text("B", 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
  const before = json.post_processor;
  return tokenizerFromJson(
    { ...json, post_processor: before ? { type: "Sequence", processors: [before, template] } : template },
    config,
  );
}
