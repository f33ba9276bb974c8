export type { ConfigReader } from "../hub/config-reader.js";
