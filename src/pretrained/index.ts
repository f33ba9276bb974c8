export * from "./load-model.js";
export * from "./load-tokenizer.js";
export * from "./save-model.js";
export * from "./weights.js";
