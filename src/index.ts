export * from "./core/index.js";
export * from "./generate/index.js";
export { describeModel, type LanguageModel, loadModel, type SaveModelOptions, saveModel } from "./pretrained/index.js";
export {
  loadTokenizer,
  saveTokenizer,
  type Tokenizer,
  trainByteLevelBpe,
  trainCharacterTokenizer,
} from "./text/index.js";
