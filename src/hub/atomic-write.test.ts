import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeEach, expect, it } from "vitest";
import { stageFile, writeFileAtomic } from "./atomic-write.js";

const root = mkdtempSync(join(tmpdir(), "atomic-write-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
  path = join(folder, "a.bin");
});

it("writes text, bytes and pieces, and leaves nothing else", () => {
  writeFileAtomic(path, "héllo");
  expect(readFileSync(path, "utf8")).toBe("héllo");
  writeFileAtomic(path, Uint8Array.of(1, 2));
  expect([...readFileSync(path)]).toEqual([1, 2]);
  writeFileAtomic(path, [Uint8Array.of(7), "ab", new Uint8Array(0)]);
  expect([...readFileSync(path)]).toEqual([7, 0x61, 0x62]);
  expect(readdirSync(folder)).toEqual(["a.bin"]);
});

it("keeps the old file when the content fails half way, and removes the rest", () => {
  writeFileAtomic(path, "old");
  const broken = function* () {
    yield "new";
    throw new RangeError("no more");
  };
  expect(() => writeFileAtomic(path, broken())).toThrow(new RangeError("no more"));
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["a.bin"]);
});

it("shows nothing before commit, and nothing after discard", () => {
  const staged = stageFile(path, "new");
  expect(readdirSync(folder)).not.toContain("a.bin");
  staged.commit();
  expect(readdirSync(folder)).toEqual(["a.bin"]);
  stageFile(path, "newer").discard();
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(readdirSync(folder)).toEqual(["a.bin"]);
});

it("replaces a link, not the file that it points to", () => {
  writeFileSync(join(folder, "shared"), "shared");
  symlinkSync("shared", path);
  writeFileAtomic(path, "own");
  expect(readFileSync(join(folder, "shared"), "utf8")).toBe("shared");
  expect(readFileSync(path, "utf8")).toBe("own");
});

it("says in one line what it cannot do", () => {
  expect(() => writeFileAtomic(join(folder, "none", "a"), "")).toThrow(
    /none\/a: cannot be created, no such file or folder$/,
  );
  mkdirSync(path);
  expect(() => writeFileAtomic(path, "x")).toThrow(/a\.bin: cannot be replaced, it is a folder$/);
  expect(readdirSync(folder)).toEqual(["a.bin"]);
});

it("removes what a killed writer left, not what others are writing", () => {
  const name = (pid: number) => `.a.bin.${hostname()}-${pid}-0123abcd.tmp`;
  writeFileSync(join(folder, name(2 ** 22 + 1)), ""); // above the largest process id of Linux
  writeFileSync(join(folder, name(2 ** 22 + 2).replace("a.bin", "b.bin")), "");
  writeFileSync(join(folder, name(process.ppid)), "");
  writeFileSync(join(folder, ".other.tmp"), "");
  writeFileSync(join(folder, name(2 ** 22 + 1).replace(hostname(), "elsewhere")), "");
  writeFileAtomic(path, "x");
  expect(readdirSync(folder).sort()).toEqual(
    [name(process.ppid), name(2 ** 22 + 1).replace(hostname(), "elsewhere"), ".other.tmp", "a.bin"].sort(),
  );
});

it("holds the old content or the new one whenever the writer is killed", { timeout: 60_000 }, async () => {
  const size = 3_000_000;
  const module = new URL("./atomic-write.ts", import.meta.url).href;
  const script = `
    import { writeFileAtomic } from ${JSON.stringify(module)};
    for (let i = 0; ; i++) {
      writeFileAtomic(${JSON.stringify(path)}, [new Uint8Array(${size} / 2).fill(i), new Uint8Array(${size} / 2).fill(i)]);
      if (i === 0) console.log("ready");
    }`;
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: "pipe" });
    await once(child.stdout, "data");
    await setTimeout(Math.random() * 60);
    child.kill("SIGKILL");
    await once(child, "exit");
    const bytes = readFileSync(path);
    expect(bytes.length).toBe(size);
    expect(bytes.equals(Buffer.alloc(size, bytes[0]!))).toBe(true);
    expect(readdirSync(folder).length).toBeLessThanOrEqual(2); // the file, and at most what this kill left
  }
});
