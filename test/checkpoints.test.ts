import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compileModel, generateText } from "../src/generate/index.js";
import { readModel } from "../src/pretrained/load-model.js";
import { nativeRuntime } from "../src/runtime/native.js";
import { loadTokenizer } from "../src/text/index.js";

const folderOf = (name: string) => fileURLToPath(new URL(`../checkpoints/${name}`, import.meta.url));

async function completions(
  name: string,
  prompt: string,
  seeds: readonly number[],
  maxNewTokens: number,
): Promise<string[]> {
  const tokenizer = await loadTokenizer(folderOf(name));
  using model = await compileModel(readModel(folderOf(name)), { runtime: nativeRuntime() });
  const texts: string[] = [];
  for (const seed of seeds) texts.push((await generateText(model, tokenizer, prompt, { maxNewTokens, seed })).text);
  return texts;
}

describe("the models that come with the package", () => {
  it.each(["ishmael", "tang"])("%s takes at most 8 MB", (name) => {
    expect(statSync(`${folderOf(name)}/model.safetensors`).size).toBeLessThan(8e6);
  });

  it.each([
    ["床前明月光", 5],
    ["白日放歌须纵酒", 7],
  ] as const)("tang goes on after %s in lines of %i", async (prompt, length) => {
    const poems = await completions("tang", prompt, [1, 2, 3, 4, 5, 6], 50);
    const metre = new RegExp(`^\\p{Script=Han}{${length}}，\\p{Script=Han}{${length}}[。？！；]$`, "u");
    const couplets = poems.flatMap((text) => (prompt + text).trim().split("\n").slice(0, 2));
    expect(couplets.length).toBeGreaterThanOrEqual(8);
    expect(couplets.filter((couplet) => metre.test(couplet)).length / couplets.length).toBeGreaterThan(0.8);
  });

  it("ishmael goes on in English sentences", async () => {
    const text = (await completions("ishmael", "Call me Ishmael.", [1, 2, 3, 4], 120)).join(" ");
    const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
    expect(words.length).toBeGreaterThan(100);
    const common = words.filter((word) =>
      /^(the|of|and|to|a|in|that|it|is|was|i|he|his|with|as|be|for|we|this|not|but|by|have)$/.test(word),
    );
    expect(common.length / words.length).toBeGreaterThan(0.25); // as in the texts it learnt from
    expect(text.match(/[.!?]/g)?.length ?? 0).toBeGreaterThan(3);
  });
});
