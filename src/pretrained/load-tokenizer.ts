import { existsSync } from "node:fs";
import type { DownloadOptions } from "../hub/download.js";
import { loadTokenizer as readTokenizer } from "../text/load-tokenizer.js";
import type { LoadedTokenizer } from "../text/tokenizer-from-json.js";

/**
 * Loads the tokenizer of a model: a tokenizer.json, a folder, or `org/name` of the Hugging Face hub, see {@link loadModel}.
 *
 * @throws TesseraError as reading and the download do
 * @example const tokenizer = await loadTokenizer("org/name");
 */
export async function loadTokenizer(name: string, options: DownloadOptions = {}): Promise<LoadedTokenizer> {
  return readTokenizer(
    existsSync(name) ? name : await (await import("../hub/download.js")).resolveModel(name, options),
  );
}
