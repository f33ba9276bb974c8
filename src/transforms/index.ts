export * from "./flops.js";
export * from "./grad.js";
export * from "./print.js";
export * from "./rebuild.js";
export * from "./simplify.js";
export * from "./verify.js";
