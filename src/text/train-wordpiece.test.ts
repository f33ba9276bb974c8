import { existsSync, readFileSync } from "node:fs";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { learnMerges } from "./learn-merges.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";
import { joinPieces, spelled, trainWordPiece, type WordPieceOptions } from "./train-wordpiece.js";
import { countWords } from "./word-counts.js";

const parity = new URL("../../../shared/parity/tokenizers/", import.meta.url);
const read = (path: string) => JSON.parse(readFileSync(new URL(path, parity), "utf8"));

const vocabOf = (texts: readonly string[], options: WordPieceOptions) => {
  const tokenizer = trainWordPiece(texts, options);
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenOf(id)!);
};

/** The algorithm as it is usually told: count all pairs of the whole corpus anew for every merge. */
function slowVocabulary(words: readonly string[], size: number, minFrequency: number): string[] {
  const characters = [...new Set(words.join(""))].sort();
  const inside = new Set(words.flatMap((word) => [...word].slice(1)));
  const tokens = [...characters, ...characters.filter((char) => inside.has(char)).map((char) => `##${char}`)];
  const split = words.map((word) => [...word].map((char, i) => tokens.indexOf(i === 0 ? char : `##${char}`)));
  while (tokens.length < size) {
    const counts = new Map<string, number>();
    for (const word of split) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts]
      .map(([pair, count]) => [...pair.split(" ").map(Number), count] as [number, number, number])
      .sort(([a, b, m], [c, d, n]) => n - m || a - c || b - d)[0];
    if (best === undefined || best[2] < minFrequency) break;
    const [left, right] = best;
    const product = tokens[left]! + tokens[right]!.slice(2);
    if (!tokens.includes(product)) tokens.push(product);
    for (const word of split) {
      for (let i = 0; i + 1 < word.length; i++)
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, tokens.indexOf(product));
    }
  }
  return tokens;
}

