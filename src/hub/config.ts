import { join } from "node:path";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { writeFileAtomic } from "./atomic-write.js";
import { formatConfigJson } from "./config-format.js";
import { readJsonObject } from "./json-file.js";

/** A model folder's `config.json`, not yet understood. */
export interface RawConfig {
  /** The file it came from, as messages name it. */
  readonly path: string;
  /** All its fields. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The family, such as `"gpt2"`. */
  readonly modelType?: string;
  /** Class names of the original, such as `"GPT2LMHeadModel"`; they say which head the weights have. */
  readonly architectures: readonly string[];
}

/**
 * Reads `config.json` of a model folder.
 *
 * @throws TesseraError `io` when it cannot be read; `config` when it is not a JSON object, or names neither `model_type` nor `architectures`
 */
export function readConfig(folder: string): RawConfig {
  const path = join(folder, "config.json");
  const values = readJsonObject(path, { maxBytes: 2 ** 24 });
  const refuse = (what: string) => new TesseraError("config", `${path}: ${what}`);
  const modelType = values.model_type ?? "";
  const architectures = values.architectures ?? [];
  if (typeof modelType !== "string") throw refuse(`model_type must be text, got ${quote(modelType)}`);
  if (!Array.isArray(architectures) || !architectures.every((name) => typeof name === "string"))
    throw refuse(`architectures must be a list of texts, got ${quote(architectures)}`);
  if (!modelType && architectures.length === 0)
    throw refuse("neither model_type nor architectures says which model this is");
  return { path, values, architectures, ...(modelType ? { modelType } : {}) };
}

/**
 * Writes `config.json` of a model folder, atomically and in transformers' form.
 *
 * @throws TesseraError `io` when it cannot be written, `argument` for a number that JSON cannot hold
 */
export function writeConfig(folder: string, values: Readonly<Record<string, unknown>>): void {
  writeFileAtomic(join(folder, "config.json"), formatConfigJson(values));
}
