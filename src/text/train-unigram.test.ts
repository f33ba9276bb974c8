import { existsSync, readFileSync } from "node:fs";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import type { LoadedTokenizer } from "./tokenizer-from-json.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { stringifyTokenizerJson } from "./tokenizer-json.js";
import { trainUnigram } from "./train-unigram.js";

const parity = new URL("../../../shared/parity/tokenizers/", import.meta.url);
const verse = ["床前明月光，疑是地上霜。举头望明月，低头思故乡。", "明月出天山，苍茫云海间。长风几万里，吹度玉门关。"];
const texts = ["The cat sat on the mat; the cats sit on mats. ".repeat(6), ...verse];

const piecesOf = ({ json }: LoadedTokenizer) => {
  const special = new Set(json.added_tokens.map(({ content }) => content));
  return json.model.type === "Unigram" ? json.model.vocab.filter(([piece]) => !special.has(piece)) : [];
};

/** Ids and decodings of our tokenizer and of Hugging Face's library on its saved form. */
function agrees(tokenizer: LoadedTokenizer, strings: readonly string[]): void {
  const saved = JSON.parse(stringifyTokenizerJson(tokenizer.json));
  const theirs = new LibraryTokenizer(saved, tokenizer.config);
  const again = tokenizerFromJson(saved, tokenizer.config);
  for (const text of strings) {
    for (const options of [{}, { pair: "second one" }]) {
      const encoding = tokenizer.encoding(text, options);
      const { ids } = encoding;
      expect(theirs.encode(text, "pair" in options ? { text_pair: options.pair } : {}).ids).toEqual(ids);
      expect(again.encoding(text, options)).toEqual(encoding);
      expect(tokenizer.decode(ids)).toBe(theirs.decode(ids));
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(
        theirs.decode(ids, { skip_special_tokens: true }),
      );
    }
  }
}

describe.skipIf(!existsSync(parity))("on a real corpus (skipped: shared/parity is not there)", () => {
  const corpus = existsSync(parity) ? readFileSync(new URL("corpus.txt", parity), "utf8") : "";
  const read = (path: string) => JSON.parse(readFileSync(new URL(path, parity), "utf8"));

  it("needs no more tokens than the vocabulary of Hugging Face's trainer, and encodes awkward strings as others do", () => {
    const theirs = tokenizerFromJson(read("unigram/tokenizer.json"));
    const ours = trainUnigram([corpus], { vocabSize: theirs.vocabSize });
    expect(ours.vocabSize).toBe(theirs.vocabSize);
    const lines = corpus.split("\n").filter((_, i) => i % 4 === 0);
    const total = (tokenizer: LoadedTokenizer) =>
      lines.reduce((sum, line) => sum + tokenizer.encode(line, { addSpecialTokens: false }).length, 0);
    expect(total(ours)).toBeLessThanOrEqual(total(theirs));
    agrees(
      ours,
      read("unigram/golden.json").map(({ text }: { text: string }) => text),
    );
  });

  it("takes a megabyte and 8,192 tokens in well under a minute", () => {
    const start = performance.now();
    expect(trainUnigram([corpus], { vocabSize: 8192 }).vocabSize).toBe(8192);
    expect(performance.now() - start).toBeLessThan(30_000);
  });
});

