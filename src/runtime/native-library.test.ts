import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { libraryPath, loadLibrary } from "./native-library.js";

test("every platform that onnxruntime-node serves has its library", () => {
  for (const [platform, arch] of [
    ["linux", "x64"],
    ["linux", "arm64"],
    ["darwin", "arm64"],
    ["win32", "x64"],
    ["win32", "arm64"],
  ] as const)
    expect(libraryPath(platform, arch)).toContain(path.join("onnxruntime-node", "bin", "napi-v6", platform, arch));
});

test("a platform without a library is named", () => {
  expect(() => libraryPath("darwin", "x64")).toThrow(
    expect.objectContaining({
      code: "runtime",
      message:
        "runtime: onnxruntime-node has no library for darwin-x64 (only for linux-x64, linux-arm64, darwin-arm64, win32-x64, win32-arm64)",
    }),
  );
});

test("a missing or broken library is named", () => {
  const root = mkdtempSync(path.join(tmpdir(), "tessera-test-"));
  try {
    expect(() => libraryPath("linux", "x64", root)).toThrow(
      /libonnxruntime\.so\.1: the file is missing\. Install it again/,
    );
    const broken = path.join(root, "broken.so");
    writeFileSync(broken, "not a library");
    expect(() => loadLibrary(broken)).toThrow(/^.*broken\.so: cannot be loaded, .+$/);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("the library is the one that onnxruntime-node ships", () => {
  const file = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  expect(loadLibrary().version).toBe(JSON.parse(readFileSync(file, "utf8")).version);
});
