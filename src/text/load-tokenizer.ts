import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, TesseraError } from "../core/errors.js";
import { isRecord } from "./component.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";

const largestFile = 256 * 2 ** 20;

/**
 * Reads a tokenizer from disk.
 *
 * @param path a tokenizer.json, or the directory of a model with a tokenizer.json in it; tokenizer_config.json and
 * special_tokens_map.json beside it are read where they exist
 * @throws TesseraError `io` for files that cannot be read, `tokenizer` or `unsupported` for what is in them
 * @example
 * const tokenizer = await loadTokenizer("checkpoints/english");
 */
export async function loadTokenizer(path: string): Promise<LoadedTokenizer> {
  const file = (await isDirectory(path)) ? join(path, "tokenizer.json") : path;
  const beside = basename(file) === "tokenizer.json" ? dirname(file) : undefined;
  const [json, map, config] = await Promise.all([
    readJson(file),
    beside === undefined ? undefined : readJson(join(beside, "special_tokens_map.json"), true),
    beside === undefined ? undefined : readJson(join(beside, "tokenizer_config.json"), true),
  ]);
  return tokenizerFromJson(json, { ...(map as object), ...(config as object) }, file);
}

/**
 * Writes tokenizer.json and tokenizer_config.json as Hugging Face lays them out, each whole or not at all.
 *
 * @param directory created if it is not there
 * @throws TesseraError `io` where a file cannot be written
 */
export async function saveTokenizer(
  directory: string,
  { json, config }: Pick<LoadedTokenizer, "json" | "config">,
): Promise<void> {
  const files = [
    ["tokenizer.json", stringifyTokenizerJson(json)],
    ["tokenizer_config.json", `${JSON.stringify(config, null, 2)}\n`],
  ] as const;
  for (const [name, text] of files) {
    const file = join(directory, name);
    try {
      await mkdir(directory, { recursive: true });
      await writeFile(`${file}.tmp`, text);
      await rename(`${file}.tmp`, file);
    } catch (cause) {
      throw new TesseraError("io", `${file}: cannot be written, ${oneLine(messageOf(cause))}`, { cause });
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The object in a JSON file; undefined for a file that does not exist and need not. */
async function readJson(file: string, optional = false): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new Error("it is not a file");
    if (info.size > largestFile)
      throw new Error(`${info.size} bytes are more than a tokenizer has (at most ${largestFile})`);
    bytes = await readFile(file);
  } catch (cause) {
    if (optional && isRecord(cause) && cause.code === "ENOENT") return undefined;
    throw unreadable(file, cause);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TesseraError("tokenizer", `${file}: not a text in UTF-8 (${bytes.length} bytes)`, { cause });
  }
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

function unreadable(file: string, cause: unknown): TesseraError {
  return new TesseraError("io", `${file}: cannot be read, ${oneLine(messageOf(cause))}`, { cause });
}

/** A message of the platform, which may quote what it read, as one line of printable characters. */
function oneLine(message: string): string {
  const line = message.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
