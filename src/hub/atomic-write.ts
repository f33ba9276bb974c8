import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { TesseraError } from "../core/errors.js";
import { ioError } from "./regular-file.js";

/** What a file is made of: text (UTF-8), bytes, or pieces that are written one after the other. */
export type FileContent = string | Uint8Array | Iterable<string | Uint8Array>;

/** A file that is complete and on disk under a temporary name. */
export interface StagedFile {
  /** Puts it in its place, replacing what is there in one step. */
  commit(): void;
  /** Removes it. */
  discard(): void;
}

/**
 * Writes a file so that it is either there as a whole or not at all: to a temporary file in the same folder, flushed to disk,
 * then renamed. If the process is killed at any moment, `path` holds the old content or the new one. What a killed process
 * left behind is removed by the next write in the same folder.
 *
 * @throws TesseraError `io` when it cannot be written; an error thrown by the content passes through. The old file is then unchanged
 */
export function writeFileAtomic(path: string, content: FileContent): void {
  stageFile(path, content).commit();
}

/**
 * The first half of {@link writeFileAtomic}: writes and flushes the temporary file. For several files that are to appear together.
 *
 * @throws TesseraError `io` when it cannot be written
 */
export function stageFile(path: string, content: FileContent): StagedFile {
  const folder = dirname(path);
  removeLeftovers(folder);
  const suffix = `${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  const temporary = join(folder, `.${basename(path)}${hostMark()}${suffix}`);
  const discard = () => rmSync(temporary, { force: true });
  const guarded = <T>(done: string, act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      throw cause instanceof TesseraError ? cause : ioError(path, done, cause);
    }
  };

  const fd = guarded("created", () => openSync(temporary, "wx"));
  let complete = false;
  try {
    const pieces = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
    for (const piece of pieces) guarded("written", () => writeFully(fd, piece));
    guarded("written", () => fsyncSync(fd));
    complete = true;
  } finally {
    closeSync(fd);
    if (!complete) discard();
  }
  return {
    commit: () => {
      try {
        guarded("replaced", () => renameSync(temporary, path));
      } catch (error) {
        discard();
        throw error;
      }
      syncFolder(folder);
    },
    discard,
  };
}

const chunk = 2 ** 30; // one write call takes at most 2^31 - 1 bytes

function writeFully(fd: number, piece: string | Uint8Array): void {
  const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, Math.min(chunk, bytes.length - done));
}

/** Makes renames and removals in a folder durable. Where the system cannot open folders (Windows) it does this by itself. */
export function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch {
    // some network file systems refuse it; the rename itself has succeeded
  } finally {
    closeSync(fd);
  }
}

const hostMark = () => `.${hostname()}-`;

/** Temporary files whose writer, a process of this host, is gone. */
function removeLeftovers(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // creating the file will say what is wrong with the folder
  }
  for (const name of names) {
    const [, rest] = name.startsWith(".") ? name.split(hostMark()) : [];
    const pid = /^(\d+)-[0-9a-f]{8}\.tmp$/.exec(rest ?? "")?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

/** Whether a process of this machine is running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
