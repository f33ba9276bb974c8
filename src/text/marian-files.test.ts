import { describe, expect, it } from "vitest";
import { TesseraError } from "../core/errors.js";
import { marianJson } from "./marian-files.js";
import { namedTokens } from "./named-tokens.js";
import { readSentencePieceModel } from "./sentencepiece-model.js";
import { tokenizerFromJson } from "./tokenizer-from-json.js";

/**
 * What SentencePiece 0.1.97 made of the first 150 lines of a King James Bible: `spm_train --vocab_size=110 --character_coverage=1.0
 * --normalization_rule_name=identity`.
 */
const trained = Buffer.from(
  `
    Cg4KBTx1bms+FQAAAAAYAgoMCgM8cz4VAAAAABgDCg0KBDwvcz4VAAAAABgDCgoKA+KWgRWRXOS/CggKAWUVpGAuwAoICgFzFQqVQsAKCAoBbxXwIVnACggKAWEVmM5bwA
    oNCgbiloF0aGUVCVViwAoICgEsFcDhaMAKCAoBdBV1w2vACggKAWwVhxRtwAoICgFyFbOGeMAKCAoBZBUj/XzACggKAXUVtrCAwAoICgFpFeq9gcAKCAoBaBUJ9YHACggK
    AToVzKiCwAoICgF5FRgShMAKCAoBbRWRQYXACg0KBuKWgWFuZBX/WYbACgwKBeKWgW9mFV7JiMAKCQoCZXIVGCeKwAoICgExFXKTjcAKCAoBbhUfw43ACggKAWMV+qSSwA
    oICgEuFeSllcAKCAoBZxVmxZXACggKAXAVYdeVwAoICgEyFauYl8AKDAoF4paBdGgVqHmYwAoJCgJuZBWwKZnACgkKAm9uFbdwmcAKCAoBYhVdAZvACgkKAmF0FfIfm8AK
    CQoCdGgVC7GbwAoJCgJlZBVx7ZzACgkKAmVuFU1cncAKCQoCYXIVeB+fwAoICgF3FSR7n8AKCQoCYW4VK0OgwAoLCgTiloFtFf8Oo8AKDAoF4paBdG8VWW6jwAoMCgXilo
    FiZRXpiaTACggKAWsV8K2kwAoJCgJzdBXxNKXACgkKAm9yFe2FpcAKCAoBZhVHNqbACgsKBOKWgWYVPF6mwAoMCgXiloFoZRVt1KbACgkKAmlzFYhRp8AKCwoE4paBdxVb
    ZqjACgwKBeKWgWluFQHMqMAKCQoCaXQVWdCqwAoJCgJpbhUwc6zACgwKBeKWgWhhFdo2rsAKCgoDaW5nFX3KrsAKCAoBMxVSGK/ACg4KB+KWgXNoYWwVixivwAoNCgbilo
    Fmb3IVWAOwwAoLCgTiloFhFbVoscAKDAoF4paBd2gVRoiywAoJCgJpchU8/rPACgsKBOKWgWMVgwK0wAoICgE7FSNHtMAKDQoG4paBdW50FUT/tMAKDAoF4paBaGkVoX+1
    wAoICgE1FYXNuMAKCQoCaWwVwoy7wAoICgFUFS4ivcAKDQoG4paBbm90FZwpvcAKDgoH4paBdGhvdRVnJr7ACgwKBeKWgXllFctLvsAKCAoBNBVaC7/ACggKATcVWgvAwA
    oICgE2Fa0kwsAKCAoBORU3zsbACggKATAV5RXIwAoICgF6FeYVyMAKCAoBOBW82dLACggKAXgVwN3YwAoICgEnFbdH4MAKCAoBTxWlY+bACggKAUQVp2PmwAoICgE/Fd3x
    6cAKCAoBahXf8e3ACggKASEVRnUQwQoICgFaFRVtIMEKCAoBVRV+bSDBCggKAXEV520gwQoICgFXFU9uIMEKCAoBRhW4biDBCggKAUsVIW8gwQoICgFNFYpvIMEKCAoBTh
    XzbyDBCggKAUIVXHAgwQoICgFDFcVwIMEKCAoBRRUtcSDBCggKAVAVlnEgwQoICgFIFf9xIMEKCAoBUxVociDBCggKAVIV0XIgwQoICgFHFTpzIMEKCAoBTBWjcyDBCggK
    AUoVC3QgwQoICgFBFXR0IMEKCAoBSRXddCDBCggKAVYVRnUgwQoICgFZFUZ1IMEKCAoBdhVGdSDBEqcBCgtlbmdsaXNoLnR4dBIGc291cmNlGAEgbjAAOgBVAACAP1gAcM
    CEPX0AAEA/gAEBiAECkAHgIJgBAaABEKgBAbABAbgBAcABAMgBANABAIACAYgCAZACAJgCAKICAMACAMgCAdACAtgC////////////AeICBSDigYcg6gIFPHVuaz7yAgM8
    cz76AgQ8L3M+ggMFPHBhZD6IAwCQAwCdAwAAAACgAwAaEgoIaWRlbnRpdHkSABgBIAEyAA==
  `,
  "base64",
);