describe.skipIf(!existsSync(parity))("as Hugging Face's WordPieceTrainer (skipped: shared/parity is not there)", () => {
  const corpus = existsSync(parity) ? readFileSync(new URL("corpus.txt", parity), "utf8") : "";
  const lines = corpus.match(/[^\n]*\n|[^\n]+/g) ?? []; // theirs reads a file line by line

  it("learns the very tokens that theirs learnt", () => {
    const theirs = read("wordpiece/tokenizer.json");
    const byId = Object.entries<number>(theirs.model.vocab).sort(([, a], [, b]) => a - b);
    // It numbers the characters inside words as its hash table happens to list them; all else follows from that.
    const tokens = byId
      .map(([token]) => token)
      .filter((token, id) => id < 5 || [...token.replace(/^##/, "")].length === 1);
    const alphabet = new Set(tokens.slice(5).filter((token) => !token.startsWith("##")));
    const wordCounts = countWords(lines, theirs, "test");
    learnMerges({
      words: Array.from(wordCounts.keys(), (word) => spelled(word, alphabet).map((char) => tokens.indexOf(char))),
      counts: [...wordCounts.values()],
      tokens,
      vocabSize: byId.length,
      minFrequency: 2,
      join: joinPieces,
    });
    expect(tokens).toEqual(byId.map(([token]) => token));
    expect(vocabOf(lines, { vocabSize: byId.length }).sort()).toEqual([...tokens].sort());
  });

  it("tokenizes awkward strings as theirs does", () => {
    const tokenizer = trainWordPiece(lines, { vocabSize: 3600 });
    const golden = read("wordpiece/golden.json");
    expect(golden.length).toBeGreaterThan(0);
    for (const { text, tokens, type_ids, pair_type_ids, decoded } of golden) {
      const encoding = tokenizer.encoding(text);
      expect(encoding).toMatchObject({ tokens, typeIds: type_ids });
      expect(tokenizer.encoding(text, { pair: "second one" }).typeIds).toEqual(pair_type_ids);
      expect(tokenizer.decode(encoding.ids, { skipSpecialTokens: true })).toBe(decoded);
    }
  });

  it("takes a megabyte and 8,192 tokens in well under a minute", () => {
    const start = performance.now();
    expect(trainWordPiece([corpus], { vocabSize: 8192 }).vocabSize).toBe(8192);
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

describe("trainWordPiece", () => {
  it("learns what the plain algorithm learns", () => {
    const word = fc.array(fc.constantFrom(..."aabbc"), { minLength: 1, maxLength: 6 }).map((chars) => chars.join(""));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 3 }),
        (words, minFrequency) => {
          const size = 5 + 25;
          expect(vocabOf([words.join(" ")], { vocabSize: size, minFrequency }).slice(5)).toEqual(
            slowVocabulary(words, size - 5, minFrequency),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it("gives back lower-case words over its alphabet", () => {
    const letters = "abcdefghijklmnopqrstuvwxyz";
    const texts = ["the cat sat on the mat ".repeat(5), `${letters} ${[...letters].reverse().join("")}`];
    const tokenizer = trainWordPiece(texts, { vocabSize: 75 });
    const word = fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 12 }).map((chars) => chars.join(""));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.constantFrom(" ", "  ", "\n"), (words, space) => {
        const ids = tokenizer.encode(words.join(space));
        expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(words.join(" "));
      }),
    );
  });

  it("is saved as a tokenizer.json that others read", () => {
    const texts = ["The quick brown fox. Naïve café! ".repeat(3), "床前明月光，疑是地上霜。"];
    for (const lowercase of [true, false]) {
      const tokenizer = trainWordPiece(texts, {
        vocabSize: 120,
        lowercase,
        extraTokens: ["[NEW]"],
        modelMaxLength: 512,
      });
      const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
      const theirs = new LibraryTokenizer(saved, tokenizer.config);
      const again = tokenizerFromJson(saved, tokenizer.config);
      expect(again.specialTokens).toMatchObject({ pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 });
      for (const text of [...texts, "", "a [MASK] b", "[NEW]", "THE FOX 👩‍👩‍👧", "don't—stop", "é\u0000\tx"]) {
        for (const pair of [undefined, "brown 月 fox"]) {
          const { ids, typeIds } = tokenizer.encoding(text, pair === undefined ? {} : { pair });
          const other = theirs.encode(text, {
            ...(pair === undefined ? {} : { text_pair: pair }),
            return_token_type_ids: true,
          });
          expect([ids, typeIds]).toEqual([other.ids, other.token_type_ids]);
          expect(again.encoding(text, pair === undefined ? {} : { pair })).toEqual(
            tokenizer.encoding(text, pair === undefined ? {} : { pair }),
          );
          expect(tokenizer.decode(ids)).toBe(theirs.decode(ids));
        }
      }
    }
  });

  it("frames a pair, and says so in its configuration", () => {
    const tokenizer = trainWordPiece(["a b"], { vocabSize: 9, minFrequency: 1, lowercase: false, modelMaxLength: 128 });
    expect(tokenizer.encoding("a", { pair: "b" })).toEqual({
      ids: [2, 5, 3, 6, 3],
      typeIds: [0, 0, 0, 1, 1],
      tokens: ["[CLS]", "a", "[SEP]", "b", "[SEP]"],
    });
    expect(tokenizer.config).toMatchObject({
      tokenizer_class: "BertTokenizer",
      do_lower_case: false,
      model_max_length: 128,
      mask_token: "[MASK]",
    });
  });

  it("limits the alphabet to its most frequent characters", () => {
    const tokenizer = trainWordPiece(["aaab aab c"], { vocabSize: 20, limitAlphabet: 2 });
    expect(tokenizer.encoding("c aab", { addSpecialTokens: false }).tokens).toEqual(["[UNK]", "aa", "##b"]);
    expect(tokenizer.idOf("c")).toBeUndefined();
  });

  it("reports its progress and gives the same result every time", () => {
    const seen: [number, number][] = [];
    const texts = ["the cat sat on the mat ".repeat(10)];
    const options = { vocabSize: 24, onProgress: (learnt: number, of: number) => void seen.push([learnt, of]) };
    expect(vocabOf(texts, options)).toEqual(vocabOf(texts, options));
    expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
  });

  it("refuses corpora and sizes it cannot work with", () => {
    const code = (code: string) => expect.objectContaining({ name: "TesseraError", code });
    expect(() => trainWordPiece([], { vocabSize: 300 })).toThrow(code("data"));
    expect(() => trainWordPiece(["", " \n", "[MASK]"], { vocabSize: 300 })).toThrow(code("data"));
    expect(() => trainWordPiece(["ab"], { vocabSize: 7 })).toThrow(
      /vocabSize is too small, 7 for 5 special tokens, 2 characters and 1 of them inside words \(at least 8\)/,
    );
    expect(trainWordPiece(["ab"], { vocabSize: 8 }).vocabSize).toBe(8);
    for (const bad of [
      { vocabSize: 1.5 },
      { minFrequency: 0 },
      { limitAlphabet: 0 },
      { modelMaxLength: -1 },
      { extraTokens: [""] },
    ])
      expect(() => trainWordPiece(["a"], { vocabSize: 300, ...bad })).toThrow(code("argument"));
  });
});
