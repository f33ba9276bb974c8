import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** Folders of src/ by rank: a file imports from lower ranks and from its own folder, never from a sibling or above. */
const RANKS: readonly (readonly string[])[] = [
  ["core"],
  ["ops"],
  ["transforms", "onnx", "nn"],
  ["runtime", "models", "hub", "text"],
  ["pretrained"],
  ["generate", "train", "inspect"],
  ["server", "pipeline"],
  ["cli"],
];

/** Packages that only some files may know, so that the rest runs in a browser or on another engine. */
const KEPT: Readonly<Record<string, RegExp>> = {
  "onnxruntime-node": /^runtime\/native/,
  koffi: /^runtime\/native/,
  "onnxruntime-web": /^runtime\/web/,
  "node:": /^(cli|server|hub|train|pretrained|runtime\/(native|profile|threads)|text\/(load-|save-))/,
};

const SRC = join(dirname(new URL(import.meta.url).pathname), "src");
const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)));

const folderOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");
const rankOf = (folder: string) => (folder === "" ? RANKS.length : RANKS.findIndex((rank) => rank.includes(folder)));

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(SRC, file), "utf8").matchAll(
      /^\s*(?:import|export)\b[^;]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)|^import\s+"([^"]+)"/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3]!);

describe("architecture", () => {
  it("has files, and every folder of src/ has a rank", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.map(folderOf).filter((folder) => rankOf(folder) < 0)).toEqual([]);
  });

  it("imports run downwards and siblings do not know each other", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((to) => to.startsWith("."))
        .map((to) => relative(SRC, join(SRC, dirname(file), to)))
        .filter((to) => folderOf(to) !== folderOf(file) && rankOf(folderOf(to)) >= rankOf(folderOf(file)))
        .map((to) => `${file} → ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("keeps engines and Node's own modules where they belong", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file).flatMap((to) =>
        Object.entries(KEPT)
          .filter(
            ([name, allowed]) =>
              (name.endsWith(":") ? to.startsWith(name) : to === name || to.startsWith(`${name}/`)) &&
              !allowed.test(file),
          )
          .map(() => `${file} → ${to}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("keeps a model on a few screens: none over 300 lines, under 200 on average", () => {
    const models = files.filter((file) => file.startsWith("models/"));
    const lengths = models.map((file) => readFileSync(join(SRC, file), "utf8").split("\n").length - 1);
    expect(models.filter((_, i) => lengths[i]! > 300)).toEqual([]);
    expect(lengths.reduce((a, b) => a + b, 0) / lengths.length).toBeLessThan(200);
  });
});
