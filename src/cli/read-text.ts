import { readFileSync } from "node:fs";
import { messageOf, TesseraError } from "../core/errors.js";
import { readTextFile, textOf } from "../hub/text-file.js";

/**
 * Text of files, each checked to be UTF-8; `-` is standard input.
 *
 * @throws TesseraError `io` for a file that cannot be read, `data` for one that is empty or no text
 */
export function readTexts(paths: readonly string[]): string[] {
  return paths.map((path) => (path === "-" ? textOf(standardInput(), path) : readTextFile(path).text));
}

function standardInput(): Uint8Array {
  try {
    return readFileSync(0);
  } catch (cause) {
    throw new TesseraError("io", `-: cannot be read, ${messageOf(cause)}`, { cause });
  }
}
