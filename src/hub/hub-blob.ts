import { createHash, type Hash, randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { TesseraError } from "../core/errors.js";
import { isAlive } from "./atomic-write.js";
import { type HubClient, passingError, requestOnce, withRetries } from "./hub-request.js";

/** A file as the hub describes it. */
export interface HubFile {
  /** Its name in the repository. */
  readonly path: string;
  /** Its length in bytes. */
  readonly size: number;
  /** Its hash, and its name among the blobs: SHA-256 of a large file (64 digits), git's SHA-1 of a small one (40 digits). */
  readonly etag: string;
}

/** How often a file is tried again without having got any further. */
const attempts = 6;

/**
 * Downloads a file to `blob`, where it appears complete and checked or not at all. What an earlier attempt has left, also one
 * that was killed, is continued with a `Range` request; a connection that is cut is continued likewise.
 *
 * Each download writes a file of its own (`<etag>.<owner>.incomplete`) and continues what another one has abandoned by renaming it,
 * which only one process can do; so nothing needs to be locked.
 *
 * @param where how messages name the file
 * @param onBytes called with the number of bytes that are there, first with what was found
 * @throws TesseraError `io` when it cannot be had (the part that is there is kept), or is not what the hub announced (nothing is kept)
 */
export async function downloadBlob(
  client: HubClient,
  where: string,
  url: string,
  { size, etag }: HubFile,
  blob: string,
  onBytes: (done: number) => void,
): Promise<void> {
  const incomplete = await claim(blob, etag);
  const file = await open(incomplete, "r+");
  let outcome = "kept" as "complete" | "kept" | "wrong";
  try {
    let { hash, done } = await hashSoFar(file, size, etag);
    onBytes(done);
    let furthest = done;
    const restart = async () => {
      await file.truncate(0);
      ({ hash, done } = { hash: newHash(size, etag), done: 0 });
    };
    const refuse = (what: string) => {
      outcome = "wrong";
      return new TesseraError("io", `${where}: ${what}. What was downloaded is removed; try again`);
    };
    await withRetries(client, where, attempts, async (progressed) => {
      while (done < size) {
        const range = done > 0 ? { Range: `bytes=${done}-` } : undefined;
        const init = { headers: { ...range, "Accept-Encoding": "identity" } };
        const response = await requestOnce(client, where, url, init, range ? [416] : []);
        const start = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1];
        if (range && (response.status !== 206 || Number(start) !== done)) {
          await restart(); // the server does not continue here: from the beginning, with this answer or the next
          if (response.status !== 200) {
            await response.body?.cancel();
            continue;
          }
        }
        const pieces = response.body?.[Symbol.asyncIterator]();
        for (;;) {
          const piece = await pieces?.next().catch((error: unknown) => {
            throw passingError(where, error);
          });
          if (!piece || piece.done) break;
          const bytes: Uint8Array = piece.value;
          if (done + bytes.length > size) {
            await pieces?.return?.();
            throw refuse(`longer than announced (${size} bytes)`);
          }
          await writeAt(file, bytes, done);
          hash.update(bytes);
          done += bytes.length;
          onBytes(done);
          if (done > furthest) {
            furthest = done;
            progressed();
          }
        }
        if (done < size) throw passingError(where, `the connection was cut after ${done} of ${size} bytes`);
      }
    });
    const found = hash.digest("hex");
    if (found !== etag) throw refuse(`damaged on the way, its hash is ${found} (${etag} expected)`);
    await file.sync();
    outcome = "complete";
  } finally {
    await file.close();
    if (outcome === "wrong") await rm(incomplete, { force: true });
    if (outcome === "kept") await rename(incomplete, nameOf(blob, "free"));
  }
  await rename(incomplete, blob);
}

const newHash = (size: number, etag: string): Hash =>
  etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

/** The hash of what is in the file already; a file that is too long is emptied. */
async function hashSoFar(file: FileHandle, size: number, etag: string): Promise<{ hash: Hash; done: number }> {
  const hash = newHash(size, etag);
  const length = (await file.stat()).size;
  if (length > size) {
    await file.truncate(0);
    return { hash, done: 0 };
  }
  const buffer = new Uint8Array(Math.min(length, 2 ** 22));
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - done), done);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return { hash, done };
}

// At its place and not at the end: should two processes ever hold the same file, both write the same bytes to the same places.
async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

const nameOf = (blob: string, owner: string) => `${blob}.${owner}.incomplete`;

/** Another host's process cannot be asked whether it lives; a file that nobody has written to for so long is abandoned. */
const abandonedAfter = 3_600_000; // milliseconds

/** A new file for this download, or the longest that was abandoned; the other abandoned ones are removed. */
async function claim(blob: string, etag: string): Promise<string> {
  const own = nameOf(blob, `${hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`);
  const folder = dirname(blob);
  const abandoned: { readonly path: string; readonly size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(blob)}.`) || !name.endsWith(".incomplete")) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined); // it may be gone by now
    if (found && isAbandoned(name.slice(etag.length + 1, -".incomplete".length), found.mtimeMs))
      abandoned.push({ path, size: found.size });
  }
  abandoned.sort((a, b) => b.size - a.size);
  let claimed = false;
  for (const { path } of abandoned) {
    if (claimed) await rm(path, { force: true });
    else
      claimed = await rename(path, own).then(
        () => true,
        () => false, // another process was faster
      );
  }
  if (!claimed) await (await open(own, "wx")).close();
  return own;
}

function isAbandoned(owner: string, modified: number): boolean {
  if (owner === "free") return true;
  const match = /^(.*)-(\d+)-[0-9a-f]{8}$/.exec(owner);
  if (!match) return false; // another program's
  return Date.now() - modified > abandonedAfter || (match[1] === hostname() && !isAlive(Number(match[2])));
}
