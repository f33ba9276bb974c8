import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { blobPath, cachedRevisions, findSnapshot, linkBlob, snapshotPath, writeRef } from "./hub-cache.js";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, symlink: vi.fn(real.symlink) };
});

const commit = "0123456789abcdef0123456789abcdef01234567";
let repository: string;
let folder: string;

beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), "tessera-cache-"));
  folder = snapshotPath(repository, commit);
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(repository, "blobs"));
  writeFileSync(blobPath(repository, "abc"), "content");
});
afterEach(() => rmSync(repository, { recursive: true }));

test("a system that refuses links gets copies", async () => {
  vi.mocked(symlink).mockRejectedValueOnce(Object.assign(new Error("not permitted"), { code: "EPERM" }));
  await linkBlob(folder, "config.json", blobPath(repository, "abc"), false);
  expect(lstatSync(join(folder, "config.json")).isFile()).toBe(true);
  expect(readFileSync(join(folder, "config.json"), "utf8")).toBe("content");
  await linkBlob(folder, "config.json", blobPath(repository, "abc"), false);
  expect(lstatSync(join(folder, "config.json")).isSymbolicLink()).toBe(true);
  expect(readdirSync(join(repository, "blobs"))).toEqual(["abc"]);
});

test("a branch is found with its slashes, and what it lacks is told", async () => {
  await writeRef(repository, "main", commit);
  await writeRef(repository, "refs/pr/1", commit);
  await writeRef(repository, commit, commit); // a commit needs no entry
  expect(cachedRevisions(repository)).toEqual(["main", "refs/pr/1"]);
  expect(findSnapshot(repository, "refs/pr/1")).toEqual({ folder, missing: ["config.json", "model.safetensors"] });
  expect(findSnapshot(repository, "other")).toBeUndefined();
  expect(findSnapshot(repository, "f".repeat(40))).toBeUndefined();

  const index = join(folder, "model.safetensors.index.json");
  writeFileSync(join(folder, "config.json"), "{}");
  writeFileSync(index, JSON.stringify({ weight_map: { x: "a.safetensors", y: "b.safetensors" } }));
  writeFileSync(join(folder, "b.safetensors"), "");
  expect(findSnapshot(repository, commit)?.missing).toEqual(["a.safetensors"]);
  writeFileSync(index, "{");
  expect(findSnapshot(repository, commit)?.missing).toEqual(["model.safetensors.index.json"]);
});

test("an entry of refs/ that is not a commit leads nowhere", () => {
  mkdirSync(join(repository, "refs"));
  writeFileSync(join(repository, "refs", "main"), "../..");
  expect(findSnapshot(repository, "main")).toBeUndefined();
});
