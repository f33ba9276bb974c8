export type { AggregationStrategy, Entity, EntityGroup } from "./entities.js";
export type { FeatureExtraction, FeatureOptions, Pooling, TokenFeatures } from "./feature-extraction.js";
export type { FilledMask, FillMask, FillMaskOptions, FillMaskResult } from "./fill-mask.js";
export type { PipelineModel, PipelineOptions } from "./open-model.js";
export * from "./pipeline.js";
export type { Answer, AnswerOptions, Question, QuestionAnswering } from "./question-answering.js";
export type { ClassifyOptions, LabelScore, TextClassification } from "./text-classification.js";
export type { ContinueOptions, GeneratedChat, GeneratedText, TextGeneration } from "./text-generation.js";
export type { TextOrPair, TruncationOptions } from "./text-input.js";
export type {
  RewriteOptions,
  Summarization,
  TextToText,
  TranslateOptions,
  Translation,
} from "./text-to-text.js";
export type { TokenClassification, TokenClassifyOptions } from "./token-classification.js";
