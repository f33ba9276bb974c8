import { existsSync, readFileSync } from "node:fs";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenizerAnswers } from "../../test/support/tokenizer-answers.js";
import type { Tokenizer } from "./tokenizer.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";
import type { TokenizerJson } from "./tokenizer-json.js";
import { trainByteLevelBpe } from "./train-bpe.js";

const parity = new URL("../../../shared/parity/tokenizers/", import.meta.url);
const sets = ["byte-bpe", "roberta-bpe", "llama-bpe", "wordpiece", "unigram"];

interface Golden {
  readonly text: string;
  readonly ids: number[];
  readonly tokens: string[];
  readonly type_ids: number[];
  readonly no_special: number[];
  readonly pair_ids: number[];
  readonly pair_type_ids: number[];
  readonly decoded: string;
  readonly decoded_with_special: string;
}

const read = (path: string) => JSON.parse(readFileSync(new URL(path, parity), "utf8"));

describe.skipIf(!existsSync(parity))(
  "answers of Hugging Face's tokenizers (skipped: shared/parity is not there)",
  () => {
    it.each(sets)("%s", (set) => {
      const tokenizer = tokenizerFromJson(read(`${set}/tokenizer.json`));
      const golden: Golden[] = read(`${set}/golden.json`);
      expect(golden.length).toBeGreaterThan(0);
      for (const { text, ...expected } of golden) {
        expect(tokenizerAnswers(tokenizer, text, expected.ids)).toEqual(expected);
        expect(tokenizer.encode(text)).toEqual(expected.ids);
      }
    });

    it.each(sets)("%s: a stream of any ids gives what decoding them gives", (set) => {
      const tokenizer = tokenizerFromJson(read(`${set}/tokenizer.json`));
      const id = fc.oneof(fc.nat(tokenizer.vocabSize + 2), fc.nat(260)); // the first few hundred are mostly bytes
      fc.assert(
        fc.property(fc.array(id), fc.boolean(), (ids, skipSpecialTokens) => {
          expect(streamed(tokenizer, ids, { skipSpecialTokens })).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
        }),
        { numRuns: 300 },
      );
    });

    it.each(sets)("%s: a stream after other ids goes on where their text ends", (set) => {
      const tokenizer = tokenizerFromJson(read(`${set}/tokenizer.json`));
      const golden: Golden[] = read(`${set}/golden.json`);
      for (const { ids } of golden) {
        for (let cut = 0; cut <= ids.length; cut++) {
          const before = tokenizer.decode(ids.slice(0, cut));
          const whole = tokenizer.decode(ids);
          if (!whole.startsWith(before)) continue; // cut inside a character
          expect(before + streamed(tokenizer, ids.slice(cut), { after: ids.slice(0, cut) })).toBe(whole);
        }
      }
    });

    it("byte-bpe: text of any kind comes back", () => {
      const tokenizer = tokenizerFromJson(read("byte-bpe/tokenizer.json"));
      fc.assert(
        fc.property(anyText, (text) => roundTrips(tokenizer, text)),
        { numRuns: 500 },
      );
      roundTrips(tokenizer, readFileSync(new URL("corpus.txt", parity), "utf8"));
    });

    it("byte-bpe: the library's own byte-pair encoding agrees", () => {
      const json = read("byte-bpe/tokenizer.json");
      const [ours, theirs] = [
        tokenizerFromJson(json),
        new LibraryTokenizer(json, {}) as { encode(text: string): { ids: number[] } },
      ];
      // Its white space is JavaScript's rather than Unicode's, and it keeps lone surrogates to the last.
      const text = anyText.map((s) => s.replace(/[\u0085\ufeff\p{Cs}]/gu, ""));
      fc.assert(
        fc.property(text, (s) => {
          expect(ours.encode(s)).toEqual(theirs.encode(s).ids);
        }),
        { numRuns: 500 },
      );
    });
  },
);

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.array(fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit))).map((units) => units.join("")),
  fc
    .array(
      fc.constantFrom(..."床前明月光👩‍👩‍👧🇨🇳é\u0301\u0000\u0007\u0085\ufeff\u200d \n\r\t'sllAa1９．𝕄<|endoftext|>"),
    )
    .map((parts) => parts.join("")),
);

