import { createHash } from "node:crypto";
import { closeSync } from "node:fs";
import { TesseraError } from "../core/errors.js";
import { openRegularFile, readFully } from "./regular-file.js";

/** A file as it was read: its length in bytes, and what they hash to, tell whether it is still the same. */
export interface FileRecord {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** A text file as it was read. */
export interface TextFile extends FileRecord {
  readonly text: string;
}

/**
 * Reads a file whole.
 *
 * @throws TesseraError `io` when it cannot be read
 */
export function readDataFile(path: string): FileRecord & { readonly bytes: Uint8Array } {
  const { fd, size } = openRegularFile(path);
  try {
    const bytes = new Uint8Array(size);
    readFully(fd, bytes, 0, path);
    return { path, size, bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
  } finally {
    closeSync(fd);
  }
}

const longestText = 2 ** 29 - 24; // V8's longest string

/**
 * Reads a file of plain text in UTF-8; a byte order mark is left out.
 *
 * @throws TesseraError `io` when it cannot be read; `data` when it is empty, binary, not UTF-8, or too long for one text
 */
export function readTextFile(path: string): TextFile {
  const { bytes, ...file } = readDataFile(path);
  return { ...file, text: textOf(bytes, path) };
}

/**
 * Text of bytes in UTF-8; a byte order mark is left out.
 *
 * @param path how messages name it
 * @throws TesseraError `data` when they are none, binary, not UTF-8, or too long for one text
 */
export function textOf(bytes: Uint8Array, path: string): string {
  const refuse = (what: string) => new TesseraError("data", `${path}: ${what}`);
  const size = bytes.length;
  if (size === 0) throw refuse("the file is empty, expected text");
  if (size > longestText)
    throw refuse(`too long for one text, ${size} bytes (at most ${longestText}). Split it into several files`);
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw refuse(`binary, not text: byte ${zero} is zero`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refuse(`not text in UTF-8, byte ${firstInvalidByte(bytes)} is wrong`);
  }
  if (text.trim() === "") throw refuse(`nothing but white space, ${size} bytes`);
  return text;
}

/** Where the first character that is none begins: the range is halved, for a prefix of text is text, or a character short of it. */
function firstInvalidByte(bytes: Uint8Array): number {
  const valid = (length: number, stream: boolean) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (valid(middle, true)) good = middle;
    else bad = middle;
  }
  while (!valid(good, false)) good--;
  return good;
}
