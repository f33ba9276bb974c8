import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { tinyGpt2 } from "../../test/support/tiny-pipeline.js";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { generateText } from "../generate/index.js";
import { saveModel } from "../pretrained/index.js";
import { saveTokenizer } from "../text/index.js";
import { addGenerate } from "./generate.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const { model, tokenizer } = tinyGpt2();
const prompt = "the whale";

beforeAll(async () => {
  saveModel(folder.path, model);
  await saveTokenizer(folder.path, tokenizer);
});

async function run(...args: string[]): Promise<string> {
  let out = "";
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    const program = new Command("tessera").exitOverride().configureOutput({ writeErr: () => {} });
    addGenerate(program);
    await program.parseAsync(["generate", prompt, "--model", folder.path, "--max-tokens", "6", ...args], {
      from: "user",
    });
  } finally {
    spy.mockRestore();
  }
  return out;
}

const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("tessera generate", () => {
  it("gives the best completions of beam search, as the library does", async () => {
    const options = { maxNewTokens: 6, numBeams: 3, numReturnSequences: 2, lengthPenalty: 0.5, logprobs: 2 };
    const found = await generateText(model, tokenizer, [prompt], options);
    const args = ["--beams", "3", "--completions", "2", "--length-penalty", "0.5"];
    const json = JSON.parse(JSON.stringify(found.map((one) => ({ prompt, ...one }))));
    expect(jsonLines(await run(...args, "--logprobs", "2", "--json"))).toEqual(json);
    expect(found[0]!.logprobs![0]!.top).toHaveLength(2);
    expect(await run(...args)).toBe(`${found.map(({ text }) => prompt + text).join("\n\n")}\n`);
  });

  it("draws several completions, and bans repeats", async () => {
    const drawn = jsonLines(await run("--completions", "3", "--temperature", "2", "--seed", "1", "--json"));
    expect(new Set(drawn.map(({ text }) => text)).size).toBe(3);
    const [{ ids }] = jsonLines(await run("--ban-repeats", "1", "--min-tokens", "6", "--json"));
    const all = [...tokenizer.encode(prompt), ...ids];
    expect(ids).toHaveLength(6);
    expect(new Set(all).size).toBe(all.length);
  });

  it("refuses what has no effect", async () => {
    await expect(run("--logprobs", "2")).rejects.toThrow("--logprobs: they are printed with --json only");
    await expect(run("--length-penalty", "2")).rejects.toThrow("lengthPenalty shapes beam search, and numBeams is 1");
    await expect(run("--completions", "2")).rejects.toThrow("would be the same one");
  });
});
