export * from "./config.js";
export * from "./download.js";
export * from "./generation-config.js";
export * from "./half.js";
export type { HubOptions } from "./hub-settings.js";
export * from "./safetensors.js";
export * from "./safetensors-checkpoint.js";
export * from "./safetensors-shards.js";
