import { readFileSync, statSync } from "node:fs";
import { messageOf, TesseraError } from "../core/errors.js";

/**
 * Text of files, each checked to be UTF-8; `-` is standard input.
 *
 * @throws TesseraError `io` for a file that cannot be read, `data` for one that is empty or no text
 */
export function readTexts(paths: readonly string[]): string[] {
  return paths.map((path) => {
    let bytes: Uint8Array;
    try {
      if (path !== "-" && statSync(path).isDirectory()) throw new Error("it is a folder");
      bytes = readFileSync(path === "-" ? 0 : path);
    } catch (cause) {
      throw new TesseraError("io", `${path}: cannot be read, ${messageOf(cause)}`, { cause });
    }
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new TesseraError("data", `${path}: not a text in UTF-8 (${bytes.length} bytes)`, { cause });
    }
    if (text.trim() === "") throw new TesseraError("data", `${path}: holds no text (${bytes.length} bytes)`);
    if (text.includes("\0")) throw new TesseraError("data", `${path}: holds NUL characters, so it is no text`);
    return text;
  });
}
