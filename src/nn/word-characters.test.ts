import { expect, test } from "vitest";
import { wordCharacters } from "./word-characters.js";

const [start, end, fill] = [259, 260, 261];

// As AllenNLP's ELMoCharacterMapper: one more than the byte, which leaves 0 for padding.
test.each([
  ["ab", [start, 98, 99, end, fill, fill]],
  ["", [start, end, fill, fill, fill, fill]],
  ["é", [start, 0xc3 + 1, 0xa9 + 1, end, fill, fill]],
  ["abcd", [start, 98, 99, 100, 101, end]],
  ["abcdefg", [start, 98, 99, 100, 101, end]],
])("the characters of %j", (word, expected) => {
  expect(wordCharacters(word, 6)).toEqual(expected);
});

test("fifty unless told otherwise", () => {
  expect(wordCharacters("the")).toHaveLength(50);
});
