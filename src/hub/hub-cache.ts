import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { writeFileAtomic } from "./atomic-write.js";
import { isCommit } from "./hub-name.js";
import { indexFileName, readWeightMap, singleFileName } from "./safetensors-checkpoint.js";

/**
 * The standard cache keeps each model in a folder of its own: `blobs/` holds the files under their hashes, `refs/` the commit of each
 * branch and tag that was asked for, `snapshots/<commit>/` relative links from the files' names to the blobs.
 */
export const blobPath = (repository: string, etag: string) => join(repository, "blobs", etag);
/** The folder of a commit. */
export const snapshotPath = (repository: string, commit: string) => join(repository, "snapshots", commit);
const refPath = (repository: string, revision: string) => join(repository, "refs", ...revision.split("/"));

/** A commit's folder, and what is needed that is not in it. */
export interface CachedSnapshot {
  readonly folder: string;
  readonly missing: readonly string[];
}

/**
 * What the cache has of a revision, or undefined where it knows nothing of it. A branch is what it was when last asked for.
 *
 * @param needed names of files. Default what a model needs
 */
export function findSnapshot(
  repository: string,
  revision: string,
  needed?: readonly string[],
): CachedSnapshot | undefined {
  let commit = revision;
  if (!isCommit(commit)) {
    try {
      commit = readFileSync(refPath(repository, revision), "utf8").trim();
    } catch {
      return undefined;
    }
  }
  const folder = snapshotPath(repository, commit);
  return isCommit(commit) && existsSync(folder) ? { folder, missing: missingFiles(folder, needed) } : undefined;
}

/** The branches and tags that the cache knows, sorted. */
export function cachedRevisions(repository: string): string[] {
  const refs = join(repository, "refs");
  if (!existsSync(refs)) return [];
  return readdirSync(refs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => relative(refs, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** Keeps the commit of a branch or tag. */
export async function writeRef(repository: string, revision: string, commit: string): Promise<void> {
  const path = refPath(repository, revision);
  if (isCommit(revision) || (existsSync(path) && readFileSync(path, "utf8") === commit)) return;
  await mkdir(dirname(path), { recursive: true });
  writeFileAtomic(path, commit);
}

/** Whether a path, links followed, leads to a file of this length. */
export async function hasFile(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === size;
}

/** Makes a blob appear in a snapshot under the file's name: as a relative link, or as a copy where links are refused or not wanted. */
export async function linkBlob(folder: string, name: string, blob: string, copies: boolean): Promise<void> {
  const place = join(folder, name);
  const target = relative(folder, blob);
  if ((await readlink(place).catch(() => undefined)) === target) return;
  const temporary = `${blob}.${randomBytes(4).toString("hex")}.link`;
  try {
    if (copies) await copyFile(blob, temporary);
    else await symlink(target, temporary).catch(() => copyFile(blob, temporary));
    await rename(temporary, place);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The names of the shards in an index, each once, in order; checked to be plain names, so that none leads out of the folder. */
export function shardNames(index: string): string[] {
  return [...new Set(readWeightMap(index).values())];
}

function missingFiles(folder: string, needed?: readonly string[]): string[] {
  const absent = (names: readonly string[]) => names.filter((name) => !existsSync(join(folder, name)));
  if (needed) return absent(needed);
  const config = absent(["config.json"]);
  if (existsSync(join(folder, singleFileName))) return config;
  const index = join(folder, indexFileName);
  if (!existsSync(index)) return [...config, singleFileName];
  try {
    return [...config, ...absent(shardNames(index))];
  } catch {
    return [...config, indexFileName]; // it is damaged: as good as not there
  }
}