const message = (...fields: readonly (readonly number[])[]) => fields.flat();
const integer = (field: number, value: number) => [field * 8, value];
const bytes = (field: number, value: Iterable<number>) => {
  const body = [...value];
  return [field * 8 + 2, (body.length & 127) | 128, body.length >> 7, ...body];
};
const text = (field: number, value: string) => bytes(field, new TextEncoder().encode(value));
const float = (field: number, value: number) => [field * 8 + 5, ...new Uint8Array(Float32Array.of(value).buffer)];
const piece = (content: string, score: number, type?: number) =>
  bytes(1, message(text(1, content), float(2, score), type === undefined ? [] : integer(3, type)));
const special = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3)];

/** The tokenizer of a model and the tokens of a vocab.json, which begin with those that Marian's always have. */
function tokenizerOf(spm: Iterable<number>, others: readonly string[]) {
  const vocab = new Map(["</s>", "<unk>", ...others, "<pad>"].map((token, id) => [token, id]));
  const defaults = { eos: "</s>", unk: "<unk>", pad: "<pad>" };
  const tokens = namedTokens({ vocab, config: {}, defaults, where: "DIR" });
  const json = marianJson(readSentencePieceModel(Uint8Array.from(spm), "DIR/source.spm"), vocab, tokens, "DIR");
  return tokenizerFromJson(json, Object.fromEntries(Object.entries(defaults).map(([r, t]) => [`${r}_token`, t])));
}
const failure = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TesseraError);
    const { code, message } = error as TesseraError;
    return `${code}: ${message}`;
  }
  return expect.fail("it was accepted");
};

