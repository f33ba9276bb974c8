import { closeSync } from "node:fs";
import { type ErrorCode, messageOf, TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { jsonCursor } from "./json-cursor.js";
import { openRegularFile, readFully } from "./regular-file.js";

/** How a JSON file is read. */
export interface JsonFileOptions {
  /** Code of the error when the content is wrong. Default `"config"`. */
  readonly code?: ErrorCode;
  /** Largest file that is read, in bytes. Default 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * The value of a JSON file.
 *
 * @throws TesseraError `io` when the file cannot be read; `code` when it is too large, not UTF-8, or not JSON, with line and column
 */
export function readJsonFile(path: string, { code = "config", maxBytes = 2 ** 28 }: JsonFileOptions = {}): unknown {
  const { fd, size } = openRegularFile(path);
  const refuse = (what: string, cause?: unknown) => new TesseraError(code, `${path}: ${what}`, { cause });
  let bytes: Uint8Array;
  try {
    if (size > maxBytes) throw refuse(`too large for JSON of this kind, ${size} bytes (at most ${maxBytes})`);
    bytes = new Uint8Array(size);
    readFully(fd, bytes, 0, path);
  } finally {
    closeSync(fd);
  }
  if (size === 0) throw refuse("not JSON, the file is empty");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refuse("not text in UTF-8", cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    locateFault(text, (line, column, what) => {
      throw new TesseraError(code, `${path}:${line}:${column}: not JSON, ${what}`);
    });
    throw refuse(`not JSON, ${messageOf(cause)}`, cause);
  }
}

/**
 * The object of a JSON file.
 *
 * @throws TesseraError as {@link readJsonFile} does, and `code` when the file holds something else than an object
 */
export function readJsonObject(path: string, options: JsonFileOptions = {}): Readonly<Record<string, unknown>> {
  const value = readJsonFile(path, options);
  if (isObject(value)) return value;
  throw new TesseraError(options.code ?? "config", `${path}: expected a JSON object, found ${quote(value)}`);
}

/** Whether a JSON value is an object, that is not null and not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// JSON.parse does not always say where it stopped, so the text is read again with a reader that does.
function locateFault(text: string, report: (line: number, column: number, what: string) => never): void {
  const cursor = jsonCursor(text, (what, at) => {
    const before = text.slice(0, at).split("\n");
    report(before.length, before.at(-1)!.length + 1, what);
  });
  cursor.skip();
  cursor.end();
}
