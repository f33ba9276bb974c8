import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { labelled, tinyBert, tinyGpt2, tinyT5 } from "../../test/support/tiny-pipeline.js";
import { type PipelineModel, pipeline } from "../pipeline/index.js";
import { saveModel } from "../pretrained/index.js";
import { saveTokenizer } from "../text/index.js";
import { runCli } from "./run.js";

const root = mkdtempSync(join(tmpdir(), "tessera-verbs-"));
const folder = (name: string) => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const template =
  "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

beforeAll(async () => {
  const names = labelled("O", "B-PER", "I-PER", "B-LOC");
  const models: Readonly<Record<string, PipelineModel>> = {
    mask: tinyBert("BertForMaskedLM"),
    classify: tinyBert("BertForSequenceClassification", labelled("sea", "land")),
    tag: tinyBert("BertForTokenClassification", names),
    answer: tinyBert("BertForQuestionAnswering"),
    features: tinyBert("BertModel"),
    t5: tinyT5({
      task_specific_params: { translation_en_to_de: { prefix: "de " }, summarization: { prefix: "sum " } },
    }),
    gpt2: tinyGpt2(),
    chat: tinyGpt2({ chat_template: template }),
  };
  for (const [name, { model, tokenizer }] of Object.entries(models)) {
    saveModel(folder(name), model);
    await saveTokenizer(folder(name), tokenizer);
  }
});

