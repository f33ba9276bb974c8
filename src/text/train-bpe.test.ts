import { existsSync, readFileSync } from "node:fs";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteAlphabet, byteLevelPattern, toByteAlphabet } from "./byte-level.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";
import { type ByteLevelBpeOptions, trainByteLevelBpe } from "./train-bpe.js";

const parity = new URL("../../../shared/parity/tokenizers/", import.meta.url);

/** The algorithm as the paper has it: count all pairs of the whole corpus anew for every merge. */
function slowMerges(texts: readonly string[], merges: number, minFrequency: number): [string, string][] {
  const words = texts
    .flatMap((text) => text.match(byteLevelPattern()) ?? [])
    .map((word) => [...toByteAlphabet(Buffer.from(word))]);
  const ids = new Map([...byteAlphabet].sort().map((char, id) => [char, id]));
  const learnt: [string, string][] = [];
  while (learnt.length < merges) {
    const counts = new Map<string, { left: string; right: string; count: number }>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const [left, right] = [word[i]!, word[i + 1]!];
        const pair = counts.get(`${left} ${right}`) ?? { left, right, count: 0 };
        counts.set(`${left} ${right}`, { ...pair, count: pair.count + 1 });
      }
    }
    const [best] = [...counts.values()].sort(
      (a, b) => b.count - a.count || ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!,
    );
    if (best === undefined || best.count < minFrequency) break;
    const { left, right } = best;
    learnt.push([left, right]);
    ids.set(left + right, ids.get(left + right) ?? ids.size);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++)
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
    }
  }
  return learnt;
}

const mergesOf = (texts: readonly string[], options: ByteLevelBpeOptions) => {
  const { model } = trainByteLevelBpe(texts, options).json;
  return model.type === "BPE" ? model.merges : [];
};

