import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, it, vi } from "vitest";
import { freshModel } from "../../test/support/fresh-model.js";
import { generate } from "../generate/index.js";
import { saveModel } from "../pretrained/index.js";
import { saveTokenizer, trainCharacterTokenizer } from "../text/index.js";
import { addInspect } from "./inspect.js";

const folder = mkdtempSync(join(tmpdir(), "tessera-inspect-"));
afterAll(() => rmSync(folder, { recursive: true }));
const PARITY = new URL("../../../shared/parity/gpt2", import.meta.url).pathname;

async function run(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const spies = (["log", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((line) => void lines.push(String(line))),
  );
  try {
    const program = new Command("tessera");
    addInspect(program);
    await program.parseAsync(["inspect", ...args], { from: "user" });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return lines.join("\n");
}

describe("tessera inspect", () => {
  it("prints a heat map, and writes a picture and a page", async () => {
    const [svg, html] = [join(folder, "a.svg"), join(folder, "a.html")];
    const said = await run("Call me Ishmael.", "--layer", "1", "--head", "3", "--svg", svg, "--html", html);
    const lines = said.split("\n");
    expect(lines[0]).toBe("layer 1, head 3 of 6 (model.layers.1.self_attn)");
    expect(lines.some((line) => /^ +·me ██/.test(line) || /^ +·me [░▒▓█· ]+$/.test(line))).toBe(true);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(readFileSync(html, "utf8")).toContain("<h1>Call me Ishmael.</h1>");
    expect(said).toContain(`written: ${svg}\nwritten: ${html}`);
  });

  it("gives the same as JSON", async () => {
    const said = JSON.parse(await run("Call me", "--head", "0", "--json"));
    expect(said).toMatchObject({ kind: "self", layer: 0, head: 0, path: "model.layers.0.self_attn.attention_weights" });
    expect(said.weights).toHaveLength(said.queries.length);
    for (const row of said.weights) expect(row.reduce((a: number, b: number) => a + b)).toBeCloseTo(1, 4);
  });

  it("lists paths, and reads layers with the head", async () => {
    expect(await run("--list")).toContain("model.layers.3.self_attn.attention_weights  float32[b, 6, t, t]");
    const lens = JSON.parse(await run("Call me", "--lens", "--json"));
    expect(lens.layers.map(({ path }: { path: string }) => path)).toEqual([
      "model.embed_tokens",
      ...[0, 1, 2, 3].map((i) => `model.layers.${i}`),
    ]);
    expect((await run("Call me", "--lens")).split("\n")).toHaveLength(lens.tokens.length + 1);
  });

  it.skipIf(!existsSync(PARITY))("compares with a recording (skipped where ../shared/parity is missing)", async () => {
    expect(await run("--model", PARITY, "--compare", PARITY)).toMatch(/^no difference: 6 values within/);
    expect(process.exitCode).toBeUndefined();
    expect(await run("--compare", PARITY)).toMatch(/^first difference: hidden_states\.0/);
    expect(process.exitCode).toBe(1);
    process.exitCode = undefined;
  });

  it("shows an encoder-decoder's three kinds, of a target that is given or that it writes itself", async () => {
    const tokenizer = trainCharacterTokenizer(["abcdefgh明月"], { specialTokens: { eos: "</s>", pad: "<pad>" } });
    const model = freshModel("t5", { vocabSize: tokenizer.vocabSize });
    saveModel(join(folder, "t5"), model);
    await saveTokenizer(join(folder, "t5"), tokenizer);
    const look = async (...args: string[]) =>
      JSON.parse(await run("明cab", "--model", join(folder, "t5"), "--json", ...args));
    const given = await look("--target", "bad");
    expect(given).toMatchObject({ kind: "cross", keys: ["明", "c", "a", "b", "</s>"] });
    expect(given.queries.slice(1)).toEqual(["b", "a", "d"]);
    expect((await look("--kind", "encoder")).queries).toEqual(given.keys);
    const source = [...tokenizer.encode("明cab"), tokenizer.specialTokens.eos!]; // as it was trained to read it
    const { ids } = await generate(model, source, { temperature: 0, maxNewTokens: 40 });
    const own = await look("--kind", "self", "--layer", "1");
    expect(own.queries).toHaveLength(1 + ids.length - (ids.at(-1) === tokenizer.specialTokens.eos ? 1 : 0));
  });

  it("cuts what an encoder-decoder writes itself to what its decoder reads", async () => {
    const tokenizer = trainCharacterTokenizer(["abcdefgh"], { specialTokens: { eos: "</s>", pad: "<pad>" } });
    saveModel(join(folder, "bart"), freshModel("bart", { vocabSize: tokenizer.vocabSize, contextLength: 8 }));
    await saveTokenizer(join(folder, "bart"), tokenizer);
    const { queries } = JSON.parse(await run("cab", "--model", join(folder, "bart"), "--json"));
    expect(queries.length).toBeLessThanOrEqual(8);
  });

  it("shows that a text with blanks is seen in both directions", async () => {
    const tokenizer = trainCharacterTokenizer(["abcdefgh明月"], { specialTokens: {} });
    saveModel(join(folder, "glm"), freshModel("glm-2022", { vocabSize: tokenizer.vocabSize }));
    await saveTokenizer(join(folder, "glm"), tokenizer);
    const { weights } = JSON.parse(await run("明月ab", "--model", join(folder, "glm"), "--json"));
    expect(weights).toHaveLength(4);
    expect(weights.flat().every((weight: number) => weight > 0)).toBe(true);
  });

  it.each([
    [[], "inspect: a text is missing"],
    [["x", "--layer", "4"], "--layer: there is no layer 4 (4 with self attention, from 0)"],
    [["x", "--head", "8"], "it has no head 8 (6 heads, from 0)"],
    [["x", "--head", "all"], '--head: must be a whole number ≥ 0, got "all"'],
    [["x", "--kind", "cross"], "--kind: the model has no cross attention (self)"],
    [["x", "--target", "y"], "--target: a model for causal-lm has none"],
  ])("refuses %j", async (args, message) => {
    await expect(run(...args)).rejects.toThrow(message);
  });
});
