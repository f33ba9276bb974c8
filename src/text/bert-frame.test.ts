import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { withBertFrame } from "./bert-frame.js";
import { trainCharacterTokenizer } from "./character-tokenizer.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";

const specialTokens = { unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" };

describe("withBertFrame", () => {
  it("frames characters, masked ones among them, as BERT frames words", () => {
    const tokenizer = withBertFrame(trainCharacterTokenizer(["床前明月光"], { specialTokens }));
    const { ids, typeIds, tokens } = tokenizer.encoding("床前[MASK]月", { pair: "光" });
    expect(tokens).toEqual(["[CLS]", "床", "前", "[MASK]", "月", "[SEP]", "光", "[SEP]"]);
    expect(typeIds).toEqual([0, 0, 0, 0, 0, 0, 1, 1]);
    expect(ids[3]).toBe(tokenizer.specialTokens.mask);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("床前月光");
    const theirs = new LibraryTokenizer(JSON.parse(stringifyTokenizerJson(tokenizer.json)), tokenizer.config);
    const other = theirs.encode("床前[MASK]月", { text_pair: "光", return_token_type_ids: true });
    expect([other.ids, other.token_type_ids]).toEqual([ids, typeIds]);
  });

  it("refuses a tokenizer without the tokens for it", () => {
    expect(() => withBertFrame(trainCharacterTokenizer(["床"]))).toThrow(
      "withBertFrame: the tokenizer has no cls token",
    );
  });
});
