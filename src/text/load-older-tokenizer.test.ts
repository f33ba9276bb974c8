import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { tokenizerAnswers } from "../../test/support/tokenizer-answers.js";
import { loadTokenizer, saveTokenizer } from "./load-tokenizer.js";
import type { LoadedTokenizer } from "./tokenizer-from-json.js";

const folder = mkdtempSync(join(tmpdir(), "tessera-older-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
/** A new directory with these files; what is no text or bytes becomes JSON. */
function directoryOf(files: Readonly<Record<string, unknown>>): string {
  const directory = join(folder, String(count++));
  mkdirSync(directory);
  for (const [name, content] of Object.entries(files)) {
    const raw = typeof content === "string" || content instanceof Uint8Array;
    writeFileSync(join(directory, name), raw ? content : JSON.stringify(content));
  }
  return directory;
}
const failure = async (directory: string) => {
  const error = await loadTokenizer(directory).then(
    () => expect.fail("it was accepted"),
    (error: Error & { code: string }) => error,
  );
  expect(error.name).toBe("TesseraError");
  expect(error.message).not.toMatch(/\p{Cc}/u);
  expect(error.message).toContain(directory);
  return { code: error.code, message: error.message.replace(directory, "DIR") };
};

const parity = new URL("../../../shared/parity/tokenizers/", import.meta.url);
const read = (path: string) => JSON.parse(readFileSync(new URL(path, parity), "utf8"));
const skipped = "(skipped: shared/parity is not there)";

/** Holds a tokenizer against what Hugging Face's tokenizers answered, and again as it comes back from a tokenizer.json. */
async function expectGolden(directory: string, set: string): Promise<void> {
  const loaded = await loadTokenizer(directory);
  const saved = directoryOf({});
  await saveTokenizer(saved, loaded);
  const again = await loadTokenizer(saved);
  expect(again.json).toEqual(loaded.json);
  expect(again.specialTokens).toEqual(loaded.specialTokens);
  const golden = read(`${set}/golden.json`);
  expect(golden.length).toBeGreaterThan(20);
  for (const tokenizer of [loaded, again])
    for (const { text, ...expected } of golden)
      expect(tokenizerAnswers(tokenizer, text, expected.ids)).toEqual(expected);
}

const mergesTxt = (merges: readonly (readonly string[])[]) =>
  `#version: 0.2\n${merges.map((pair) => `${pair.join(" ")}\n`).join("")}`;

describe("vocab.json and merges.txt", () => {
  const bytes = (set: string) => {
    const { model } = read(`${set}/tokenizer.json`);
    return { "vocab.json": model.vocab, "merges.txt": mergesTxt(model.merges) };
  };

  it.skipIf(!existsSync(parity))(`answer as GPT-2's tokenizer ${skipped}`, async () => {
    await expectGolden(directoryOf({ ...bytes("byte-bpe"), "config.json": { model_type: "gpt2" } }), "byte-bpe");
    await expectGolden(
      directoryOf({ ...bytes("byte-bpe"), "tokenizer_config.json": { tokenizer_class: "GPT2TokenizerFast" } }),
      "byte-bpe",
    );
  });

  it.skipIf(!existsSync(parity))(`answer as RoBERTa's tokenizer ${skipped}`, async () => {
    // The recorded one has a <mask> that leaves the space before it alone; only an object can say so.
    const map = { "special_tokens_map.json": { mask_token: { content: "<mask>", lstrip: false } } };
    for (const model_type of ["roberta", "bart"])
      await expectGolden(
        directoryOf({ ...bytes("roberta-bpe"), ...map, "config.json": { model_type } }),
        "roberta-bpe",
      );
  });

  const vocab = { "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, a: 4, b: 5, Ġ: 6, Ġa: 7, ab: 8, "<mask>": 9 };
  const merges = "#version: 0.2\nĠ a\na b\n";
  const small = { "vocab.json": vocab, "merges.txt": merges };

  it("of OPT have </s> in front, and special tokens in objects", async () => {
    const token = (content: string) => ({ __type: "AddedToken", content, lstrip: false, normalized: true });
    const tokenizer = await loadTokenizer(
      directoryOf({
        ...small,
        "config.json": { model_type: "opt" },
        "tokenizer_config.json": {
          errors: "replace",
          unk_token: token("</s>"),
          bos_token: token("</s>"),
          eos_token: token("</s>"),
          pad_token: token("<pad>"),
          add_prefix_space: false,
          add_bos_token: true,
          tokenizer_class: "GPT2Tokenizer",
        },
        "special_tokens_map.json": { bos_token: token("</s>"), pad_token: token("<pad>") },
      }),
    );
    expect(tokenizer.encode("ab a</s>")).toEqual([2, 8, 7, 2]);
    expect(tokenizer.encode("ab", { addSpecialTokens: false })).toEqual([8]);
    expect(tokenizer.specialTokens).toMatchObject({ bos: 2, eos: 2, unk: 2, pad: 1, cls: undefined });
    expect(tokenizer.decode([2, 8, 7], { skipSpecialTokens: true })).toBe("ab a");
    expect([...tokenizer.specialIds].sort()).toEqual([1, 2]);
  });

  it("of RoBERTa and BART have the frame of a pair, and a <mask> that takes the space before it", async () => {
    const tokenizer = await loadTokenizer(
      directoryOf({ ...small, "tokenizer_config.json": { tokenizer_class: "BartTokenizer", mask_token: "<mask>" } }),
    );
    expect(tokenizer.encode("a <mask>b")).toEqual([0, 4, 9, 5, 2]);
    expect(tokenizer.encoding("a", { pair: "b" }).ids).toEqual([0, 4, 2, 2, 5, 2]);
    expect(tokenizer.specialTokens).toEqual({ bos: 0, eos: 2, unk: 3, sep: 2, pad: 1, cls: 0, mask: 9 });
  });

  it("get a space in front where the configuration says so", async () => {
    const load = (add_prefix_space: boolean) =>
      loadTokenizer(
        directoryOf({ ...small, "tokenizer_config.json": { tokenizer_class: "RobertaTokenizer", add_prefix_space } }),
      );
    expect((await load(true)).encode("ab")).toEqual([0, 7, 5, 2]);
    expect((await load(false)).encode("ab")).toEqual([0, 8, 2]);
  });

  it("number added tokens as added_tokens.json says, and others behind all", async () => {
    const { json, encode, specialTokens, specialIds } = await loadTokenizer(
      directoryOf({
        ...small,
        "config.json": { model_type: "gpt_neo" },
        "added_tokens.json": { "<x>": 12, "<|endoftext|>": 10 },
        "special_tokens_map.json": { pad_token: "[PAD]", additional_special_tokens: ["<y>", "<x>"] },
      }),
    );
    expect(encode("a<x><y>[PAD]<|endoftext|>")).toEqual([4, 12, 14, 13, 10]);
    expect(specialTokens).toMatchObject({ bos: 10, eos: 10, unk: 10, pad: 13 });
    expect([...specialIds].sort((a, b) => a - b)).toEqual([10, 12, 13, 14]);
    expect(json.added_tokens.map(({ id }) => id)).toEqual([10, 12, 13, 14]);
  });

  it("take added_tokens_decoder as it is", async () => {
    const { encode, specialIds } = await loadTokenizer(
      directoryOf({
        ...small,
        "tokenizer_config.json": {
          tokenizer_class: "RobertaTokenizer",
          added_tokens_decoder: { 9: { content: "<mask>", lstrip: false, special: true }, 10: { content: "<new>" } },
        },
      }),
    );
    expect(encode("a <mask><new>", { addSpecialTokens: false })).toEqual([4, 6, 9, 10]);
    expect(specialIds.has(9)).toBe(true);
    expect(specialIds.has(10)).toBe(false);
  });

  it("may come from Windows, and without a version", async () => {
    const config = { "config.json": { model_type: "gpt2" } };
    for (const text of ["#version: 0.2\r\nĠ a\r\na b\r\n", "Ġ a\na b"])
      expect((await loadTokenizer(directoryOf({ ...small, ...config, "merges.txt": text }))).encode("ab a")).toEqual([
        8, 7,
      ]);
  });

  const gpt2 = { "config.json": { model_type: "gpt2" } };
  it.each<[string, Record<string, unknown>, string, string]>([
    [
      "vocab.json alone",
      { "vocab.json": vocab, ...gpt2 },
      "io",
      "DIR/merges.txt: not there, and neither is a tokenizer.json (GPT2Tokenizer is kept as vocab.json and merges.txt)",
    ],
    [
      "a line with one token",
      { ...small, ...gpt2, "merges.txt": "#version: 0.2\nĠ a\nab\n" },
      "tokenizer",
      'DIR/merges.txt: line 3: expected two tokens with a space between, got "ab"',
    ],
    [
      "an empty line",
      { ...small, ...gpt2, "merges.txt": "Ġ a\n\na b" },
      "tokenizer",
      'DIR/merges.txt: line 2: expected two tokens with a space between, got ""',
    ],
    [
      "a merge without a result",
      { ...small, ...gpt2, "merges.txt": "Ġ a\nb a" },
      "tokenizer",
      'DIR/merges.txt: line 2: "ba" is not in the vocabulary beside it',
    ],
    [
      "bytes for merges",
      { ...small, ...gpt2, "merges.txt": Uint8Array.of(0xff, 0xfe) },
      "tokenizer",
      "DIR/merges.txt: not a text in UTF-8 (2 bytes)",
    ],
    [
      "an id that is none",
      { ...small, ...gpt2, "vocab.json": { ...vocab, a: "4" } },
      "tokenizer",
      'DIR/vocab.json: "a": expected an id, got "4"',
    ],
    [
      "two tokens with one id",
      { ...small, ...gpt2, "vocab.json": { ...vocab, a: 5 } },
      "tokenizer",
      'DIR/vocab.json: model.vocab: "a" and "b" have the same id, 5',
    ],
    [
      "a flag that is none",
      { ...small, ...gpt2, "tokenizer_config.json": { add_bos_token: 1 } },
      "tokenizer",
      "DIR/tokenizer_config.json: add_bos_token: expected true or false, got 1",
    ],
    [
      "no bos_token to add",
      { ...small, ...gpt2, "tokenizer_config.json": { add_bos_token: true, bos_token: null } },
      "tokenizer",
      "DIR/tokenizer_config.json: add_bos_token is true, but there is no bos_token to set before a text",
    ],
    [
      "a token that is none",
      { ...small, ...gpt2, "special_tokens_map.json": { eos_token: { text: "x" } } },
      "tokenizer",
      'DIR: eos_token: expected a token, got {"text":"x"}',
    ],
  ])("are refused with %s", async (_, files, code, message) => {
    expect(await failure(directoryOf(files))).toEqual({ code, message });
  });
});

describe("vocab.txt", () => {
  const vocabTxt = (vocab: Record<string, number>) =>
    Object.entries(vocab)
      .sort(([, a], [, b]) => a - b)
      .map(([token]) => `${token}\n`)
      .join("");

  it.skipIf(!existsSync(parity))(`answers as BERT's tokenizer ${skipped}`, async () => {
    const text = vocabTxt(read("wordpiece/tokenizer.json").model.vocab);
    for (const model_type of ["bert", "distilbert", "electra"])
      await expectGolden(directoryOf({ "vocab.txt": text, "config.json": { model_type } }), "wordpiece");
    const config = { tokenizer_class: "BertTokenizer", do_lower_case: true, strip_accents: null };
    await expectGolden(
      directoryOf({ "vocab.txt": text.replaceAll("\n", "\r\n"), "tokenizer_config.json": config }),
      "wordpiece",
    );
  });

  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "über", "Über", "uber", "##s", "日", "日本", "##本"];
  const load = (config: object, text = `${words.join("\n")}\n`) =>
    loadTokenizer(
      directoryOf({ "vocab.txt": text, "tokenizer_config.json": config, "config.json": { model_type: "bert" } }),
    );
  const plain = (tokenizer: LoadedTokenizer, text: string) =>
    tokenizer.encode(text, { addSpecialTokens: false }).map((id) => tokenizer.tokenOf(id));

  it("is read as the configuration says", async () => {
    expect(plain(await load({}), "Übers 日本")).toEqual(["uber", "##s", "日", "[UNK]"]);
    expect(plain(await load({ do_lower_case: false }), "Über")).toEqual(["Über"]);
    expect(plain(await load({ strip_accents: false }), "Über")).toEqual(["über"]);
    expect(plain(await load({ tokenize_chinese_chars: false }), "日本")).toEqual(["日本"]);
  });

  it("numbers its lines, the empty ones too, and of a token that stands there twice counts the last", async () => {
    const { idOf } = await load({}, `${words.join("\n")}\n\nuber\nend`);
    expect([idOf("##本"), idOf("uber"), idOf("end")]).toEqual([11, 13, 14]);
  });

  it("is refused without an unknown token, and where a role has none", async () => {
    const config = { "config.json": { model_type: "bert" } };
    expect(await failure(directoryOf({ ...config, "vocab.txt": "a\nb\n" }))).toEqual({
      code: "tokenizer",
      message: 'DIR/vocab.txt: the unknown token "[UNK]" is not in it',
    });
    expect(
      await failure(
        directoryOf({ ...config, "vocab.txt": words.join("\n"), "tokenizer_config.json": { sep_token: null } }),
      ),
    ).toEqual({
      code: "tokenizer",
      message: "DIR/tokenizer_config.json: there is no sep_token, which this tokenizer needs",
    });
    expect(
      (
        await failure(
          directoryOf({ ...config, "vocab.txt": words.join("\n"), "tokenizer_config.json": { strip_accents: "no" } }),
        )
      ).message,
    ).toBe('DIR/tokenizer_config.json: strip_accents: expected true or false, got "no"');
  });
});

describe("source.spm and vocab.json", () => {
  const utf8 = new TextEncoder();
  /** A SentencePiece model: pieces of the type "normal", with one score. */
  const spm = (pieces: readonly string[]) =>
    Uint8Array.from(
      pieces.flatMap((piece) => {
        const bytes = utf8.encode(piece);
        const score = new Uint8Array(Float32Array.of(-3).buffer);
        return [10, bytes.length + 7, 10, bytes.length, ...bytes, 21, ...score];
      }),
    );
  const marian = {
    "config.json": { model_type: "marian" },
    "tokenizer_config.json": { source_lang: "en", target_lang: "roa" },
    "source.spm": spm(["▁", "▁a", "b"]),
    "target.spm": spm(["▁ab"]),
    "vocab.json": { "</s>": 0, "<unk>": 1, ">>fra<<": 2, "▁ab": 3, b: 4, "▁a": 5, "▁": 6, "<pad>": 7 },
  };

  it("are Marian's tokenizer, and a tokenizer.json once saved", async () => {
    const loaded = await loadTokenizer(directoryOf(marian));
    const saved = directoryOf({});
    await saveTokenizer(saved, loaded);
    const again = await loadTokenizer(saved);
    expect(again.config).toEqual({
      source_lang: "en",
      target_lang: "roa",
      eos_token: "</s>",
      unk_token: "<unk>",
      pad_token: "<pad>",
      tokenizer_class: "PreTrainedTokenizerFast",
    });
    for (const { encode, decode, specialTokens } of [loaded, again]) {
      expect(encode(">>fra<< ab? ab")).toEqual([2, 5, 4, 1, 5, 4, 0]);
      expect(decode([3, 5, 0], { skipSpecialTokens: true })).toBe("ab a");
      expect(specialTokens).toMatchObject({ eos: 0, unk: 1, pad: 7 });
    }
  });

  it("are refused where one is missing, damaged, or there are two vocabularies", async () => {
    const { "source.spm": _, ...lacking } = marian;
    expect(await failure(directoryOf(lacking))).toEqual({
      code: "io",
      message:
        "DIR/source.spm: not there, and neither is a tokenizer.json (MarianTokenizer is kept as source.spm and vocab.json)",
    });
    expect(await failure(directoryOf({ ...marian, "source.spm": marian["source.spm"].slice(0, -1) }))).toEqual({
      code: "tokenizer",
      message: "DIR/source.spm: not a SentencePiece model (34 bytes), it ends too early, by 1 bytes",
    });
    expect(await failure(directoryOf({ ...marian, "vocab.json": { "</s>": 0, b: 1 } }))).toEqual({
      code: "tokenizer",
      message: 'DIR/vocab.json: the unknown token "<unk>" is not in it',
    });
    expect(await failure(directoryOf({ ...marian, "tokenizer_config.json": { separate_vocabs: true } }))).toEqual({
      code: "unsupported",
      message: "DIR: separate_vocabs is true, but a tokenizer.json has one vocabulary for source and target",
    });
  });
});

describe("another class", () => {
  it("is refused by its name", async () => {
    const { code, message } = await failure(
      directoryOf({
        "vocab.txt": "a",
        "config.json": { model_type: "bert", tokenizer_class: "BertJapaneseTokenizer" },
      }),
    );
    expect(code).toBe("unsupported");
    expect(message).toMatch(
      /^DIR: the tokenizer is in vocab\.txt, whose class "BertJapaneseTokenizer" is not read without a tokenizer\.json \(GPT2Tokenizer, .*MarianTokenizer are\)\. Make one with transformers/,
    );
  });

  it("is asked for where nothing names it", async () => {
    const { code, message } = await failure(directoryOf({ "spiece.model": "x", "config.json": { model_type: "t5" } }));
    expect(code).toBe("unsupported");
    expect(message).toMatch(/^DIR: the tokenizer is in spiece\.model, and neither .* names a class/);
  });
});
