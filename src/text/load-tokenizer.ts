import { mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, TesseraError } from "../core/errors.js";
import { ifThere, loadJson, oneLine, unreadable } from "./load-file.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";

/**
 * Reads a tokenizer from disk.
 *
 * @param path a tokenizer.json, or the directory of a model: with a tokenizer.json in it (tokenizer_config.json and
 * special_tokens_map.json beside it are read where they exist), or with the files that older repositories have in its place: vocab.json
 * and merges.txt, vocab.txt, or Marian's source.spm and vocab.json
 * @throws TesseraError `io` for files that cannot be read, `tokenizer` or `unsupported` for what is in them
 * @example
 * const tokenizer = await loadTokenizer("checkpoints/english");
 */
export async function loadTokenizer(path: string): Promise<LoadedTokenizer> {
  const names = await namesIn(path);
  if (names !== undefined && !names.includes("tokenizer.json")) {
    const { loadOlderTokenizer } = await import("./load-older-tokenizer.js"); // only here, so that nobody else waits for it
    return loadOlderTokenizer(path, names);
  }
  const file = names === undefined ? path : join(path, "tokenizer.json");
  const beside = (name: string) =>
    basename(file) === "tokenizer.json" ? ifThere(loadJson(join(dirname(file), name))) : undefined;
  const [json, map, config] = await Promise.all([
    loadJson(file),
    beside("special_tokens_map.json"),
    beside("tokenizer_config.json"),
  ]);
  return tokenizerFromJson(json, { ...map, ...config }, file);
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

/** What a directory holds; undefined for a file. */
async function namesIn(path: string): Promise<readonly string[] | undefined> {
  try {
    return (await stat(path)).isDirectory() ? await readdir(path) : undefined;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
