export { withBeginToken } from "./begin-token.js";
export { withBertFrame } from "./bert-frame.js";
export { type CharacterTokenizerOptions, trainCharacterTokenizer } from "./character-tokenizer.js";
export { applyChatTemplate, type ChatMessage, type ChatTemplateOptions, hasChatTemplate } from "./chat.js";
export type { Component } from "./component.js";
export { loadChatTemplates } from "./load-chat-template.js";
export { loadTokenizer, saveTokenizer } from "./load-tokenizer.js";
export { type TokenSpan, tokenOffsets, tokenSpans } from "./offsets.js";
export type { SpecialTokenNames } from "./special-tokens.js";
export type {
  DecodeOptions,
  DecodeStream,
  EncodeOptions,
  Encoding,
  SpecialRole,
  SpecialTokens,
  Tokenizer,
} from "./tokenizer.js";
export { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
export {
  type AddedTokenJson,
  type ModelJson,
  stringifyTokenizerJson,
  type TokenizerConfig,
  type TokenizerJson,
} from "./tokenizer-json.js";
export { type ByteLevelBpeOptions, trainByteLevelBpe } from "./train-bpe.js";
export { trainUnigram, type UnigramOptions } from "./train-unigram.js";
export { trainWordPiece, type WordPieceOptions } from "./train-wordpiece.js";
export { trainWordTokenizer, type WordOptions } from "./train-words.js";
