import { readFile, stat } from "node:fs/promises";
import { messageOf, TesseraError } from "../core/errors.js";
import { isRecord } from "./component.js";

const largestFile = 256 * 2 ** 20;

/**
 * The bytes of a file of a tokenizer.
 *
 * @throws TesseraError `io` for a file that cannot be read, or is longer than any tokenizer's
 */
export async function loadBytes(file: string): Promise<Uint8Array> {
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new Error("it is not a file");
    if (info.size > largestFile)
      throw new Error(`${info.size} bytes are more than a tokenizer has (at most ${largestFile})`);
    return await readFile(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** The text of a file, without a byte order mark; else as {@link loadBytes}, and `tokenizer` for what is not UTF-8. */
export async function loadText(file: string): Promise<string> {
  const bytes = await loadBytes(file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TesseraError("tokenizer", `${file}: not a text in UTF-8 (${bytes.length} bytes)`, { cause });
  }
}

/** The object in a JSON file; else as {@link loadText}, and `tokenizer` for what is no JSON object. */
export async function loadJson(file: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await loadText(file);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new TesseraError("tokenizer", `${file}: not JSON, ${oneLine(messageOf(cause))}`, { cause });
  }
  if (!isRecord(json))
    throw new TesseraError(
      "tokenizer",
      `${file}: expected a JSON object, got ${Array.isArray(json) ? "a list" : typeof json}`,
    );
  return json;
}

/** What loading gives, or undefined for a file that does not exist. */
export async function ifThere<T>(loading: Promise<T>): Promise<T | undefined> {
  try {
    return await loading;
  } catch (error) {
    const cause = error instanceof TesseraError ? error.cause : undefined;
    if (isRecord(cause) && cause.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The error for a file or directory that the system does not give. */
export function unreadable(file: string, cause: unknown): TesseraError {
  return new TesseraError("io", `${file}: cannot be read, ${oneLine(messageOf(cause))}`, { cause });
}

/** A message of the platform, which may quote what it read, as one line of printable characters. */
export function oneLine(message: string): string {
  const line = message.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