describe("trainByteLevelBpe", () => {
  it.skipIf(!existsSync(parity))(
    "writes the very file Hugging Face's trainer wrote (skipped: shared/parity is not there)",
    () => {
      const corpus = readFileSync(new URL("corpus.txt", parity), "utf8");
      const lines = corpus.match(/[^\n]*\n|[^\n]+/g)!; // theirs reads a file line by line
      const { json } = trainByteLevelBpe(lines, { vocabSize: 1200 });
      expect(stringifyTokenizerJson(json)).toBe(readFileSync(new URL("byte-bpe/tokenizer.json", parity), "utf8"));
    },
  );

  it.skipIf(!existsSync(parity))(
    "writes Hugging Face's file for RoBERTa's tokens, but for the space a mask takes (skipped: shared/parity is not there)",
    () => {
      const corpus = readFileSync(new URL("corpus.txt", parity), "utf8");
      const lines = corpus.match(/[^\n]*\n|[^\n]+/g)!;
      const { json } = trainByteLevelBpe(lines, { vocabSize: 1200, specialTokens: "roberta" });
      const added_tokens = json.added_tokens.map((token) => ({ ...token, lstrip: false }));
      expect(stringifyTokenizerJson({ ...json, added_tokens })).toBe(
        readFileSync(new URL("roberta-bpe/tokenizer.json", parity), "utf8"),
      );
    },
  );

  it("frames texts as RoBERTa does, with a mask in place of a word", () => {
    const texts = ["the cat sat on the mat, the cat sat. ".repeat(4)];
    const tokenizer = trainByteLevelBpe(texts, { vocabSize: 290, specialTokens: "roberta", extraTokens: ["<x>"] });
    expect(tokenizer.specialTokens).toEqual({ bos: 0, pad: 1, eos: 2, unk: 3, mask: 4, cls: 0, sep: 2 });
    expect(tokenizer.idOf("<x>")).toBe(5);
    const tokens = (text: string) => tokenizer.encoding(text).tokens;
    expect(tokens("the <mask> sat")).toEqual(["<s>", "the", " <mask>", "Ġsat", "</s>"]);
    const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
    const theirs = new LibraryTokenizer(saved, tokenizer.config);
    for (const text of [...texts, "", "the cat</s> é", "a<x>"]) {
      for (const pair of [undefined, "on the mat"]) {
        const { ids } = tokenizer.encoding(text, pair === undefined ? {} : { pair });
        expect(theirs.encode(text, pair === undefined ? {} : { text_pair: pair }).ids).toEqual(ids);
        expect(theirs.decode(ids)).toBe(tokenizer.decode(ids));
      }
    }
  });

  it("learns what the plain algorithm learns", () => {
    const text = fc
      .array(fc.constantFrom(..."aaabbcd  é月\n'"), { minLength: 1, maxLength: 80 })
      .map((chars) => chars.join(""));
    fc.assert(
      fc.property(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (texts, minFrequency) => {
          const merges = mergesOf(texts, { vocabSize: 256 + 40, minFrequency, specialTokens: {} });
          expect(merges).toEqual(slowMerges(texts, 40, minFrequency));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("makes a tokenizer that gives text back, in our hands and in the library's", () => {
    const texts = ["the cat sat on the mat, the cat sat. ".repeat(4), "床前明月光，床前明月光。"];
    const tokenizer = trainByteLevelBpe(texts, {
      vocabSize: 280,
      specialTokens: { bos: "<s>", eos: "</s>", pad: "<pad>", additional: ["<x>"] },
    });
    expect(tokenizer.vocabSize).toBe(280);
    expect(tokenizer.specialTokens).toMatchObject({ bos: 0, eos: 1, pad: 2, unk: undefined });
    expect(tokenizer.config).toMatchObject({ eos_token: "</s>", additional_special_tokens: ["<x>"] });
    const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
    const [again, theirs] = [
      tokenizerFromJson(saved, tokenizer.config),
      new LibraryTokenizer(saved, { clean_up_tokenization_spaces: false }),
    ];
    for (const text of [...texts, "unseen 👩‍👩‍👧 </s>\n"]) {
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text);
      expect(again.encode(text)).toEqual(ids);
      expect(theirs.encode(text).ids).toEqual(ids);
    }
  });

  it("learns nothing from special tokens, nor across texts", () => {
    expect(mergesOf(["<|endoftext|>".repeat(50)].concat("ab"), { vocabSize: 300, minFrequency: 1 })).toEqual([
      ["a", "b"],
    ]);
    expect(mergesOf(["a", "b", "a", "b"], { vocabSize: 300, minFrequency: 1 })).toEqual([]);
  });

  it("can have any token that an object might stumble over", () => {
    const additional = ["__proto__", "constructor", "7"];
    const tokenizer = trainByteLevelBpe(["to 10 20 "], { vocabSize: 270, specialTokens: { additional } });
    const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
    expect(additional.map((token) => tokenizer.idOf(token))).toEqual([0, 1, 2]);
    expect(tokenizerFromJson(saved).encode("__proto__ 10constructor")).toEqual(
      tokenizer.encode("__proto__ 10constructor"),
    );
    expect(Object.entries(saved.model.vocab)).toHaveLength(tokenizer.vocabSize);
    expect(stringifyTokenizerJson(saved)).toBe(stringifyTokenizerJson(tokenizer.json));
  });

  it("reports its progress and gives the same result every time", () => {
    const seen: [number, number][] = [];
    const texts = ["the cat sat on the mat ".repeat(10)];
    const options = { vocabSize: 265, onProgress: (merges: number, of: number) => void seen.push([merges, of]) };
    expect(mergesOf(texts, options)).toEqual(mergesOf(texts, options));
    expect(seen.at(-1)).toEqual([8, 8]);
  });

  it("refuses corpora and sizes it cannot work with", () => {
    const code = (code: string) => expect.objectContaining({ name: "TesseraError", code });
    expect(() => trainByteLevelBpe([], { vocabSize: 300 })).toThrow(code("data"));
    expect(() => trainByteLevelBpe(["", "<|endoftext|>"], { vocabSize: 300 })).toThrow(code("data"));
    for (const vocabSize of [0, -1, 256, 1.5, Number.NaN]) {
      expect(() => trainByteLevelBpe(["a"], { vocabSize })).toThrow(code("argument"));
    }
    expect(() => trainByteLevelBpe(["a"], { vocabSize: 300, minFrequency: 0 })).toThrow(code("argument"));
    expect(() => trainByteLevelBpe(["a"], { vocabSize: 300, specialTokens: { eos: "" } })).toThrow(code("argument"));
  });

  it("takes ten megabytes and 8,192 merges in well under a minute", () => {
    let state = 1;
    const random = (n: number) => (state = (state * 48_271) % 2_147_483_647) % n;
    // Words as frequent as in a language: the r-th most frequent word one r-th as often as the first.
    const vocabulary = Array.from({ length: 60_000 }, () =>
      Array.from({ length: 2 + random(9) }, () => "etaoinshrdlucmfw"[random(16)]).join(""),
    );
    const text = Array.from(
      { length: 1_700_000 },
      () => vocabulary[Math.floor(vocabulary.length ** (random(1e6) / 1e6)) - 1],
    ).join(" ");
    expect(text.length).toBeGreaterThan(10e6);
    const start = performance.now();
    expect(trainByteLevelBpe([text], { vocabSize: 257 + 8192 }).vocabSize).toBe(257 + 8192);
    expect(performance.now() - start).toBeLessThan(40_000);
  });
});
