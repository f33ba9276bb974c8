import type { NamedTokens } from "./named-tokens.js";
import { templateProcessing } from "./template.js";
import type { TokenizerConfig, TokenizerJson } from "./tokenizer-json.js";

/** The tokens of a vocab.txt: one a line, the first with the id 0. Of a token that stands there twice the last line counts. */
export function parseVocabulary(text: string): Map<string, number> {
  const lines = text.split(/\r\n?|\n/);
  if (lines.at(-1) === "") lines.pop();
  return new Map(lines.map((token, id) => [token, id]));
}

/**
 * The tokenizer.json of a WordPiece that is kept as vocab.txt (Devlin et al. 2018): words as BERT splits them, a text as
 * `cls text sep`, a pair as `cls text sep pair sep` with the types 0 and 1.
 *
 * @param config `do_lower_case` (default true), `strip_accents` (default as `do_lower_case`) and `tokenize_chinese_chars` (default true)
 */
export function wordPieceJson(
  vocab: ReadonlyMap<string, number>,
  { added, roles, idOf }: NamedTokens,
  config: TokenizerConfig,
): TokenizerJson {
  const { cls, sep, unk } = roles;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      strip_accents: config.strip_accents ?? null,
      lowercase: config.do_lower_case ?? true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: templateProcessing(`${cls} $A ${sep}`, `${cls} $A ${sep} $B:1 ${sep}:1`, idOf),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: unk!,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocab),
    },
  };
}
