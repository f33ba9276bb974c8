import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { countingGlm } from "../../test/support/counting-glm.js";
import { freshModel } from "../../test/support/fresh-model.js";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { saveModel } from "../pretrained/save-model.js";
import { trainByteLevelBpe } from "../text/index.js";
import { saveTokenizer } from "../text/load-tokenizer.js";
import { addFillBlanks } from "./fill-blanks.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const [glm, gpt, plain] = ["glm", "gpt", "plain"].map((name) => join(folder.path, name)) as [string, string, string];

async function run(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const spy = vi.spyOn(console, "log").mockImplementation((line) => void lines.push(String(line)));
  try {
    const program = new Command("tessera").exitOverride().configureOutput({ writeErr: () => {} });
    addFillBlanks(program);
    await program.parseAsync(["fill-blanks", ...args], { from: "user" });
  } finally {
    spy.mockRestore();
  }
  return lines.join("\n");
}

beforeAll(async () => {
  const { model } = await countingGlm(folder.path, 1); // it has learned nothing: that is enough here
  saveModel(glm, model);
  saveModel(gpt, freshModel("gpt2"));
  saveModel(plain, freshModel("glm-2022", { vocabSize: 300 }));
  await saveTokenizer(plain, trainByteLevelBpe(["one two"], { vocabSize: 260 }));
}, 60_000);

describe("tessera fill-blanks", { timeout: 60_000 }, () => {
  it("keeps the text, and puts what it wrote in brackets", async () => {
    const text = " one two[MASK] four[MASK] six";
    const said = await run("--model", glm, "--max-tokens", "4", text);
    const [, first, second] = /^ one two\[(.*)\] four\[(.*)\] six$/s.exec(said)!;
    const json = JSON.parse(await run("--model", glm, "--max-tokens", "4", "--json", text));
    expect(json).toEqual({ text, filled: ` one two${first} four${second} six`, contents: [first, second] });
  });

  it("takes several texts, and goes on from an end that is left out", async () => {
    const said = await run("--model", glm, "--json", "--max-tokens", "6", " one[MASK]", " two three[gMASK]");
    const [one, two] = said.split("\n").map((line) => JSON.parse(line));
    expect(one.filled).toBe(` one${one.contents[0]}`);
    expect(two.filled).toBe(` two three${two.contents[0]}`);
  });

  it("draws as the seed says, and never a special token", async () => {
    const draw = (...flags: string[]) => run("--model", glm, "--max-tokens", "9", ...flags, " one two[gMASK]");
    const hot = ["--temperature", "9"];
    const drawn = [
      await draw(...hot, "--seed", "1"),
      await draw(...hot, "--seed", "1"),
      await draw(...hot, "--seed", "2"),
    ];
    expect(drawn[0]).toBe(drawn[1]);
    expect(drawn[0]).not.toBe(drawn[2]);
    for (const seed of ["3", "4", "5", "6"])
      expect(await draw(...hot, "--seed", seed)).not.toMatch(/MASK|piece|endoftext/);
    const greedy = await draw();
    expect(await draw("--temperature", "0", "--seed", "1")).toBe(greedy);
    expect(await draw("--top-k", "1", "--seed", "5")).toBe(greedy);
    expect(await draw("--top-p", "0", "--seed", "5")).toBe(greedy);
  });

  it.each([
    [[glm, " one two"], "fillBlanks: there is no blank in the text"],
    [[glm, " one[gMASK] two"], 'fill-blanks: [gMASK] stands at the end of a text, got " one[gMASK] two"'],
    [[gpt, " one[MASK]"], "gpt: it fills no blanks, its task is causal-lm"],
    [[plain, " one[MASK]"], "plain: blank-infilling needs tokens that the tokenizer does not have ([MASK], [gMASK],"],
    [[glm, "--max-tokens", "0", " one[MASK]"], '--max-tokens: must be a whole number ≥ 1, got "0"'],
    [[glm, " one".repeat(14), "[MASK]"], "fillBlanks: there is no blank in the text"],
    [[glm, `${" one".repeat(14)}[MASK]`], "fillBlanks: the text leaves no room for an answer, 15 tokens of 14"],
  ])("refuses %j", async (args, message) => {
    await expect(run("--model", ...args)).rejects.toThrow(message);
  });
});