describe("a Marian tokenizer", () => {
  const source = readSentencePieceModel(trained, "source.spm")
    .pieces.filter(({ type }) => type === "normal")
    .map(({ piece }) => piece);
  // Of the target: words that the source can spell, characters it does not have, and both together.
  const target = ["▁swam", "under", "Straße", "▁ß", "ß", "北", "京", "日", "本", "party", "—", "ï"];
  const tokens = [">>fra<<", ...target, ...[...source].reverse(), ">>zho_Hans<<"];
  const tokenizer = tokenizerOf(trained, tokens);
  const idOf = (token: string) => tokenizer.idOf(token) ?? 1;

  // Texts and what `spm_encode --output_format=piece` made of them.
  const recorded: readonly (readonly [string, string])[] = [
    ["a ß b", "▁ a ▁ ß ▁ b"],
    ["Call me Ishmael.", "▁ C a l l ▁m e ▁ I s h m a e l ."],
    ["  the   whale  swam ", "▁the ▁wh a l e ▁ s w a m"],
    ["straße, 北京 über", "▁ st r a ß e , ▁ 北京 ▁ ü b er"],
    ["Was ist das? 北京市京 ß日", "▁ W a s ▁ is t ▁ d a s ? ▁ 北京市京 ▁ ß日"],
    ["ßß the日本 x", "▁ ßß ▁the 日本 ▁ x"],
    ["", ""],
    ["[a-z] (^$.*+?) {|}\\ &&", "▁ [ a - z ] ▁ (^$ . *+ ? ) ▁ {|}\\ ▁ &&"],
    ["naïve — “quoted”…", "▁ n a ï v e ▁ — ▁ “ q u o t ed ”…"],
    ["a\ttab", "▁ a \t t a b"],
    ["🎉 party", "▁ 🎉 ▁ p ar t y"],
  ];

  it("gives the pieces of SentencePiece their ids in vocab.json, and ends in </s>", () => {
    for (const [given, pieces] of recorded)
      expect(tokenizer.encode(given), given).toEqual([...pieces.split(" ").filter(Boolean).map(idOf), 0]);
  });

  it("keeps a language code as one token", () => {
    const [given, pieces] = recorded[1]!;
    const expected = [...pieces.split(" ").map(idOf), 0];
    expect(tokenizer.encode(`>>fra<< ${given}`)).toEqual([2, ...expected]);
    expect(tokenizer.encode(`>>zho_Hans<<   ${given}`)).toEqual([idOf(">>zho_Hans<<"), ...expected]);
    expect(idOf(">>zho_Hans<<")).toBe(tokens.length + 1);
    expect(tokenizer.encode(">>fra<<", { addSpecialTokens: false })).toEqual([2]);
  });

  it("decodes with the target's pieces", () => {
    const ids = ["<pad>", "▁ß", "京", "▁the", "▁swam", ".", "</s>"].map(idOf);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("ß京 the swam.");
    expect(tokenizer.decode(ids)).toBe("<pad> ß京 the swam.</s>");
    expect(tokenizer.specialTokens).toMatchObject({ eos: 0, unk: 1, pad: tokens.length + 2, bos: undefined });
    expect(tokenizer.vocabSize).toBe(tokens.length + 3);
  });

  it("joins a pair as transformers does", () => {
    expect(tokenizer.encoding("the", { pair: "of" })).toEqual({
      ids: [idOf("▁the"), idOf("▁of"), 0],
      typeIds: [0, 0, 0],
      tokens: ["▁the", "▁of", "</s>"],
    });
  });

  it("knows characters that mean something in expressions", () => {
    const known = [..."\\]^-[&a"].map((char) => piece(char, -3));
    const spm = [...special, piece("▁", -1), ...known].flat();
    const own = tokenizerOf(spm, ["▁", ..."\\]^-[&a", "|", "(", "(("]);
    const spelled = (given: string) => own.encode(given).map((id) => own.tokenOf(id));
    expect(spelled("a[^-\\]&b_`")).toEqual(["▁", ..."a[^-\\]&", "<unk>", "</s>"]);
    expect(spelled("(a((a|a)")).toEqual(["▁", "(", "a", "<unk>", "a", "|", "a", "<unk>", "</s>"]);
  });

  it("never chooses a piece of the target, however unlikely the source's are", () => {
    const long = "ab".repeat(20);
    const spm = [...special, piece("▁", -1), piece("a", -1000), piece("b", -1000)].flat();
    expect(tokenizerOf(spm, ["▁", "a", "b", long, `▁${long}`]).encode(long)).toHaveLength(42);
  });

  it("rewrites texts as the file says", () => {
    const pieces = [piece("▁", -2), piece("a", -2), piece("▁a", -3), piece("b", -2), piece("▁b", -2), piece("a▁b", -1)];
    const of = (...normalizer: number[][]) => {
      const own = tokenizerOf([...special, ...pieces, bytes(3, normalizer.flat())].flat(), [
        "▁",
        "a",
        "▁a",
        "b",
        "▁b",
        "a▁b",
      ]);
      return (given: string) => own.encode(given, { addSpecialTokens: false }).map((id) => own.tokenOf(id));
    };
    const charsmap = bytes(2, [1, 2, 200]);
    expect(of()(" a  b ")).toEqual(["▁", "a▁b"]);
    expect(of(integer(3, 0))(" a  b ")).toEqual(["a▁b"]);
    expect(of(integer(4, 0))("a  b")).toEqual(["▁a", "▁", "▁b"]);
    expect(of(text(1, "identity"))("ａ")).toEqual(["▁", "<unk>"]);
    expect(of(text(1, "nfkc"), charsmap)("ａ")).toEqual(["▁a"]);
    expect(of(text(1, "nmt_nfkc"), charsmap)("ａ\u200bb")).toEqual(["▁", "a▁b"]);
    expect(failure(() => of(text(1, "nmt_nfkc_cf"), charsmap))).toBe(
      'unsupported: DIR/source.spm: texts are rewritten by the rules "nmt_nfkc_cf", which are not supported (nmt_nfkc, nfkc and identity are)',
    );
  });

  it("keeps the rules in tokenizer.json", () => {
    const rules = [text(1, "nmt_nfkc"), bytes(2, [0, 255, 16])].flat();
    const { json } = tokenizerOf([...special, piece("a", -1), bytes(3, rules)].flat(), ["a"]);
    expect(json.normalizer).toMatchObject({
      normalizers: [{ type: "Precompiled", precompiled_charsmap: "AP8Q" }, {}, {}, {}],
    });
  });

  it.each<[string, number[], string[], string]>([
    [
      "BPE",
      [...piece("a", 0), ...bytes(2, integer(3, 2))],
      ["a"],
      "a model of the kind bpe (unigram is read), which is not supported",
    ],
    ["a user's symbols", piece("<x>", 0, 4), ["<x>"], 'a user-defined piece, "<x>", which is not supported'],
    ["byte fallback", piece("<0x00>", 0, 6), ["a"], 'a byte piece, "<0x00>", which is not supported'],
    [
      "suffixes",
      [...piece("a▁", 0), ...bytes(2, [0xc0, 1, 1])],
      ["a▁"],
      "spaces are written behind words (treat_whitespace_as_suffix), which is not supported",
    ],
    [
      "plain spaces",
      [...piece("a", 0), ...bytes(3, integer(5, 0))],
      ["a"],
      "spaces are not written ▁ (escape_whitespaces is false), which is not supported",
    ],
  ])("refuses a model with %s", (_, spm, others, fault) => {
    expect(failure(() => tokenizerOf(spm, others))).toBe(`unsupported: DIR/source.spm: ${fault}`);
  });

  it("refuses a vocabulary of other pieces", () => {
    expect(failure(() => tokenizerOf(piece("a", 0), ["b"]))).toBe(
      "tokenizer: DIR/vocab.json: none of the 1 pieces of source.spm is among its 4 tokens",
    );
    const vocab = new Map([
      ["</s>", 0],
      ["<unk>", 1],
      ["a", 3],
    ]);
    const tokens = namedTokens({ vocab, config: {}, defaults: { eos: "</s>", unk: "<unk>" }, where: "DIR" });
    const model = readSentencePieceModel(Uint8Array.from(piece("a", 0)), "DIR/source.spm");
    expect(failure(() => marianJson(model, vocab, tokens, "DIR"))).toBe(
      'tokenizer: DIR/vocab.json: expected the ids 0 to 2 once each, got 3 for "a"',
    );
  });
});

