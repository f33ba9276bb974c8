export { type InnerPaths, innerPaths, type StackPaths } from "../../src/inspect/inner-paths.js";
