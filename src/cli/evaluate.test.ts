import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { temporaryFolder, tinySettings } from "../../test/train/tiny-run.js";
import { bleu, chrf, parseTrainSettings, startRun, train } from "../train/index.js";
import { addEvaluate } from "./evaluate.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const place = (name: string) => join(folder.path, name);

async function run(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const spies = (["log", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((line) => void lines.push(String(line))),
  );
  try {
    const program = new Command("tessera").exitOverride();
    addEvaluate(program);
    await program.parseAsync(["evaluate", ...args], { from: "user" });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return lines.join("\n");
}

// Seven sentences to learn by heart, and an eighth that the model has never seen.
const known = ["one", "two", "three", "four", "five", "six", "seven"].map((word, i) => ({
  source: `${word} whales`,
  target: `I saw ${word} of them, ${"hm ".repeat(i % 3)}and sailed on.`,
}));
const lines = (name: string, rows: readonly object[]) =>
  writeFileSync(place(name), rows.map((row) => JSON.stringify(row)).join("\n"));

beforeAll(async () => {
  lines("train.jsonl", known);
  lines("held.jsonl", [...known, { source: "two whales", target: "Something else that nobody said." }]);
  const settings = tinySettings(folder.path, {
    data: [place("train.jsonl")],
    out: place("translator"),
    validation: 0,
    task: "text-to-text",
    model: "transformer",
    tokenizer: "roberta",
    vocab_size: 400,
    d: 32,
    dropout: 0,
    steps: 120,
    batch_size: 7,
    micro_batch_size: 7,
    checkpoint_every: 120,
  });
  await train(await startRun(parseTrainSettings(settings)));
}, 120_000);

describe("tessera evaluate", { timeout: 60_000 }, () => {
  it("lets the model write, and scores what it wrote", async () => {
    const out = place("predictions.jsonl");
    const said = JSON.parse(await run(place("translator"), place("held.jsonl"), "--json", "--out", out));
    expect(said).toMatchObject({ task: "text-to-text", examples: 8, data: [place("held.jsonl")] });
    const written = readFileSync(out, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(written.slice(0, 7)).toEqual(known.map((pair) => ({ ...pair, prediction: pair.target })));
    expect(written[7]).toEqual({
      source: "two whales",
      target: "Something else that nobody said.",
      prediction: known[1]!.target,
    });
    expect(Object.keys(said.metrics).sort()).toEqual(["bleu", "chrf", "exact_match", "token_accuracy"]);
    expect(said.metrics.exact_match).toBe(7 / 8);
    const [predictions, targets] = [written.map(({ prediction }) => prediction), written.map(({ target }) => target)];
    expect(said.metrics.bleu).toBe(bleu(predictions, targets).score);
    expect(said.metrics.chrf).toBe(chrf(predictions, targets));
    expect(said.perplexity).toBeCloseTo(Math.exp(said.loss), 10);

    const beams = JSON.parse(await run(place("translator"), place("train.jsonl"), "--json", "--beams", "2"));
    expect(beams.metrics).toMatchObject({ exact_match: 1, chrf: 100 });
    expect(beams.metrics.bleu).toBeCloseTo(100, 8);
  });

  it("prints a table", async () => {
    const said = await run(place("translator"), place("held.jsonl"), "--limit", "4");
    expect(said.split("\n")[0]).toBe(`text-to-text, 4 examples of ${place("held.jsonl")}`);
    expect(said).toMatch(/^ {2}exact match {5}1\.0000$/m);
    expect(said).toMatch(/^ {2}bleu {12}100\.0000$/m);
  });

  it("takes running text, and columns under other names", async () => {
    writeFileSync(place("text.txt"), "I saw one of them, and sailed on. ".repeat(8));
    const said = JSON.parse(await run(place("translator"), place("text.txt"), "--task", "denoising", "--json"));
    expect(said).toMatchObject({ task: "denoising", metrics: {} });
    expect(said.loss).toBeGreaterThan(0);
    lines(
      "other.jsonl",
      known.slice(0, 2).map(({ source, target }) => ({ en: source, de: target })),
    );
    const columns = ["--text-column", "en", "--label-column", "de"];
    const other = JSON.parse(await run(place("translator"), place("other.jsonl"), ...columns, "--json"));
    expect(other).toMatchObject({ task: "text-to-text", examples: 2 });
  });

  it.each([
    [["--task", "denoising", "--out", "x.jsonl"], "--out: denoising generates no texts"],
    [["--task", "span-corruption", "--beams", "2"], "--beams: span-corruption generates no texts"],
    [["--task", "masked-lm"], "transformer: it has no head for masked-lm"],
    [["--task", "poetry"], 'task: there is no task "poetry"'],
    [["--separator", "x"], "separator: text-to-text does not use it"],
    [["--context-length", "25"], "context_length: more than the model sees, 25 vs 24"],
    [["--limit", "0"], '--limit: must be a whole number ≥ 1, got "0"'],
    [["--text-column", "x"], "held.jsonl: example 1: there is nothing in column x (it has source, target)"],
  ])("refuses %j", async (args, message) => {
    await expect(run(place("translator"), place("held.jsonl"), ...args)).rejects.toThrow(message);
  });
});
