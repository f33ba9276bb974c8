// The registry: one line for each family.
export * from "./feed-forward-lm.js";
export * from "./gpt2.js";
export * from "./gpt3.js";
export * from "./rnn-lm.js";
