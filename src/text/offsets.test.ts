import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenOffsets, tokenSpans } from "./offsets.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import { trainByteLevelBpe } from "./train-bpe.js";
import { trainUnigram } from "./train-unigram.js";
import { trainWordPiece } from "./train-wordpiece.js";

const corpus = [
  "the whale dived under the cafe in naive waters, and the whale rose.",
  "the captain saw the whale; the captain sang.",
  "where is the whale? in the water, said the captain.",
];
const wordPiece = trainWordPiece(corpus, { vocabSize: 90 });
const byteLevel = trainByteLevelBpe(corpus, { vocabSize: 300 });
const unigram = trainUnigram(corpus, { vocabSize: 60 });
const splits = {
  type: "Sequence",
  pretokenizers: [
    { type: "Whitespace" },
    { type: "Split", pattern: { String: "a" }, behavior: "Removed", invert: false },
  ],
};
const steps = {
  type: "Sequence",
  normalizers: [
    { type: "NFD" },
    { type: "StripAccents" },
    { type: "Lowercase" },
    { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
  ],
};
const bytes = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
const tokenizers = {
  "WordPiece, without case and accents": wordPiece,
  "byte-level BPE": byteLevel,
  "byte-level BPE that trims": tokenizerFromJson({ ...byteLevel.json, post_processor: bytes }),
  "byte-level BPE that sets a space in front": tokenizerFromJson({ ...byteLevel.json, pre_tokenizer: bytes }),
  Unigram: unigram,
  "WordPiece behind a chain of splits": tokenizerFromJson({
    ...wordPiece.json,
    normalizer: steps,
    pre_tokenizer: splits,
  }),
} as const;

const texts = ["The whale  dived, naïve!", "Cafe\u0301 海 ﬁn 😀 whale", " [MASK] <|endoftext|></s> the"];

/** `start-end:word` of each token, as Hugging Face's tokenizers 0.23 gives them for the same tokenizer.json, in UTF-16 units. */
const recorded: readonly (readonly [keyof typeof tokenizers, string, string, string])[] = [
  [
    "WordPiece, without case and accents",
    "0-3:0 4-9:1 11-12:2 12-13:2 13-15:2 15-16:2 16-17:3 18-19:4 19-21:4 21-23:4 23-24:5",
    "0-2:0 2-3:0 3-4:0 6-7:1 8-10:2 11-13:3 14-19:4",
    "1-7:0 8-9:1 9-10:2 10-19:3 19-20:4 20-21:5 21-22:6 22-23:7 23-24:8 24-25:9 26-29:10",
  ],
  [
    "byte-level BPE",
    "0-1:0 1-3:0 3-9:1 9-10:2 10-11:3 11-12:3 12-13:3 13-15:3 15-16:3 16-17:4 17-18:5 18-19:5 19-20:5 20-21:5 20-21:5 21-23:5 23-24:6",
    "0-1:0 1-2:0 2-3:0 3-4:0 4-5:1 4-5:1 5-6:2 6-7:2 6-7:2 6-7:2 7-8:3 8-9:3 8-9:3 8-9:3 9-10:3 10-11:4 11-13:4 11-13:4 11-13:4 11-13:4 13-19:5",
    "0-1:0 1-2:0 2-3:1 3-4:1 4-5:1 5-6:1 6-7:2 7-8:3 8-21:4 21-22:5 22-23:5 23-24:6 24-25:7 25-29:8",
  ],
  [
    "byte-level BPE that trims",
    "0-1:0 1-3:0 4-9:1 10-10:2 11-11:3 11-12:3 12-13:3 13-15:3 15-16:3 16-17:4 18-18:5 18-19:5 19-20:5 20-21:5 20-21:5 21-23:5 23-24:6",
    "0-1:0 1-2:0 2-3:0 3-4:0 4-5:1 4-5:1 6-6:2 6-7:2 6-7:2 6-7:2 8-8:3 8-9:3 8-9:3 8-9:3 9-10:3 11-11:4 11-13:4 11-13:4 11-13:4 11-13:4 14-19:5",
    "0-0:0 1-2:0 2-3:1 3-4:1 4-5:1 5-6:1 6-7:2 8-8:3 8-21:4 21-22:5 22-23:5 23-24:6 24-25:7 26-29:8",
  ],
  [
    "byte-level BPE that sets a space in front",
    "0-1:0 0-1:0 1-3:0 3-9:1 9-10:2 10-11:3 11-12:3 12-13:3 13-15:3 15-16:3 16-17:4 17-18:5 18-19:5 19-20:5 20-21:5 20-21:5 21-23:5 23-24:6",
    "0-1:0 0-1:0 1-2:0 2-3:0 3-4:0 4-5:1 4-5:1 5-6:2 6-7:2 6-7:2 6-7:2 7-8:3 8-9:3 8-9:3 8-9:3 9-10:3 10-11:4 11-13:4 11-13:4 11-13:4 11-13:4 13-19:5",
    "0-1:0 1-2:0 2-3:1 3-4:1 4-5:1 5-6:1 6-7:2 7-8:3 8-21:4 21-22:5 21-22:5 22-23:5 23-24:6 24-25:7 25-29:8",
  ],
  [
    "Unigram",
    "0-1:0 0-1:0 1-3:0 3-9:1 10-11:2 11-12:2 12-15:2 15-16:2 16-17:2 17-18:3 18-19:3 19-20:3 20-21:3 21-23:3 23-24:3",
    "0-1:0 0-1:0 1-2:0 2-3:0 3-4:0 5-6:1 6-7:1 7-8:2 8-9:2 8-10:2 10-11:3 11-13:3 13-19:4",
    "1-2:0 1-7:0 7-8:1 8-10:1 10-11:1 11-13:1 13-14:1 14-15:1 15-16:1 16-17:1 17-18:1 18-19:1 19-21:1 21-25:2 26-29:3",
  ],
  [
    "WordPiece behind a chain of splits",
    "0-3:0 4-6:1 7-8:2 8-9:2 11-12:3 12-13:3 13-15:3 15-16:3 16-17:4 18-19:5 20-21:6 21-23:6 23-24:7",
    "0-1:0 2-3:1 3-4:1 6-7:2 8-10:3 11-13:4 14-16:5 17-18:6 18-19:6",
    "1-7:0 8-10:1 10-19:2 19-23:3 23-24:4 24-25:5 26-29:6",
  ],
];

describe("tokenSpans", () => {
  it.each(recorded)("%s: as Hugging Face's tokenizers", (name, ...expected) => {
    const found = texts.map((text) =>
      tokenSpans(tokenizers[name], text)
        .map(({ start, end, word }) => `${start}-${end}:${word}`)
        .join(" "),
    );
    expect(found).toEqual(expected);
  });

  const strings = fc.string({
    unit: fc.constantFrom(..."aethwx é́ﬁ½①海😀Σİ각각 \t\n.,'[]".split(""), "[MASK]", "  ", "the whale"),
  });

  it.each(Object.entries(tokenizers))("%s: one span for each token, in order, within the text", (_, tokenizer) => {
    fc.assert(
      fc.property(strings, (text) => {
        const spans = tokenSpans(tokenizer, text);
        expect(spans.length).toBe(tokenizer.encode(text, { addSpecialTokens: false }).length);
        for (const [i, { start, end, word }] of spans.entries()) {
          expect(start).toBeLessThanOrEqual(end);
          expect(end).toBeLessThanOrEqual(text.length);
          if (i === 0) continue;
          expect(start).toBeGreaterThanOrEqual(spans[i - 1]!.start);
          expect(word - spans[i - 1]!.word).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("spans of byte-level tokens cover the text", () => {
    fc.assert(
      fc.property(strings, (text) => {
        let covered = 0;
        for (const [start, end] of tokenOffsets(byteLevel, text)) {
          expect(start).toBeLessThanOrEqual(covered);
          covered = Math.max(covered, end);
        }
        expect(covered).toBe(text.length);
      }),
      { numRuns: 60 },
    );
  });

  it("gives a token of bytes the character they are bytes of, and a fused unknown all its characters", () => {
    const model = {
      type: "BPE",
      vocab: { "<unk>": 0, a: 1, b: 2, ab: 3, "<0xE6>": 4, "<0xB5>": 5, "<0xB7>": 6 },
      merges: [["a", "b"]],
      unk_token: "<unk>",
    };
    const of = (more: object) => tokenizerFromJson({ model: { ...model, ...more } });
    expect(tokenOffsets(of({ byte_fallback: true }), "ab海b")).toEqual([
      [0, 2],
      [2, 3],
      [2, 3],
      [2, 3],
      [3, 4],
    ]);
    expect(tokenOffsets(of({ fuse_unk: true }), "ab海洋😀b")).toEqual([
      [0, 2],
      [2, 6],
      [6, 7],
    ]);
    expect(tokenOffsets(of({}), "ab海洋b")).toEqual([
      [0, 2],
      [2, 3],
      [3, 4],
      [4, 5],
    ]);
  });
});
