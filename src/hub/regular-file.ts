import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { messageOf, TesseraError } from "../core/errors.js";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is not a folder",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "it is a folder",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
};

/** A fault of the file system as a TesseraError `io`: `<path>: cannot be <done>, <reason>`. */
export function ioError(path: string, done: string, cause: unknown): TesseraError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new TesseraError("io", `${path}: cannot be ${done}, ${reasons[code] ?? messageOf(cause)}`, { cause });
}

/** An open file and its length in bytes. Close `fd` after use. */
export interface RegularFile {
  readonly fd: number;
  readonly size: number;
}

/**
 * Opens a file for reading; folders, pipes and devices are refused, and never waited for.
 *
 * @throws TesseraError `io` when it does not exist, may not be read, or is not a regular file
 */
export function openRegularFile(path: string): RegularFile {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // without O_NONBLOCK a pipe would hang here
  } catch (cause) {
    throw ioError(path, "opened", cause);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  throw new TesseraError(
    "io",
    `${path}: cannot be read, ${stat.isDirectory() ? "it is a folder" : "it is not a regular file"}`,
  );
}

const chunk = 2 ** 30; // one read call takes at most 2^31 - 1 bytes

/**
 * Fills `bytes` from the file, beginning `position` bytes into it.
 *
 * @throws TesseraError `io` when the file ends before, or the device fails
 */
export function readFully(fd: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.length; ) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, Math.min(chunk, bytes.length - done), position + done);
    } catch (cause) {
      throw ioError(path, "read", cause);
    }
    if (count === 0)
      throw new TesseraError(
        "io",
        `${path}: the file became shorter while it was read, it ends at byte ${position + done} (${position + bytes.length} needed)`,
      );
    done += count;
  }
}
