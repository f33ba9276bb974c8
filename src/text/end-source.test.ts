import { expect, test, vi } from "vitest";
import { trainCharacterTokenizer } from "./character-tokenizer.js";
import { endSource } from "./end-source.js";
import { trainUnigram } from "./train-unigram.js";
import { trainWordPiece } from "./train-wordpiece.js";

test("a source ends in the end token, once", () => {
  const characters = trainCharacterTokenizer(["abc"]); // <|endoftext|> is 0
  const end = endSource(characters);
  expect(end(characters.encode("ab")).at(-1)).toBe(characters.specialTokens.eos);
  expect(end(end(characters.encode("ab")))).toHaveLength(3);
  const unigram = trainUnigram(["abc abd"], { vocabSize: 12 });
  expect(endSource(unigram)(unigram.encode("ab"))).toEqual(unigram.encode("ab"));
});

test("a tokenizer that frames its texts in another way is left to it", () => {
  const bert = trainWordPiece(["abc abd"], { vocabSize: 20 });
  expect(endSource(bert)(bert.encode("ab"))).toEqual(bert.encode("ab"));
  const none = trainCharacterTokenizer(["abc"], { specialTokens: {} });
  expect(endSource(none)(none.encode("ab"))).toEqual(none.encode("ab"));
});

test("a tokenizer is asked once how it frames texts", () => {
  const characters = trainCharacterTokenizer(["abc"]);
  const asked = vi.spyOn(characters, "encoding");
  const end = endSource(characters);
  for (const ids of [[1], [2], [3]]) end(ids);
  expect(asked).toHaveBeenCalledTimes(1);
});
