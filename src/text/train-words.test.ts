import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { trainWordTokenizer } from "./train-words.js";

const corpus = ["The whale saw the ship; the ship saw the whale.", "A whale!"];

describe("a vocabulary of words", () => {
  const tokenizer = trainWordTokenizer(corpus, { vocabSize: 12 });

  it("has the most frequent words, after the special tokens", () => {
    const tokens = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenOf(id));
    expect(tokens).toEqual(["</s>", "<unk>", "<pad>", "whale", "the", "saw", "ship", "The", ";", ".", "A", "!"]);
  });

  it("cuts at white space and punctuation, and other words are unknown", () => {
    expect(tokenizer.encode("the whale, the ship!")).toEqual([4, 3, 1, 4, 6, 11]);
    expect(tokenizer.decode([4, 3, 5])).toBe("the whale saw");
  });

  it("is read by another library to the same ids", () => {
    const other = new Tokenizer(tokenizer.json as never, tokenizer.config as never);
    for (const text of [...corpus, "Thar she blows, the whale"])
      expect(other.encode(text).ids).toEqual(tokenizer.encode(text));
  });

  it("leaves out rare words", () => {
    expect(trainWordTokenizer(corpus, { vocabSize: 99, minFrequency: 2 }).vocabSize).toBe(7);
    expect(() => trainWordTokenizer(corpus, { vocabSize: 3 })).toThrow("leaves no room for words, 3 with 3");
    expect(() => trainWordTokenizer([" "], { vocabSize: 9 })).toThrow("the corpus is empty");
  });
});
