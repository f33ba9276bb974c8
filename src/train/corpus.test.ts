import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { readTextFile, type TextFile } from "../hub/text-file.js";
import { trainCharacterTokenizer } from "../text/character-tokenizer.js";
import { documentsOf, encodeCorpus } from "./corpus.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

describe("reading a text", () => {
  it("takes UTF-8, with or without a byte order mark", () => {
    expect(readTextFile(file("poem", "床前明月光")).text).toBe("床前明月光");
    const { text, size, sha256 } = readTextFile(file("bom", "\ufeffabc"));
    expect(text).toBe("abc");
    expect(size).toBe(6);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ["empty", "", "the file is empty, expected text"],
    ["white", " \n\t\r\n", "nothing but white space, 5 bytes"],
    ["zero", Uint8Array.of(65, 66, 0, 67), "binary, not text: byte 2 is zero"],
    ["latin-1", Buffer.from("caf\u00e9 au lait", "latin1"), "not text in UTF-8, byte 3 is wrong"],
    ["cut", Buffer.from("abc\u5e8a").subarray(0, 5), "not text in UTF-8, byte 3 is wrong"],
    ["overlong", Uint8Array.of(65, 0xc0, 0xaf), "not text in UTF-8, byte 1 is wrong"],
    ["surrogate", Uint8Array.of(65, 66, 0xed, 0xa0, 0x80), "not text in UTF-8, byte 2 is wrong"],
  ])("refuses a file that is %s", (name, content, message) => {
    const path = file(name, content);
    expect(() => readTextFile(path)).toThrow(expect.objectContaining({ code: "data", message: `${path}: ${message}` }));
  });

  it("refuses a folder and a file that is not there", () => {
    const sub = join(folder.path, "sub");
    mkdirSync(sub);
    expect(() => readTextFile(sub)).toThrow(
      expect.objectContaining({ code: "io", message: `${sub}: cannot be read, it is a folder` }),
    );
    expect(() => readTextFile(join(sub, "x"))).toThrow(/x: cannot be opened, no such file or folder$/);
  });
});

describe("encoding a corpus", () => {
  it("gives a separator the line break behind it, and no more", () => {
    expect(documentsOf("a\n--\nb\n\nc--\r\n d\n", "--")).toEqual(["a\n", "b\n\nc", " d\n"]);
    expect(documentsOf("\na--\n\nb--\n", "--")).toEqual(["\na", "\nb"]);
  });

  const text = (content: string, path = "a.txt"): TextFile => ({
    path,
    text: content,
    size: content.length,
    sha256: "",
  });
  const tokenizer = trainCharacterTokenizer(["abcdefghij\n"], { specialTokens: { eos: "<end>" } }); // <end> is 0, then \n, a, b …
  const ids = (s: string) => tokenizer.encode(s, { addSpecialTokens: false });

  it("sets the end token after every document, and drops empty ones", () => {
    const corpus = encodeCorpus([text("ab\n\ncd\n\n\n\n"), text("ef")], tokenizer, { separator: "\n\n", endOfText: 0 });
    expect(Array.from(corpus.training)).toEqual([...ids("ab"), 0, ...ids("cd"), 0, ...ids("ef"), 0]);
    expect(corpus.documents).toBe(3);
    expect(corpus.training).toBeInstanceOf(Uint16Array);
    expect(corpus.validation.length).toBe(0);
  });

  it("keeps the tail for validation", () => {
    const corpus = encodeCorpus([text("abcdefghij")], tokenizer, { validation: 0.3 });
    expect(Array.from(corpus.training)).toEqual(ids("abcdefg"));
    expect(Array.from(corpus.validation)).toEqual(ids("hij"));
  });

  it("keeps whole documents for validation, the same ones for a seed", () => {
    const documents = Array.from({ length: 200 }, (_, i) => "abcdefghij".slice(i % 7, (i % 7) + 3));
    const encode = (seed: number) =>
      encodeCorpus([text(documents.join("|"))], tokenizer, {
        separator: "|",
        endOfText: 0,
        validation: 0.2,
        split: "documents",
        seed,
      });
    const corpus = encode(1);
    expect(corpus.training.length + corpus.validation.length).toBe(200 * 4);
    expect(corpus.validation.length / 800).toBeGreaterThan(0.1);
    expect(corpus.validation.length / 800).toBeLessThan(0.3);
    for (let i = 3; i < corpus.validation.length; i += 4) expect(corpus.validation[i]).toBe(0);
    expect(encode(1)).toEqual(corpus);
    expect(encode(2)).not.toEqual(corpus);
  });

  it("refuses a split by documents that leaves one side empty", () => {
    expect(() => encodeCorpus([text("abc")], tokenizer, { validation: 0.5, split: "documents" })).toThrow(
      expect.objectContaining({
        code: "data",
        message: expect.stringContaining(
          "a.txt: validation by documents leaves one side without any, 1 documents at a share of 0.5",
        ),
      }),
    );
  });

  it("names the file with a character that the vocabulary lacks", () => {
    expect(() => encodeCorpus([text("abc"), text("abz", "b.txt")], tokenizer)).toThrow(
      expect.objectContaining({ code: "tokenizer", message: expect.stringMatching(/^b\.txt: /) }),
    );
  });
});