const sample =
  "In the beginning God created the heaven and the earth. 床前明月光，疑是地上霜。 Naïve café 👩‍👩‍👧! ".repeat(3);
const trained = trainByteLevelBpe([sample], { vocabSize: 300 });

function streamed(
  tokenizer: Tokenizer,
  ids: readonly number[],
  options: Parameters<Tokenizer["stream"]>[0] = {},
): string {
  const stream = tokenizer.stream(options);
  return ids.map((id) => stream.push(id)).join("") + stream.flush();
}

function roundTrips(tokenizer: Tokenizer, text: string): void {
  const ids = tokenizer.encode(text);
  // A lone surrogate has no UTF-8; everywhere else it becomes U+FFFD too.
  expect(tokenizer.decode(ids)).toBe(Buffer.from(text, "utf8").toString("utf8"));
}

/** A tokenizer.json around a few parts; the vocabulary is the byte-level one trained above. */
function withParts(parts: Partial<TokenizerJson>): Tokenizer {
  return tokenizerFromJson({ ...trained.json, ...parts });
}

describe("a byte-level tokenizer", () => {
  it("gives back text of any kind, at once and token by token", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        roundTrips(trained, text);
        const ids = trained.encode(text);
        expect(streamed(trained, ids)).toBe(trained.decode(ids));
      }),
      { numRuns: 500 },
    );
  });

  it("encodes very long words, and texts with more words than it remembers", () => {
    roundTrips(trained, "th".repeat(50_000));
    roundTrips(trained, Array.from({ length: 140_000 }, (_, i) => i.toString(36)).join(" "));
  });

  it("finds special tokens in the text, and leaves them out on request", () => {
    const ids = trained.encode("God<|endoftext|> earth");
    expect(ids).toContain(trained.specialTokens.eos);
    expect(trained.decode(ids)).toBe("God<|endoftext|> earth");
    expect(trained.decode(ids, { skipSpecialTokens: true })).toBe("God earth");
    expect([...trained.specialIds]).toEqual([trained.idOf("<|endoftext|>")]);
    expect(trained.tokenOf(trained.specialTokens.eos!)).toBe("<|endoftext|>");
  });

  it("passes over ids that have no token", () => {
    expect(trained.decode([...trained.encode("God"), 99_999, -1, 0.5])).toBe("God");
    expect(trained.idOf("no such token")).toBeUndefined();
    expect(trained.tokenOf(99_999)).toBeUndefined();
  });

  it("holds a character until its last byte is there, and no longer", () => {
    const bytes = withParts({ model: { ...trained.json.model, merges: [] } as TokenizerJson["model"] });
    for (const text of ["é", "月", "👩", "a月b"]) {
      const stream = bytes.stream();
      const pushes = bytes.encode(text).map((id) => stream.push(id));
      const expected = [...text].flatMap((char) => [...Array(Buffer.byteLength(char) - 1).fill(""), char]);
      expect(pushes).toEqual(expected);
      expect(stream.flush()).toBe("");
    }
  });

  it("shows a character that is never finished as U+FFFD at the end", () => {
    const bytes = withParts({ model: { ...trained.json.model, merges: [] } as TokenizerJson["model"] });
    const stream = bytes.stream();
    expect(
      bytes
        .encode("月")
        .slice(0, 2)
        .map((id) => stream.push(id)),
    ).toEqual(["", ""]);
    expect(stream.flush()).toBe("\ufffd");
  });

  it("decodes a stream in time linear in its length", () => {
    const secondsPerToken = (words: number) => {
      const ids = trained.encode("heaven and earth ".repeat(words));
      const stream = trained.stream();
      const start = performance.now();
      for (const id of ids) stream.push(id);
      return (performance.now() - start) / ids.length;
    };
    secondsPerToken(1_000); // warms up
    // Decoding everything again for each token would make this ratio 100.
    expect(secondsPerToken(30_000) / secondsPerToken(300)).toBeLessThan(20);
  });
});

