import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";

// What the compiler refuses, for callers without one.

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isList = (value: unknown): value is ArrayLike<unknown> => Array.isArray(value) || ArrayBuffer.isView(value);

function refuse(where: string, expected: string, got: unknown): never {
  const kind = Array.isArray(got) ? "a list" : isObject(got) ? "an object" : `a ${typeof got}`;
  const shown = got === undefined ? "nothing" : got === null || typeof got === "string" ? quote(got) : kind;
  throw new TesseraError("argument", `${where}: ${expected}, got ${shown}`);
}

function requireModel(where: string, model: unknown, options: unknown): void {
  if (!isObject(model) || !("decoder" in model || "module" in model))
    refuse(where, "the first argument must be a model, as loadModel or compileModel gives it", model);
  if (!isObject(options) || isList(options)) refuse(where, "options must be an object", options);
}

/** @throws TesseraError `argument` for what is no call with prompts of token ids */
export function requireIdCall(where: string, model: unknown, given: unknown, options: unknown): void {
  requireModel(where, model, options);
  const prompts = isList(given) && typeof given[0] !== "number" ? Array.from(given) : [given];
  const wrong = prompts.findIndex((prompt) => !isList(prompt));
  if (wrong >= 0) refuse(where, `prompt ${wrong} must be token ids (generateText takes texts)`, prompts[wrong]);
}

/** @throws TesseraError `argument` for what is no call with prompts of text */
export function requireTextCall(
  where: string,
  model: unknown,
  tokenizer: unknown,
  given: unknown,
  options: unknown,
): void {
  requireModel(where, model, options);
  if (!isObject(tokenizer) || !("encode" in tokenizer))
    refuse(where, "the second argument must be a tokenizer, as loadTokenizer gives it", tokenizer);
  const prompts = Array.isArray(given) ? (given as readonly unknown[]) : [given];
  const wrong = prompts.findIndex((prompt) => typeof prompt !== "string");
  if (wrong >= 0) refuse(where, `prompt ${wrong} must be a text (generate takes token ids)`, prompts[wrong]);
}
