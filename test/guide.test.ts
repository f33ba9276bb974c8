import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { families } from "../src/models/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const guide = resolve(root, "docs/guide");
const pages = readdirSync(guide).filter((file) => file.endsWith(".md"));
const both = pages.flatMap((page) => [page, `zh-CN/${page}`]);
const read = (page: string) => readFileSync(resolve(guide, page), "utf8");
const all = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), (match) => match[1]!);
const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, "");

/** How GitHub names a heading in a link. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
    .replaceAll(" ", "-");

describe("the guide", () => {
  it("quotes the code as it stands", () => {
    const run = () => execFileSync(process.execPath, [resolve(guide, "quote.mjs"), "--check"], { encoding: "utf8" });
    expect(run).not.toThrow();
  });

  it.each(both)("%s links to files and headings that are there", (page) => {
    const file = resolve(guide, page);
    const links = all(withoutCode(read(page)), /\]\((?!https?:)([^)\s]+)\)/g);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) {
      const [path = "", heading] = link.split("#");
      const target = path === "" ? file : resolve(dirname(file), path);
      expect(existsSync(target), `${page}: ${link}`).toBe(true);
      if (heading === undefined) continue;
      const headings = all(withoutCode(readFileSync(target, "utf8")), /^#+ (.+)$/gm).map(anchor);
      expect(headings, `${page}: ${link}`).toContain(decodeURIComponent(heading));
    }
  });

  it("has the same pages in both languages", () => {
    expect(readdirSync(resolve(guide, "zh-CN"))).toEqual(pages);
  });

  it.each(pages)("%s has the same quotations, formulas, runs and pictures in both languages", (page) => {
    const of = (text: string) => ({
      quotations: all(text, /<!-- quote (.+) -->/g),
      formulas: all(text, /^```math\n([\s\S]*?)^```$/gm),
      runs: all(text, /^```console\n([\s\S]*?)^```$/gm),
      pictures: all(text, /!\[[^\]]*\]\((?:\.\.\/)?([^)]+)\)/g),
      sections: all(text, /^(#+) /gm),
    });
    expect(of(read(`zh-CN/${page}`))).toEqual(of(read(page)));
  });

  it.each(both)("%s opens and closes every formula in its line", (page) => {
    for (const line of withoutCode(read(page)).split("\n"))
      expect(line.replace(/`[^`]*`/g, "").split("$").length % 2, `${page}: ${line}`).toBe(1);
  });

  it("shows every family and says its mask and its dropout", () => {
    const chapter = pages.map(read).join("\n");
    const tables = read("7-masks-and-dropout.md").split("\n## Dropout")!;
    for (const modelType of families.keys()) {
      expect(chapter).toMatch(new RegExp(`^## .*\\b${modelType}\\b`, "m"));
      for (const table of tables) expect(table).toContain(`\`${modelType}\``);
    }
  });

  it("has small pictures, and none that no page shows", () => {
    const shown = new Set(pages.flatMap((page) => all(read(page), /\(pictures\/([^)]+)\)/g)));
    for (const picture of readdirSync(resolve(guide, "pictures"))) {
      expect(shown, picture).toContain(picture);
      expect(statSync(resolve(guide, "pictures", picture)).size, picture).toBeLessThan(40_000);
    }
  });
});