describe("readSentencePieceModel", () => {
  it("reads what spm_train wrote", () => {
    const { algorithm, pieces, normalizer, spaceAsSuffix } = readSentencePieceModel(trained, "source.spm");
    expect(algorithm).toBe("unigram");
    expect(pieces).toHaveLength(110);
    expect(pieces.slice(0, 3).map(({ piece, type }) => [piece, type])).toEqual([
      ["<unk>", "unknown"],
      ["<s>", "control"],
      ["</s>", "control"],
    ]);
    expect(pieces[3]).toEqual({ piece: "▁", score: expect.closeTo(-1.78407, 4), type: "normal" });
    expect(pieces[8]).toEqual({ piece: "▁the", score: expect.closeTo(-3.53644, 4), type: "normal" });
    expect({ ...normalizer, charsmap: normalizer.charsmap.length, spaceAsSuffix }).toEqual({
      name: "identity",
      charsmap: 0,
      addDummyPrefix: true,
      removeExtraSpaces: true,
      escapeSpaces: true,
      spaceAsSuffix: false,
    });
  });

  it("refuses a file that was cut, wherever it was not between two fields", () => {
    let refused = 0;
    for (let length = 0; length < trained.length; length++) {
      try {
        expect(readSentencePieceModel(trained.subarray(0, length), "x").pieces.length).toBeLessThanOrEqual(110);
      } catch (error) {
        expect(error).toMatchObject({
          code: "tokenizer",
          message: expect.stringMatching(/^x: not a SentencePiece model/),
        });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(trained.length - 115);
  });

  it.each<[string, Iterable<number>, string]>([
    ["nothing", [], "(0 bytes), it has no pieces"],
    [
      "a pointer of git",
      new TextEncoder().encode("version https://git-lfs.github.com/spec/v1"),
      "(42 bytes), wire type 6 is not one of protobuf's",
    ],
    ["a cut length", [10], "(1 bytes), it ends in the middle of a number"],
    ["a length that is too long", [10, 5, 1], "(3 bytes), it ends too early, by 4 bytes"],
    ["a number without an end", Array(12).fill(255), "(12 bytes), a number has more than ten bytes"],
    ["a number for a piece", [8, 5], "(2 bytes), a piece is not a message"],
    ["a number for a text", bytes(1, integer(1, 5)), "(5 bytes), field 1 is of another type"],
    ["a score of eight bytes", bytes(1, [17, 0, 0, 0, 0, 0, 0, 0, 0]), "(12 bytes), a score has 8 bytes rather than 4"],
    ["no score", piece("a", Number.NaN), "(12 bytes), a score is NaN"],
    ["an odd type", piece("a", 0, 9), "(14 bytes), an unknown type of piece, 9"],
  ])("refuses %s", (_, content, fault) => {
    expect(failure(() => readSentencePieceModel(Uint8Array.from(content), "x.spm"))).toBe(
      `tokenizer: x.spm: not a SentencePiece model ${fault}`,
    );
  });

  it("skips what it does not need", () => {
    const model = readSentencePieceModel(
      Uint8Array.from([...piece("a", -1), ...bytes(4, [1]), 25 + 16, ...Array(8).fill(7)]),
      "x",
    );
    expect(model.pieces).toEqual([{ piece: "a", score: -1, type: "normal" }]);
  });
});