describe("decoders", () => {
  const model = {
    type: "WordLevel",
    unk_token: "a",
    vocab: {
      a: 0,
      b: 1,
      "##c": 2,
      ",": 3,
      "▁d": 4,
      "▁▁": 5,
      "<0xE6>": 6,
      "<0x9C>": 7,
      "<0x88>": 8,
      "e</w>": 9,
      " ": 10,
    },
  } as const;
  const decodes = (decoder: TokenizerJson["decoder"], tokens: readonly string[]) => {
    const tokenizer = tokenizerFromJson({ ...trained.json, added_tokens: [], post_processor: null, model, decoder });
    const ids = tokens.map((token) => tokenizer.idOf(token)!);
    expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
    return tokenizer.decode(ids);
  };

  it("answer as Hugging Face's do", () => {
    expect(decodes(null, ["a", "b"])).toBe("a b");
    expect(decodes({ type: "Fuse" }, ["a", "b"])).toBe("ab");
    expect(decodes({ type: "WordPiece", prefix: "##", cleanup: true }, ["a", "##c", ",", "b"])).toBe("ac, b");
    expect(decodes({ type: "WordPiece", prefix: "##", cleanup: false }, ["a", ",", "##c"])).toBe("a ,c");
    expect(
      decodes({ type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true }, ["▁d", "▁d", "b"]),
    ).toBe("d db");
    expect(decodes({ type: "Metaspace", replacement: "▁", prepend_scheme: "never", split: true }, ["▁d", "▁d"])).toBe(
      " d d",
    );
    expect(decodes({ type: "BPEDecoder", suffix: "</w>" }, ["b", "e</w>", "a", "e</w>"])).toBe("be ae");
    expect(
      decodes({ type: "CTC", pad_token: "a", word_delimiter_token: "b", cleanup: true }, [
        ",",
        ",",
        "a",
        ",",
        "b",
        "▁d",
      ]),
    ).toBe(",, ▁d");
    expect(decodes({ type: "ByteFallback" }, ["a", "<0xE6>", "<0x9C>", "<0x88>", "b"])).toBe("a月b");
    expect(decodes({ type: "ByteFallback" }, ["a", "<0xE6>", "<0x9C>", "b"])).toBe("a\ufffd\ufffdb");
    expect(decodes({ type: "Strip", content: "b", start: 1, stop: 0 }, ["b", "b", "a"])).toBe("a");
    const llama = {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    };
    expect(decodes(llama, ["▁▁", "▁d", "<0xE6>", "<0x9C>", "<0x88>"])).toBe("  d月");
    const stripEnds = {
      type: "Sequence",
      decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 0, stop: 2 }],
    };
    expect(decodes(stripEnds, ["a", " ", "b", " ", " ", " "])).toBe("a b ");
  });

  it("keep the space between a prompt and what follows it", () => {
    const decoder = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
    const tokenizer = tokenizerFromJson({ ...trained.json, added_tokens: [], post_processor: null, model, decoder });
    expect(streamed(tokenizer, [4])).toBe("d");
    expect(streamed(tokenizer, [4], { after: [4] })).toBe(" d");
  });
});

