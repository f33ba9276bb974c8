import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { families } from "../src/models/index.js";

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");

describe("what the READMEs say stands in the code", () => {
  it.each(["README.md", "README.zh-CN.md"])("%s quotes GPT-2's block as it is, and lists every family", (file) => {
    const text = read(file);
    const quoted = /```ts\n(const block = [\s\S]*?)```/.exec(text)?.[1];
    expect(quoted).toBeTruthy();
    expect(read("src/models/gpt2.ts")).toContain(quoted);
    for (const modelType of families.keys()) expect(text).toContain(`| \`${modelType}\` |`);
    expect(text).toContain('npm ci && npx tessera generate "Call me Ishmael."');
    expect(text).toContain("npm ci && npm test");
  });
});
