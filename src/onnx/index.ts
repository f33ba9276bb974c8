export * from "./emit.js";