describe("parts of a tokenizer", () => {
  const words = (
    pre_tokenizer: TokenizerJson["pre_tokenizer"],
    text: string,
    normalizer: TokenizerJson["normalizer"] = null,
  ) => {
    // A model that knows no word shows each as one unknown piece.
    const model = { type: "Unigram", unk_id: 0, vocab: [["\u0001", 0]], byte_fallback: false } as const;
    return tokenizerFromJson({
      ...trained.json,
      added_tokens: [],
      normalizer,
      pre_tokenizer,
      post_processor: null,
      model,
    }).encoding(text).tokens;
  };

  // What Hugging Face's tokenizers 0.23 answers.
  it("cut text into words", () => {
    expect(words({ type: "Whitespace" }, "Hé, 世界\u00a0a_b")).toEqual(["Hé", ",", "世界", "a_b"]);
    expect(words({ type: "WhitespaceSplit" }, " Hé,\u0085b\ufeffc ")).toEqual(["Hé,", "b\ufeffc"]);
    expect(words({ type: "BertPreTokenizer" }, "don't $5—no")).toEqual(["don", "'", "t", "$", "5", "—", "no"]);
    expect(words({ type: "Punctuation", behavior: "Contiguous" }, "a..b!")).toEqual(["a", "..", "b", "!"]);
    expect(words({ type: "Digits", individual_digits: true }, "a12")).toEqual(["a", "1", "2"]);
    expect(words({ type: "Digits", individual_digits: false }, "a12")).toEqual(["a", "12"]);
    expect(words({ type: "CharDelimiterSplit", delimiter: "-" }, "a-b--c")).toEqual(["a", "b", "c"]);
    expect(words({ type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true }, "a  b")).toEqual([
      "▁a",
      "▁",
      "▁b",
    ]);
    expect(words({ type: "Metaspace", replacement: "▁", prepend_scheme: "never", split: false }, "a b")).toEqual([
      "a▁b",
    ]);
    expect(words({ type: "ByteLevel", add_prefix_space: true, use_regex: true }, "I'm 12\n ok")).toEqual([
      "ĠI",
      "'m",
      "Ġ12",
      "Ċ",
      "Ġok",
    ]);
    const split = (behavior: string, invert = false) =>
      words({ type: "Split", pattern: { String: "-" }, behavior, invert }, "-a--b");
    expect(split("Isolated")).toEqual(["-", "a", "-", "-", "b"]);
    expect(split("Removed")).toEqual(["a", "b"]);
    expect(split("Removed", true)).toEqual(["-", "-", "-"]);
    expect(split("Contiguous")).toEqual(["-", "a", "--", "b"]);
    expect(split("MergedWithPrevious")).toEqual(["-", "a-", "-", "b"]);
    expect(split("MergedWithNext")).toEqual(["-a", "-", "-b"]);
    const gpt4 = {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: {
            Regex: "(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+",
          },
          behavior: "Isolated",
        },
        { type: "ByteLevel", add_prefix_space: false, use_regex: false },
      ],
    };
    expect(words(gpt4, "It'S 1234 ok")).toEqual(["It", "'S", "Ġ", "123", "4", "Ġok"]);
  });

  it("normalize text", () => {
    const normalized = (normalizer: TokenizerJson["normalizer"], text: string) =>
      words(null, text, normalizer).join("");
    expect(normalized({ type: "NFKC" }, "ﬁＦ")).toBe("fiF");
    expect(normalized({ type: "Lowercase" }, "ΑΣ İ")).toBe("ασ i̇");
    expect(normalized({ type: "Strip", strip_left: true, strip_right: true }, " \u0085a b ")).toBe("a b");
    expect(normalized({ type: "StripAccents" }, "e\u0301")).toBe("e");
    expect(normalized({ type: "Replace", pattern: { Regex: " {2,}" }, content: "$&" }, "a   b")).toBe("a$&b");
    expect(normalized({ type: "Prepend", prepend: "▁" }, "a")).toBe("▁a");
    expect(normalized({ type: "Nmt" }, "a\u200bb\u0008c")).toBe("a bc");
    expect(normalized({ type: "ByteLevel" }, "é ")).toBe("Ã©Ġ");
    expect(
      normalized(
        { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
        "É\u0000\t月",
      ),
    ).toBe("e  月 ");
    expect(normalized({ type: "Sequence", normalizers: [{ type: "NFD" }, { type: "StripAccents" }] }, "é")).toBe("e");
  });

  it("find added tokens by their rules", () => {
    const token = {
      id: 400,
      content: "tok",
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: false,
    };
    const sections = (flags: object, text: string) => {
      const model = { type: "Unigram", unk_id: 0, vocab: [["\u0001", 0]], byte_fallback: false } as const;
      const json = {
        ...trained.json,
        added_tokens: [{ ...token, ...flags }],
        normalizer: { type: "Lowercase" },
        pre_tokenizer: null,
        post_processor: null,
        model,
      };
      return tokenizerFromJson(json).encoding(text).tokens;
    };
    expect(sections({}, "a tokb TOK")).toEqual(["a ", "tok", "b tok"]);
    expect(sections({ single_word: true }, "a tokb tok")).toEqual(["a tokb ", "tok"]);
    expect(sections({ lstrip: true, rstrip: true }, "a  tok  b")).toEqual(["a", "  tok  ", "b"]);
    expect(sections({ normalized: true }, "a TOK")).toEqual(["a ", "tok"]);
  });
});
