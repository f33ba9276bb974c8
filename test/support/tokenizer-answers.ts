import type { Tokenizer } from "../../src/text/index.js";

/** The second text of every recorded pair. */
const SECOND = "second one";

/** What a tokenizer answers where Hugging Face's were recorded, by the names of the recording; `ids` are those to decode. */
export function tokenizerAnswers(tokenizer: Tokenizer, text: string, ids: readonly number[]) {
  const whole = tokenizer.encoding(text);
  const pair = tokenizer.encoding(text, { pair: SECOND });
  return {
    ids: whole.ids,
    tokens: whole.tokens,
    type_ids: whole.typeIds,
    no_special: tokenizer.encode(text, { addSpecialTokens: false }),
    pair_ids: pair.ids,
    pair_type_ids: pair.typeIds,
    decoded: tokenizer.decode(ids, { skipSpecialTokens: true }),
    decoded_with_special: tokenizer.decode(ids),
  };
}
