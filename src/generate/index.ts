export * from "./compile-model.js";
export type { Decoder, DecoderOptions } from "./decoder.js";
export * from "./fill-blanks.js";
export * from "./generate.js";
export * from "./generate-text.js";
export { type GenerationOptions, tokenChoice } from "./generation-options.js";
export * from "./logits-processors.js";
export * from "./logprobs.js";
export * from "./sampling.js";