describe("trainUnigram", () => {
  it("gives every character a piece, and probabilities that sum to one", () => {
    const tokenizer = trainUnigram(texts, { vocabSize: 100 });
    for (const char of new Set(texts.join("").replaceAll(" ", "▁").normalize("NFKC")))
      expect(tokenizer.idOf(char)).toBeDefined();
    const scores = piecesOf(tokenizer).map(([, score]) => score);
    expect(scores.reduce((sum, score) => sum + Math.exp(score), 0)).toBeCloseTo(1, 9);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.every(Number.isFinite)).toBe(true);
  });

  it("finds the words of a text that has little else", () => {
    const tokenizer = trainUnigram(["cat mat sat hat ".repeat(50)], { vocabSize: 16 });
    expect(
      piecesOf(tokenizer)
        .slice(0, 4)
        .map(([piece]) => piece)
        .sort(),
    ).toEqual(["▁cat", "▁hat", "▁mat", "▁sat"]);
    expect(tokenizer.encoding("hat cat").tokens).toEqual(["▁hat", "▁cat", "</s>"]);
  });

  it("knows whole words whose beginnings no other word has", () => {
    expect(trainUnigram(["unto shall"], { vocabSize: 40 }).idOf("▁unto")).toBeUndefined(); // once is not frequent
    expect(trainUnigram(["unto shall unto"], { vocabSize: 40 }).idOf("▁unto")).toBeDefined();
  });

  it("is saved as a tokenizer.json that others read, sentinels and all", () => {
    const tokenizer = trainUnigram(texts, { vocabSize: 85, sentinels: 3, extraTokens: ["<x>"] });
    expect(tokenizer.specialTokens).toMatchObject({ pad: 0, eos: 1, unk: 2 });
    expect([0, 1, 2].map((i) => tokenizer.idOf(`<extra_id_${i}>`))).toEqual([84, 83, 82]);
    expect(tokenizer.idOf("<x>")).toBe(3);
    expect(tokenizer.encoding("The <extra_id_0> sat").tokens).toEqual([
      ...tokenizer.encoding("The", { addSpecialTokens: false }).tokens,
      "<extra_id_0>",
      ...tokenizer.encoding("sat").tokens,
    ]);
    agrees(tokenizer, [
      ...texts,
      "",
      "  ",
      "<extra_id_1> cat<extra_id_0>",
      "</s> x <x>",
      "ＭＡＴ　ﬁ\u0085\ufeff\tcat",
      "👩‍👩‍👧 山",
      "▁cat",
    ]);
  });

  it("brings white space to single spaces, and gives such text back", () => {
    const tokenizer = trainUnigram(texts, { vocabSize: 100 });
    const ids = tokenizer.encode(" the \n\tcat\u3000sat ");
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("the cat sat");
  });

  it("stands a token for itself even where compatibility characters spell it", () => {
    const tokenizer = trainUnigram([" ＜x＞".repeat(9), "a＜x＞ b＜x＞"], { vocabSize: 40, extraTokens: ["<x>"] });
    expect(tokenizer.idOf("<x>")).toBe(3);
    expect(new Set(piecesOf(tokenizer).map(([piece]) => piece)).size).toBe(piecesOf(tokenizer).length);
  });

  it("keeps pieces as short as it is told to", () => {
    const tokenizer = trainUnigram(texts, { vocabSize: 120, maxPieceLength: 3 });
    expect(Math.max(...piecesOf(tokenizer).map(([piece]) => [...piece].length))).toBe(3);
  });

  it("reports its progress and gives the same result every time", () => {
    const seen: [number, number][] = [];
    const texts = [Array.from({ length: 2000 }, (_, i) => ((i * 7919) % 46_656).toString(36)).join(" ")];
    const onProgress = (pruned: number, of: number) => void seen.push([pruned, of]);
    const first = trainUnigram(texts, { vocabSize: 100, onProgress });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
    expect(stringifyTokenizerJson(trainUnigram(texts, { vocabSize: 100 }).json)).toBe(
      stringifyTokenizerJson(first.json),
    );
  });

  it("refuses corpora and sizes it cannot work with", () => {
    const code = (code: string) => expect.objectContaining({ name: "TesseraError", code });
    expect(() => trainUnigram([], { vocabSize: 300 })).toThrow(code("data"));
    expect(() => trainUnigram([" \n", "</s>"], { vocabSize: 300 })).toThrow(code("data"));
    expect(() => trainUnigram(["ab"], { vocabSize: 6, sentinels: 2 })).toThrow(
      /vocabSize is too small, 6 for 5 special tokens and 3 characters \(at least 8\)/,
    );
    expect(trainUnigram(["ab"], { vocabSize: 8, sentinels: 2 }).vocabSize).toBe(8);
    for (const bad of [{ vocabSize: Number.NaN }, { sentinels: -1 }, { maxPieceLength: 0 }, { extraTokens: [""] }])
      expect(() => trainUnigram(["a"], { vocabSize: 300, ...bad })).toThrow(code("argument"));
  });
});
