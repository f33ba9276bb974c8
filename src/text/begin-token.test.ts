import { describe, expect, it } from "vitest";
import { libraryTokenizerIds } from "../../test/support/library-tokenizer.js";
import { withBeginToken } from "./begin-token.js";
import { trainCharacterTokenizer } from "./character-tokenizer.js";
import { trainByteLevelBpe } from "./train-bpe.js";

describe("withBeginToken", () => {
  const made = [
    trainByteLevelBpe(["to be or not to be"], { vocabSize: 270 }),
    trainCharacterTokenizer(["to be or not to be"]),
  ];

  it.each(made)("sets the token before a text, once, and only where special tokens are wanted", (plain) => {
    const tokenizer = withBeginToken(plain);
    const ids = plain.encode("to be", { addSpecialTokens: false });
    const { bos } = plain.specialTokens;
    expect(tokenizer.encode("to be")).toEqual([bos, ...ids]);
    expect(tokenizer.encode("to be", { addSpecialTokens: false })).toEqual(ids);
    expect(tokenizer.decode(tokenizer.encode("to be"), { skipSpecialTokens: true })).toBe("to be");
    expect(libraryTokenizerIds(tokenizer.json, "to be")).toEqual([bos, ...ids]); // as Hugging Face's library reads the file
  });

  it("refuses a tokenizer without one", () => {
    expect(() => withBeginToken(trainCharacterTokenizer(["ab"], { specialTokens: {} }))).toThrow(
      /no token that begins/,
    );
  });
});