/** Runs the command line with lines for standard input. */
async function run(args: readonly string[], lines: readonly string[] = []) {
  const [out, err]: [string[], string[]] = [[], []];
  const input = Object.assign(new PassThrough(), { isTTY: false });
  input.end(lines.map((line) => `${line}\n`).join(""));
  const stdin = vi.spyOn(process, "stdin", "get").mockReturnValue(input as unknown as typeof process.stdin);
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => err.push(String(text)) > 0),
    vi.spyOn(console, "error").mockImplementation((text) => void err.push(`${text}\n`)),
    stdin,
  ];
  try {
    const code = await runCli(args);
    return { code, out: out.join(""), err: err.join("") };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const jsonLines = (text: string): { text: string; result: unknown }[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("tessera classify", () => {
  it("draws a bar for each label, under its text", async () => {
    const { code, out } = await run(["classify", "--model", folder("classify"), "the whale", "a ship"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^the whale\n( {3}\d\.\d{4} [█▏▎▍▌▋▊▉ ]{20} (sea|land)\n){2}a ship\n/);
  });

  it("prints a JSON object for each line of standard input", async () => {
    const { out } = await run(
      ["classify", "--model", folder("classify"), "--json", "--top-k", "1"],
      ["the whale", "", "ship"],
    );
    const lines = jsonLines(out);
    expect(lines.map(({ text }) => text)).toEqual(["the whale", "ship"]);
    for (const { result } of lines) expect(result).toEqual([{ label: expect.any(String), score: expect.any(Number) }]);
  });

  it("judges pairs, as the library does", async () => {
    const args = ["classify", "--model", folder("classify"), "--json"];
    const { out } = await run([...args, "--pair", "a ship", "the whale"]);
    using classify = await pipeline("text-classification", folder("classify"));
    const expected = await classify({ text: "the whale", pair: "a ship" }, { topK: null });
    expect(jsonLines(out)).toEqual([{ text: "the whale", result: expected }]);
    expect(jsonLines((await run([...args, "the whale"])).out)).not.toEqual(jsonLines(out));
  });
});

describe("tessera fill-mask", () => {
  it("lists tokens for each mask", async () => {
    const { out } = await run(["fill-mask", "--model", folder("mask"), "--top-k", "2", "[MASK] the [MASK]"]);
    expect(out).toMatch(/^\[MASK\] the \[MASK\]\n( {3}\d.*\n){2}\n( {3}\d.*\n){2}$/);
    const json = await run([
      "fill-mask",
      "--model",
      folder("mask"),
      "--targets",
      "whale, ship",
      "--json",
      "the [MASK]",
    ]);
    const [{ result }] = jsonLines(json.out) as unknown as [{ result: { token_str: string }[] }];
    expect(result.map(({ token_str }) => token_str).sort()).toEqual(["ship", "whale"]);
  });
});

describe("tessera tag", () => {
  it("marks entities in the text, or lists tokens", async () => {
    const text = "Ahab sails from Nantucket.";
    const { out } = await run(["tag", "--model", folder("tag"), text]);
    expect(out.replaceAll(/\[([^\]]*) (PER|LOC)\]/g, "$1")).toBe(`${text}\n`);
    expect(out).toMatch(/\[[^\]]+ (PER|LOC)\]/);
    const all = await run(["tag", "--model", folder("tag"), "--aggregation", "none", text]);
    expect(all.out).toMatch(/^Ahab sails from Nantucket\.\n( {3}\d\.\d{4} .* [BI]-(PER|LOC) {2}\S+\n)+$/);
    const json = await run(["tag", "--model", folder("tag"), "--aggregation", "max", "--stride", "4", "--json", text]);
    for (const entity of jsonLines(json.out)[0]!.result as { start: number; word: string }[])
      expect(text.toLowerCase().indexOf(entity.word)).toBe(entity.start);
  });
});

describe("tessera answer", () => {
  it("shows answers where they stand", async () => {
    const context = "Ahab sails from Nantucket.";
    const { out } = await run(["answer", "--model", folder("answer"), "--context", context, "--top-k", "2", "Where?"]);
    expect(out).toMatch(/^Where\?\n( {3}\d\.\d{4} .*\(\d+–\d+: .*\[.+\].*\)\n){2}$/);
    const file = join(root, "context.txt");
    writeFileSync(file, context);
    const args = [
      "answer",
      "--model",
      folder("answer"),
      "--context-file",
      file,
      "--json",
      "--impossible",
      "--top-k",
      "200",
    ];
    const [{ result }] = jsonLines((await run(args, ["Where?"])).out) as unknown as [{ result: { answer: string }[] }];
    expect(result.some(({ answer }) => answer === "")).toBe(true);
  });

  it("wants one text to look in", async () => {
    const { code, err } = await run(["answer", "--model", folder("answer"), "Where?"]);
    expect([code, err]).toEqual([1, "error: answer: give the text to look in, either --context or --context-file\n"]);
    const both = await run(["answer", "--model", folder("answer"), "--context-file", "-"], ["a"]);
    expect(both.err).toContain("standard input is the text");
  });
});

describe("tessera embed", () => {
  it("prints vectors, of length 1 where asked to", async () => {
    const { out } = await run(["embed", "--model", folder("features"), "the whale"]);
    expect(out).toMatch(/^the whale\n {2}\[(-?\d+\.\d{4}, ){6}…\] 24 numbers\n$/);
    const json = await run([
      "embed",
      "--model",
      folder("features"),
      "--pool",
      "cls",
      "--normalize",
      "--json",
      "a",
      "ship",
    ]);
    for (const { result } of jsonLines(json.out)) expect(Math.hypot(...(result as number[]))).toBeCloseTo(1, 5);
  });

  it("takes a language model without its head", async () => {
    const { out } = await run(["embed", "--model", folder("gpt2"), "--pool", "last", "--json", "the whale"]);
    using embed = await pipeline("feature-extraction", folder("gpt2"));
    expect(jsonLines(out)[0]!.result).toEqual(await embed("the whale", { pooling: "last" }));
  });
});

describe("tessera translate, summarize, rewrite", () => {
  it.each([
    ["translate", "translation_text"],
    ["summarize", "summary_text"],
    ["rewrite", "generated_text"],
  ])("%s prints a line for each text", async (verb, field) => {
    const args = [verb, "--model", folder("t5"), "--max-tokens", "5", "--beams", "2"];
    const plain = await run([...args, "the whale", "ship"]);
    const lines = jsonLines((await run([...args, "--json"], ["the whale", "ship"])).out);
    expect(lines.map(({ text }) => text)).toEqual(["the whale", "ship"]);
    expect(plain.out).toBe(lines.map(({ result }) => `${(result as Record<string, string>)[field]}\n`).join(""));
  });

  it.each([
    ["translate", "translation_text"],
    ["summarize", "summary_text"],
    ["rewrite", "generated_text"],
  ])("%s gives the best of beam search, below each text", async (verb, field) => {
    const args = [verb, "--model", folder("t5"), "--max-tokens", "4", "--beams", "3", "--completions", "3"];
    const lines = jsonLines((await run([...args, "--json", "the whale", "ship"])).out);
    const texts = lines.map(({ result }) => (result as Record<string, string>[]).map((one) => one[field]!));
    expect(texts.map((some) => new Set(some).size)).toEqual([3, 3]);
    const one = jsonLines((await run([...args.slice(0, -2), "--json", "the whale"])).out)[0]!;
    expect(one.result).toEqual({ [field]: texts[0]![0] });
    const { out } = await run([...args, "the whale", "ship"]);
    const below = (some: readonly string[]) => some.map((text) => `  ${text}`.trimEnd()).join("\n");
    expect(out).toBe(`the whale\n${below(texts[0]!)}\nship\n${below(texts[1]!)}\n`);
    expect((await run([...args.slice(0, -1), "4", "ship"])).err).toContain(
      "numReturnSequences is above numBeams (4 vs 3)",
    );
  });

  it("translate takes the languages that config.json names", async () => {
    const args = ["translate", "--model", folder("t5"), "--max-tokens", "3", "ship", "--from", "en", "--to"];
    expect((await run([...args, "de"])).code).toBe(0);
    expect((await run([...args, "fr"])).err).toMatch(/^error: .*from en to fr \(translation_en_to_de\)\n$/);
  });
});

describe("tessera chat", () => {
  const args = ["chat", "--model", folder("chat"), "--max-tokens", "4", "--temperature", "0"];

  it("answers a message", async () => {
    const { code, out } = await run([...args, "where?"]);
    const [{ content }] = JSON.parse((await run([...args, "--json", "where?"])).out).slice(-1);
    expect([code, out]).toEqual([0, `${content}\n`]);
  });

  it("remembers the conversation, and what it was told before", async () => {
    const { out } = await run([...args, "--system", "Be brief.", "--json"], ["where?", "who?"]);
    const [first, second] = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(first.map(({ role }: { role: string }) => role)).toEqual(["system", "user", "assistant"]);
    expect(second.slice(0, 3)).toEqual(first);
    expect(second.slice(3)).toEqual([
      { role: "user", content: "who?" },
      { role: "assistant", content: expect.any(String) },
    ]);
  });

  it("forgets the oldest exchange where the context is full, and says so", async () => {
    const line = "where is the white whale, said the captain of the ship to the crew of many men? ";
    const said = Array.from({ length: 6 }, (_, i) => `${i} ${line.repeat(2)}`);
    const { out, err } = await run([...args, "--system", "Be brief.", "--json"], said);
    const answers = out
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    for (const messages of answers) expect(messages[0]).toEqual({ role: "system", content: "Be brief." });
    // Of the turns, those where less is remembered than the exchange that came would add.
    const drops = answers.slice(1).map((messages, i) => (answers[i].length + 2 - messages.length) / 2);
    expect(err).toBe(
      drops
        .filter((n) => n > 0)
        .map((n) => (n === 1 ? "the oldest exchange is" : `the ${n} oldest exchanges are`))
        .map((what) => `the context of 256 tokens is full: ${what} forgotten\n`)
        .join(""),
    );
    expect(drops.some((n) => n > 0)).toBe(true);
    expect(answers.at(-1)[1].role).toBe("user");
  });

  it("wants a model for conversations", async () => {
    const { code, err } = await run(["chat", "--model", folder("gpt2"), "a"]);
    expect([code, err.split("\n").length]).toEqual([1, 2]);
    expect(err).toContain("the tokenizer has no chat template");
  });
});

describe("a model that is made for something else", () => {
  it.each([
    ["fill-mask", "gpt2", ["[MASK]"]],
    ["classify", "mask", ["a"]],
    ["tag", "gpt2", ["a"]],
    ["answer", "features", ["a", "--context", "b"]],
    ["translate", "gpt2", ["a"]],
    ["rewrite", "classify", ["a"]],
    ["chat", "mask", ["a"]],
    ["classify", "nowhere", ["a"]],
  ])("%s with %s: one line, exit code 1", async (verb, name, rest) => {
    const { code, out, err } = await run([verb, "--model", folder(name), ...rest]);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^error: [^\n]+\n$/);
    if (existsSync(folder(name))) expect(err).not.toContain("unexpected");
  });
});

it.each(["fill-mask", "classify", "tag", "answer", "embed", "translate", "summarize", "rewrite", "chat"])(
  "tessera %s --help has examples that name the command",
  async (verb) => {
    const { code, out } = await run([verb, "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`Examples?:\\n  tessera ${verb} --model `));
  },
);
