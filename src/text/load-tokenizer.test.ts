import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadTokenizer, saveTokenizer } from "./load-tokenizer.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";
import { trainByteLevelBpe } from "./train-bpe.js";

const folder = mkdtempSync(join(tmpdir(), "tessera-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

const tokenizer = trainByteLevelBpe(["the cat sat on the mat ".repeat(5)], { vocabSize: 270 });
const good = stringifyTokenizerJson(tokenizer.json);

/** The good file with one thing changed. */
// biome-ignore lint/suspicious/noExplicitAny: damage of any kind to JSON of any shape
const changed = (change: (json: any) => void) => {
  const json = JSON.parse(good);
  change(json);
  return JSON.stringify(json);
};

describe("loadTokenizer", () => {
  it("reads what saveTokenizer wrote, from the file and from its directory", async () => {
    const directory = join(folder, "saved", "deep");
    await saveTokenizer(directory, tokenizer);
    expect(readdirSync(directory).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    for (const path of [directory, join(directory, "tokenizer.json")]) {
      const loaded = await loadTokenizer(path);
      expect(loaded.json).toEqual(tokenizer.json);
      expect(loaded.config).toEqual(tokenizer.config);
      expect(loaded.specialTokens).toEqual(tokenizer.specialTokens);
      expect(loaded.encode("the cat")).toEqual(tokenizer.encode("the cat"));
    }
  });

  it("takes roles from special_tokens_map.json too, and names may be objects", async () => {
    const directory = join(folder, "map");
    mkdirSync(directory);
    writeFileSync(join(directory, "tokenizer.json"), good);
    writeFileSync(
      join(directory, "special_tokens_map.json"),
      '{"pad_token": {"content": "<|endoftext|>"}, "unk_token": "gone"}',
    );
    const { specialTokens } = await loadTokenizer(directory);
    expect(specialTokens).toMatchObject({ pad: 0, unk: undefined, eos: undefined });
  });

  it("says of a directory without a tokenizer.json what is there instead", async () => {
    const directory = join(folder, "older");
    mkdirSync(directory);
    await expect(loadTokenizer(directory)).rejects.toMatchObject({
      code: "io",
      message: expect.stringContaining("no tokenizer.json is there. Make one with transformers"),
    });
    for (const name of ["spiece.model", "tokenizer_config.json"]) writeFileSync(join(directory, name), "{}");
    await expect(loadTokenizer(directory)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("the tokenizer is in spiece.model"),
    });
  });

  it("needs no tokenizer_config.json, and reads a file of any name", async () => {
    const file = join(folder, "alone.json");
    writeFileSync(file, good);
    expect((await loadTokenizer(file)).specialTokens.eos).toBeUndefined();
  });

  it("reads the older layout: merges as text, no type of model", () => {
    const json = JSON.parse(good);
    const older = {
      ...json,
      model: { vocab: json.model.vocab, merges: json.model.merges.map((pair: string[]) => pair.join(" ")) },
    };
    expect(tokenizerFromJson(older).encode("the cat")).toEqual(tokenizer.encode("the cat"));
  });

  const faults: [name: string, content: string | Uint8Array, fault: RegExp][] = [
    ["empty", "", /not JSON/],
    ["binary", Uint8Array.from({ length: 256 }, (_, i) => i), /not a text in UTF-8 \(256 bytes\)/],
    ["zeros", new Uint8Array(64), /not JSON/],
    ["truncated", good.slice(0, good.length / 2), /not JSON/],
    ["with control characters", '{"a": \u0001\n\u001b[31m}', /not JSON/],
    ["prose", "Call me Ishmael.\nSome years ago", /not JSON/],
    ["a list", "[]", /expected a JSON object, got a list/],
    ["a number", "5", /expected a JSON object, got number/],
    ["null", "null", /expected a JSON object/],
    ["nothing inside", "{}", /model: expected an object, got undefined/],
    ["no vocabulary", changed((j) => delete j.model.vocab), /model\.vocab: expected an object/],
    ["a vocabulary that is a list", changed((j) => (j.model.vocab = ["a"])), /model\.vocab: expected an object/],
    ["a negative id", changed((j) => (j.model.vocab.a = -1)), /vocab\["a"\]: expected an id from 0 to \d+, got -1/],
    ["a fractional id", changed((j) => (j.model.vocab.a = 1.5)), /got 1\.5/],
    ["a text as id", changed((j) => (j.model.vocab.a = "7")), /got "7"/],
    ["an enormous id", changed((j) => (j.model.vocab.a = 1e15)), /got 1000000000000000/],
    ["two tokens with one id", changed((j) => (j.model.vocab.a = j.model.vocab.b)), /"a" and "b" have the same id/],
    ["no merges", changed((j) => delete j.model.merges), /model\.merges: expected a list/],
    ["a merge of three", changed((j) => (j.model.merges[1] = ["a", "b", "c"])), /merges\[1\]: expected two tokens/],
    [
      "a merge of numbers",
      changed((j) => (j.model.merges[0] = [1, 2])),
      /merges\[0\]: expected two tokens, got \[1,2\]/,
    ],
    ["a merge without a space", changed((j) => (j.model.merges[0] = "ab")), /merges\[0\]: expected two tokens/],
    [
      "a merge of unknown tokens",
      changed((j) => (j.model.merges[2] = ["zz", "a"])),
      /merges\[2\]: "zz" is not in the vocabulary/,
    ],
    [
      "a merge into an unknown token",
      changed((j) => (j.model.merges[0] = ["z", "z"])),
      /merges\[0\]: "zz" is not in the vocabulary/,
    ],
    ["an unknown model", changed((j) => (j.model.type = "Oracle")), /model: type "Oracle" is not supported/],
    ["random merges", changed((j) => (j.model.dropout = 0.1)), /dropout/],
    [
      "a flag that is none",
      changed((j) => (j.model.fuse_unk = "yes")),
      /model\.fuse_unk: expected true or false, got "yes"/,
    ],
    ["an added token without a text", changed((j) => (j.added_tokens[0].content = "")), /added_tokens\[0\]\.content/],
    ["an added token without an id", changed((j) => delete j.added_tokens[0].id), /added_tokens\[0\]\.id/],
    [
      "an added token with two ids",
      changed((j) => (j.added_tokens[0].id = 9999)),
      /added_tokens\[0\]: "<\|endoftext\|>" has two ids \(9999 and 0\)/,
    ],
    [
      "an added token in another's place",
      changed((j) => (j.added_tokens[0].content = "<x>")),
      /"<x>" and "<\|endoftext\|>" have the same id, 0/,
    ],
    ["added tokens that are no list", changed((j) => (j.added_tokens = {})), /added_tokens: expected a list/],
    [
      "an added token that is a text",
      changed((j) => (j.added_tokens = ["<s>"])),
      /added_tokens\[0\]: expected an object/,
    ],
    [
      "an unknown normalizer",
      changed((j) => (j.normalizer = { type: "Magic" })),
      /normalizer: type "Magic" is not supported/,
    ],
    [
      "a normalizer without a type",
      changed((j) => (j.normalizer = {})),
      /normalizer: expected null or an object with a "type"/,
    ],
    ["a normalizer that is a text", changed((j) => (j.normalizer = "NFC")), /normalizer: expected null/],
    ["an unknown pre-tokenizer", changed((j) => (j.pre_tokenizer = { type: "Magic" })), /pre_tokenizer: type "Magic"/],
    [
      "a sequence without parts",
      changed((j) => (j.pre_tokenizer = { type: "Sequence" })),
      /pre_tokenizer\.pretokenizers: expected a list/,
    ],
    [
      "a damaged part of a sequence",
      changed((j) => (j.pre_tokenizer = { type: "Sequence", pretokenizers: [7] })),
      /pretokenizers\[0\]: expected an object/,
    ],
    [
      "a broken expression",
      changed((j) => (j.pre_tokenizer = { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" })),
      /an expression JavaScript cannot run, "\("/,
    ],
    [
      "a pattern that is none",
      changed((j) => (j.pre_tokenizer = { type: "Split", pattern: {}, behavior: "Isolated" })),
      /pattern is/,
    ],
    [
      "an unknown behavior",
      changed((j) => (j.pre_tokenizer = { type: "Punctuation", behavior: "Maybe" })),
      /behavior: expected one of/,
    ],
    ["an unknown decoder", changed((j) => (j.decoder = { type: "Magic" })), /decoder: type "Magic" is not supported/],
    [
      "a decoder with a damaged field",
      changed((j) => (j.decoder = { type: "Strip", content: " ", start: -1, stop: 0 })),
      /decoder\.start: expected a whole number/,
    ],
    [
      "an unknown post-processor",
      changed((j) => (j.post_processor = { type: "Magic" })),
      /post_processor: type "Magic"/,
    ],
    [
      "a template without texts",
      changed((j) => (j.post_processor = { type: "TemplateProcessing", single: [{}], pair: [], special_tokens: {} })),
      /single\[0\]: expected a Sequence/,
    ],
    [
      "a template with lost tokens",
      changed(
        (j) =>
          (j.post_processor = {
            type: "TemplateProcessing",
            single: [{ SpecialToken: { id: "x", type_id: 0 } }],
            pair: [],
            special_tokens: {},
          }),
      ),
      /single\[0\]: expected one of special_tokens/,
    ],
    [
      "special tokens outside the vocabulary",
      changed((j) => (j.post_processor = { type: "BertProcessing", cls: ["a", 5000], sep: ["b", 1] })),
      /sets the id 5000, which has no token/,
    ],
    [
      "a unigram vocabulary without scores",
      changed((j) => (j.model = { type: "Unigram", vocab: [["a"]] })),
      /vocab\[0\]: expected \[token, score\]/,
    ],
    [
      "an unknown token outside the vocabulary",
      changed((j) => (j.model = { type: "Unigram", vocab: [["a", 0]], unk_id: 4 })),
      /unk_id: expected an id below 1 or null, got 4/,
    ],
    [
      "parts nested without end",
      good.replace(
        '"normalizer": null',
        `"normalizer": ${'{"type":"Sequence","normalizers":['.repeat(20_000)}${"]}".repeat(20_000)}`,
      ),
      /tokenizer\.json/,
    ],
  ];

  it.each(faults)("refuses a file that is or has %s", async (name, content, fault) => {
    const directory = join(folder, name.replaceAll(/\W/g, "-"));
    mkdirSync(directory);
    writeFileSync(join(directory, "tokenizer.json"), content);
    const error = await loadTokenizer(directory).then(
      () => expect.fail("it was accepted"),
      (error: Error) => error,
    );
    expect(error).toMatchObject({ name: "TesseraError", code: expect.stringMatching(/^(tokenizer|unsupported)$/) });
    expect(error.message).toMatch(fault);
    expect(error.message).toContain(join(directory, "tokenizer.json"));
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });

  it("refuses paths that hold no tokenizer", async () => {
    const io = expect.objectContaining({ name: "TesseraError", code: "io", message: expect.stringContaining(folder) });
    mkdirSync(join(folder, "bare"));
    mkdirSync(join(folder, "odd", "tokenizer.json"), { recursive: true });
    await expect(loadTokenizer(join(folder, "missing"))).rejects.toEqual(io);
    await expect(loadTokenizer(join(folder, "bare"))).rejects.toEqual(io);
    await expect(loadTokenizer(join(folder, "odd"))).rejects.toEqual(io);
    await expect(saveTokenizer(join(folder, "alone.json", "x"), tokenizer)).rejects.toEqual(io);
  });

  it("refuses a damaged tokenizer_config.json by its name", async () => {
    const directory = join(folder, "config");
    mkdirSync(directory);
    writeFileSync(join(directory, "tokenizer.json"), good);
    writeFileSync(join(directory, "tokenizer_config.json"), "{");
    await expect(loadTokenizer(directory)).rejects.toThrow(/tokenizer_config\.json: not JSON/);
  });
});
