export { nativeRuntime } from "./native.js";
export * from "./session.js";
