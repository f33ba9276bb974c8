export * from "./compile.js";
export * from "./evaluate.js";
export { nativeRuntime } from "./native.js";
export * from "./session.js";
