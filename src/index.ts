export * from "./core/index.js";
export * from "./generate/index.js";
export * from "./pipeline/index.js";
export {
  describeModel,
  type LanguageModel,
  type LoadModelOptions,
  loadModel,
  loadTokenizer,
  readModel,
  type SaveModelOptions,
  saveModel,
} from "./pretrained/index.js";
export {
  saveTokenizer,
  type Tokenizer,
  trainByteLevelBpe,
  trainCharacterTokenizer,
  trainUnigram,
  trainWordPiece,
  trainWordTokenizer,
  withBertFrame,
} from "./text/index.js";
