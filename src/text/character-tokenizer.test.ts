import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { trainCharacterTokenizer } from "./character-tokenizer.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";

describe("trainCharacterTokenizer", () => {
  it("gives every character of the corpus one token, in the order of code points", () => {
    const tokenizer = trainCharacterTokenizer(["床前明月光\n", "b😀a"], { specialTokens: {} });
    expect(Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenOf(id))).toEqual([
      ..."\nab光前床明月😀",
    ]);
    expect(tokenizer.encode("a😀\n")).toEqual([1, 8, 0]);
  });

  it("gives back any text over its characters, at once and token by token", () => {
    const alphabet = "ab \n\t'月光é\u0301😀👩‍\u0000";
    const tokenizer = trainCharacterTokenizer([alphabet]);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...alphabet)), (chars) => {
        const text = chars.join("");
        const ids = tokenizer.encode(text);
        expect(ids).toHaveLength(chars.length);
        expect(tokenizer.decode(ids)).toBe(text);
        const stream = tokenizer.stream();
        expect(ids.map((id) => stream.push(id))).toEqual(chars);
      }),
    );
  });

  it("is saved as a tokenizer.json that others read", () => {
    const tokenizer = trainCharacterTokenizer(["Call me Ishmael.\n床前明月光"]);
    const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
    const theirs = new LibraryTokenizer(saved, { ...tokenizer.config, clean_up_tokenization_spaces: false });
    for (const text of ["me\n月", "Zebra 月", "<|endoftext|>me"]) {
      const ids = tokenizer.encode(text);
      expect(theirs.encode(text).ids).toEqual(ids);
      expect(theirs.decode(ids)).toBe(tokenizer.decode(ids));
      expect(tokenizerFromJson(saved).encode(text)).toEqual(ids);
    }
  });

  it("stands the unknown token for other characters, or refuses them", () => {
    const tokenizer = trainCharacterTokenizer(["abc"]);
    expect(tokenizer.encode("axc").map((id) => tokenizer.tokenOf(id))).toEqual(["a", "<unk>", "c"]);
    expect(() => trainCharacterTokenizer(["abc"], { specialTokens: {} }).encode("axc")).toThrow(
      /"x" is not in the vocabulary/,
    );
  });

  it("keeps the frequent characters of a large alphabet", () => {
    const tokenizer = trainCharacterTokenizer(["aaabbcd"], { specialTokens: { unk: "?" }, maxVocab: 3 });
    expect([0, 1, 2, 3].map((id) => tokenizer.tokenOf(id))).toEqual(["?", "a", "b", undefined]);
    expect(trainCharacterTokenizer(["aaabbcd"], { specialTokens: {}, minFrequency: 2 }).vocabSize).toBe(2);
  });

  it("normalizes first on request", () => {
    const tokenizer = trainCharacterTokenizer(["e\u0301Ａ"], { specialTokens: {}, normalizer: "NFKC" });
    expect([0, 1].map((id) => tokenizer.tokenOf(id))).toEqual(["A", "é"]);
    expect(tokenizer.decode(tokenizer.encode("Ａe\u0301"))).toBe("Aé");
  });

  it("refuses corpora and limits it cannot work with", () => {
    const code = (code: string) => expect.objectContaining({ name: "TesseraError", code });
    expect(() => trainCharacterTokenizer([])).toThrow(code("data"));
    expect(() => trainCharacterTokenizer([""])).toThrow(code("data"));
    expect(() => trainCharacterTokenizer(["abc"], { minFrequency: 2 })).toThrow(code("data"));
    expect(() => trainCharacterTokenizer(["abc"], { minFrequency: 0 })).toThrow(code("argument"));
    expect(() => trainCharacterTokenizer(["abc"], { maxVocab: 2 })).toThrow(code("argument"));
  });
});
