import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, it, vi } from "vitest";
import { loadTokenizer } from "../text/index.js";
import { addTokenizer } from "./tokenizer.js";

const folder = mkdtempSync(join(tmpdir(), "tessera-tokenizer-"));
afterAll(() => rmSync(folder, { recursive: true }));
const corpus = join(folder, "corpus.txt");
writeFileSync(corpus, "The cat sat on the mat, the cats sit on mats.\n床前明月光，疑是地上霜。\n".repeat(9));

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line) => void lines.push(String(line)));
  try {
    const program = new Command("tessera");
    addTokenizer(program);
    await program.parseAsync(["tokenizer", ...args], { from: "user" });
  } finally {
    log.mockRestore();
  }
  return lines;
}

const train = async (...args: string[]) => {
  const out = join(folder, args.join("_").replace(/\W/g, "_"));
  const [line] = await run("train", corpus, "--out", out, "--json", ...args);
  return { said: JSON.parse(line!), tokenizer: await loadTokenizer(out), out };
};

describe("tessera tokenizer train", () => {
  it.each([
    [["--vocab-size", "300"], "<|endoftext|>", []],
    [["--vocab-size", "300", "--begin-token"], "<|endoftext|>", ["<|endoftext|>"]],
    [["--vocab-size", "300", "--special-tokens", "roberta"], "</s>", ["<s>", "</s>"]],
    [["--kind", "wordpiece", "--vocab-size", "90"], "[MASK]", ["[CLS]", "[SEP]"]],
    [["--kind", "wordpiece", "--cased", "--limit-alphabet", "20", "--vocab-size", "90"], "[MASK]", ["[CLS]", "[SEP]"]],
    [["--kind", "unigram", "--sentinels", "2", "--vocab-size", "90"], "<extra_id_1>", ["</s>"]],
    [["--kind", "character"], "<|endoftext|>", []],
    [["--kind", "character", "--special-tokens", "bert", "--extra-tokens", "<x>,<y>"], "<y>", ["[CLS]", "[SEP]"]],
  ])("%j", async (args, special, frame) => {
    const { said, tokenizer, out } = await train(...args);
    expect(said).toMatchObject({ out, vocabSize: tokenizer.vocabSize });
    expect(tokenizer.specialIds.has(tokenizer.idOf(special)!)).toBe(true);
    const text = "the cat sat";
    const ids = tokenizer.encode(text);
    expect(ids.filter((id) => tokenizer.specialIds.has(id)).map((id) => tokenizer.tokenOf(id))).toEqual(frame);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(text);
    expect(await run("encode", text, "--model", out)).toEqual([ids.join(" ")]);
  });

  it("keeps upper case on request", async () => {
    const lower = await train("--kind", "wordpiece", "--vocab-size", "95");
    const cased = await train("--kind", "wordpiece", "--cased", "--vocab-size", "95");
    expect([lower, cased].map(({ tokenizer }) => tokenizer.idOf("T") === undefined)).toEqual([true, false]);
  });

  it.each([
    [["--sentinels", "3"], "--sentinels: --kind bpe does not have it"],
    [["--kind", "unigram", "--min-frequency", "3"], "--min-frequency: --kind unigram does not have it"],
    [["--kind", "character", "--limit-alphabet", "3"], "--limit-alphabet: --kind character does not have it"],
    [["--kind", "unigram", "--special-tokens", "bert"], "--special-tokens: --kind unigram takes t5, got bert"],
    [
      ["--special-tokens", "roberta", "--begin-token"],
      "--begin-token: goes with --special-tokens gpt2 only, got roberta",
    ],
    [["--extra-tokens", "<x>,"], "specialTokens: a special token must not be empty"],
    [["--kind", "unigram", "--vocab-size", "9"], "trainUnigram: vocabSize is too small, 9 for 3 special tokens"],
    [["--kind", "wordpiece", "--vocab-size", "9"], "trainWordPiece: vocabSize is too small, 9 for 5 special tokens"],
    [["--kind", "sentencepiece"], "--kind: must be one of bpe, wordpiece, unigram, word, character"],
  ])("refuses %j", async (args, message) => {
    await expect(train(...args)).rejects.toThrow(message);
  });
});
