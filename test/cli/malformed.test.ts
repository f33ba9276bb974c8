import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runCli } from "../../src/cli/run.js";
import { initialize } from "../../src/core/initialize.js";
import { gpt2 } from "../../src/models/gpt2.js";
import { describeModel } from "../../src/pretrained/load-model.js";
import { saveModel } from "../../src/pretrained/save-model.js";
import { saveTokenizer, trainByteLevelBpe } from "../../src/text/index.js";

/** One malformed input: the command, and what the one line on standard error must name. */
interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly names: string;
}

const root = mkdtempSync(join(tmpdir(), "tessera-malformed-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const good = join(root, "good");
const corpus = join(root, "corpus.txt");
let made = 0;

/** A copy of the good model with one file replaced, or taken away. */
function damaged(file: string, content: string | Uint8Array | undefined): string {
  const folder = join(root, `m${made++}`);
  cpSync(good, folder, { recursive: true });
  if (content === undefined) rmSync(join(folder, file));
  else writeFileSync(join(folder, file), content);
  return folder;
}

const read = (file: string) => readFileSync(join(good, file));
const json = (file: string) => JSON.parse(read(file).toString()) as Record<string, unknown>;
const generate = (name: string, folder: string, names: string): Case => ({
  name,
  args: ["generate", "a", "--model", folder, "--max-tokens", "2"],
  names,
});

function weights(): Case[] {
  const bytes = read("model.safetensors");
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, Record<string, unknown>>;
  const rewritten = (change: (h: typeof header) => void) => {
    const h = structuredClone(header);
    change(h);
    const text = Buffer.from(JSON.stringify(h));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([size, text, bytes.subarray(8 + length)]);
  };
  const first = Object.keys(header).find((key) => key !== "__metadata__")!;
  const field = (key: string, value: unknown) => rewritten((h) => void (h[first]![key] = value));
  const size = (n: bigint) => Buffer.concat([Buffer.from(BigUint64Array.of(n).buffer), bytes.subarray(8)]);
  const cases: [string, Uint8Array | undefined][] = [
    ["missing", undefined],
    ...[0, 1, 7, 8, 9, 64, length, 8 + length, bytes.length - 1, bytes.length - 4].map((n): [string, Uint8Array] => [
      `cut to ${n} bytes`,
      bytes.subarray(0, n),
    ]),
    ...[0n, 1n, 2n ** 31n, 2n ** 63n, 2n ** 64n - 1n, BigInt(length + 1), BigInt(bytes.length)].map(
      (n): [string, Uint8Array] => [`header length ${n}`, size(n)],
    ),
    ...["F33", "", 7, null, "f32", "I16"].map((v): [string, Uint8Array] => [
      `dtype ${JSON.stringify(v)}`,
      field("dtype", v),
    ]),
    ...[[-1, 4], [1.5], ["a"], "x", null, [1e18, 1e18], [2 ** 53], [[1]]].map((v): [string, Uint8Array] => [
      `shape ${JSON.stringify(v)}`,
      field("shape", v),
    ]),
    ...[[0], [4, 0], [-4, 0], [0, 1e15], ["0", "4"], [0.5, 4], null, [0, 3], {}].map((v): [string, Uint8Array] => [
      `offsets ${JSON.stringify(v)}`,
      field("data_offsets", v),
    ]),
    ["bytes behind the tensors", Buffer.concat([bytes, Buffer.alloc(3)])],
    ["no JSON", Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(length, 0x20), bytes.subarray(8 + length)])],
    ["a tensor less", rewritten((h) => void delete h[first])],
    ["a tensor more", rewritten((h) => void (h.extra = { dtype: "F32", shape: [0], data_offsets: [0, 0] }))],
    [
      "renamed",
      rewritten((h) => {
        h.other = h[first]!;
        delete h[first];
      }),
    ],
    ["metadata of numbers", rewritten((h) => void (h.__metadata__ = { a: 1 as never }))],
  ];
  return cases.map(([name, content]) => {
    const folder = damaged("model.safetensors", content);
    return generate(`weights: ${name}`, folder, folder);
  });
}

function configs(): Case[] {
  const config = json("config.json");
  const changed = (key: string, value: unknown): [string, string] => [
    `${key} ${JSON.stringify(value)}`,
    JSON.stringify({ ...config, [key]: value }),
  ];
  const wrong: [string, string | undefined][] = [
    ["missing", undefined],
    ["empty", ""],
    ["cut", JSON.stringify(config).slice(0, 40)],
    ["a list", "[]"],
    ["a number", "3"],
    ["binary", "\u0000\u0001\u0002"],
    ...["nonsense", "", "llama-9", 5, null, ["gpt2"], "__proto__", "constructor"].map((v) => changed("model_type", v)),
    ...[["GPT9"], ["GPT2ForSequenceClassification"], "GPT2LMHeadModel", [5]].map((v) => changed("architectures", v)),
    ...["vocab_size", "n_positions", "n_embd", "n_layer", "n_head"].flatMap((key) =>
      [-1, 0, 1.5, "8", null, 1e300].map((v) => changed(key, v)),
    ),
    changed("n_head", 3),
    changed("n_embd", 32),
    changed("vocab_size", 999),
    changed("n_positions", 7),
    changed("n_layer", 9),
    changed("n_inner", 5),
    changed("activation_function", "softplus"),
    changed("layer_norm_epsilon", 0),
    changed("layer_norm_epsilon", -1),
    changed("attn_pdrop", 1.5),
    changed("attn_pdrop", "x"),
    changed("tie_word_embeddings", "yes"),
    changed("tie_word_embeddings", false),
    changed("add_cross_attention", true),
    changed("scale_attn_weights", 1),
    changed("quantization_config", { bits: 4 }),
  ];
  return wrong.map(([name, content]) => {
    const folder = damaged("config.json", content);
    return generate(`config: ${name}`, folder, folder);
  });
}

function tokenizers(): Case[] {
  const tokenizer = json("tokenizer.json");
  const model = tokenizer.model as Record<string, unknown>;
  const changed = (key: string, value: unknown): [string, string] => [
    `${key} ${JSON.stringify(value)?.slice(0, 40)}`,
    JSON.stringify({ ...tokenizer, [key]: value }),
  ];
  const inModel = (key: string, value: unknown): [string, string] => [
    `model.${key} ${JSON.stringify(value)?.slice(0, 40)}`,
    JSON.stringify({ ...tokenizer, model: { ...model, [key]: value } }),
  ];
  const wrong: [string, string | Uint8Array | undefined][] = [
    ["missing", undefined],
    ["empty", ""],
    ["a list", "[]"],
    ["binary", Uint8Array.of(0xff, 0xfe, 0, 1)],
    ...[1, 10, 100, 1000].map((n): [string, string] => [`cut to ${n}`, JSON.stringify(tokenizer).slice(0, n)]),
    changed("model", null),
    changed("model", 5),
    changed("model", {}),
    changed("model", { type: "Unheard" }),
    changed("pre_tokenizer", { type: "Unheard" }),
    changed("pre_tokenizer", 7),
    changed("normalizer", { type: "Unheard" }),
    changed("normalizer", "NFC"),
    changed("decoder", { type: "Unheard" }),
    changed("decoder", []),
    changed("post_processor", { type: "Unheard" }),
    changed("added_tokens", "x"),
    changed("added_tokens", [{ id: -1, content: "a" }]),
    changed("added_tokens", [{ id: 0 }]),
    inModel("vocab", null),
    inModel("vocab", []),
    inModel("vocab", { a: -1 }),
    inModel("vocab", { a: 1.5 }),
    inModel("vocab", { a: "0" }),
    inModel("vocab", { a: 0, b: 0 }),
    inModel("merges", null),
    inModel("merges", "a b"),
    inModel("merges", ["a"]),
    inModel("merges", [["a", "b", "c"]]),
    inModel("merges", ["zz yy"]),
  ];
  return wrong.flatMap(([name, content]) => {
    const folder = damaged("tokenizer.json", content);
    const file = join(folder, "tokenizer.json");
    return [
      generate(`tokenizer: ${name}`, folder, content === undefined ? folder : file),
      {
        name: `tokenizer: ${name}, encode`,
        args: ["tokenizer", "encode", "a", "--model", folder],
        names: content === undefined ? folder : file,
      },
    ];
  });
}

function corpora(): Case[] {
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(root, `${name.replaceAll(" ", "-")}.txt`);
    writeFileSync(path, content);
    return path;
  };
  const bad = [
    file("empty", ""),
    file("blank", " \n\t\n"),
    file(
      "binary",
      Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) % 256),
    ),
    file("zeros", new Uint8Array(100)),
    file("latin one", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x20, 0x61)),
    file("cut utf8", Uint8Array.of(0x61, 0xe5, 0xba)),
    join(root, "not-there.txt"),
    root,
  ];
  const train = (files: readonly string[], ...more: string[]) => [
    "train",
    ...files,
    "--out",
    join(root, `run${made++}`),
    ...more,
  ];
  return [
    ...bad.map((path) => ({ name: `corpus: train ${path.slice(root.length)}`, args: train([path]), names: path })),
    ...bad.map((path) => ({
      name: `corpus: train beside a good one ${path.slice(root.length)}`,
      args: train([corpus, path]),
      names: path,
    })),
    ...bad.map((path) => ({
      name: `corpus: tokenizer ${path.slice(root.length)}`,
      args: ["tokenizer", "train", path, "--out", join(root, "t")],
      names: path,
    })),
    { name: "corpus: too short", args: train([file("short", "a b c")]), names: "short.txt" },
    {
      name: "corpus: shorter than the context",
      args: train([corpus], "--context-length", "100000"),
      names: "corpus.txt",
    },
    { name: "corpus: none", args: train([]), names: "data" },
  ];
}

function flags(): Case[] {
  const absurd = [
    "",
    " ",
    "x",
    "-1",
    "1.5",
    "1e999",
    "NaN",
    "Infinity",
    "0x10",
    "--",
    "999999999999999999999",
    "1;2",
    "１",
  ];
  const whole = [
    "generate a --model GOOD --max-tokens",
    "generate a --model GOOD --top-k",
    "generate a --model GOOD --seed",
    "bench train --steps",
    "bench decode --tokens",
  ];
  const real = ["generate a --model GOOD --top-p", "generate a --model GOOD --min-p"];
  const settings = ["steps", "batch-size", "layers", "d", "heads", "vocab-size"];
  const split = (line: string, value: string) => [...line.replace("GOOD", good).split(" "), value];
  const train = (...more: string[]) => ["train", corpus, "--out", join(root, `run${made++}`), ...more];
  return [
    ...whole.flatMap((line) =>
      absurd.map((v) => ({
        name: `flag: ${line} ${JSON.stringify(v)}`,
        args: split(line, v),
        names: line.slice(line.lastIndexOf("--")),
      })),
    ),
    ...real.flatMap((line) =>
      ["", "x", "-0.1", "1.1", "NaN", "2"].map((v) => ({
        name: `flag: ${line} ${v}`,
        args: split(line, v),
        names: line.slice(line.lastIndexOf("--")),
      })),
    ),
    ...settings.flatMap((s) =>
      ["x", "-3", "0", "1.5"].map((v) => ({
        name: `flag: train --${s} ${v}`,
        args: train(`--${s}`, v),
        names: s.replaceAll("-", v === "0" || v === "-3" ? "_" : "-"),
      })),
    ),
    ...[
      "--learning-rate 0",
      "--learning-rate x",
      "--dropout 1",
      "--dropout -1",
      "--validation 2",
      "--schedule sometimes",
      "--dtype int8",
      "--model unheard",
      "--model-config {",
      "--micro-batch-size 7",
      "--tokenizer /nowhere",
      "--keep all",
      "--end-of-text maybe",
      "--beta1 2",
      "--from /nowhere",
    ].map((line) => ({
      name: `flag: train ${line}`,
      args: train(...line.split(" ")),
      names: line.endsWith("/nowhere") ? "/nowhere" : line.split(" ")[0]!.slice(2, 6),
    })),
    { name: "flag: train, heads that do not divide", args: train("--d", "10", "--heads", "3"), names: "n_head" },
    { name: "flag: steps and epochs", args: train("--steps", "3", "--epochs", "2"), names: "epochs" },
    { name: "flag: resume and out", args: ["train", "--resume", good, "--out", root], names: "--resume" },
    { name: "flag: resume of no run", args: ["train", "--resume", good], names: good },
    { name: "flag: no out", args: ["train", corpus], names: "out" },
    { name: "flag: config of no file", args: ["train", "--config", "/nowhere.json"], names: "/nowhere.json" },
    { name: "command: unknown", args: ["trian"], names: "trian" },
    { name: "command: unknown flag", args: ["generate", "--loud"], names: "--loud" },
    { name: "command: too many arguments", args: ["generate", "a", "b"], names: "arguments" },
    { name: "info: nowhere", args: ["info", "/nowhere"], names: "/nowhere" },
    { name: "info: a text", args: ["info", corpus], names: corpus },
    { name: "generate: no such model", args: ["generate", "a", "--model", "nobody"], names: "nobody" },
    { name: "decode: an id too large", args: ["tokenizer", "decode", "99999", "--model", good], names: "ids" },
    { name: "decode: no id", args: ["tokenizer", "decode", "x", "--model", good], names: "ids" },
  ];
}

describe("malformed inputs end in one line and exit code 1", () => {
  let cases: Case[] = [];
  beforeAll(async () => {
    writeFileSync(corpus, "the whale and the sea and the ship ".repeat(200));
    const tokenizer = trainByteLevelBpe([readFileSync(corpus, "utf8")], { vocabSize: 270 });
    const rawConfig = {
      ...gpt2.fresh({ vocabSize: tokenizer.vocabSize, contextLength: 16, layers: 1, heads: 2, d: 8, dropout: 0 }),
      model_type: "gpt2",
      architectures: ["GPT2LMHeadModel"],
    };
    const model = describeModel(rawConfig, "good");
    mkdirSync(good);
    saveModel(good, { ...model, weights: initialize(model.module, 1) });
    await saveTokenizer(good, tokenizer);
    cases = [...weights(), ...configs(), ...tokenizers(), ...corpora(), ...flags()];
  });

  it("300 of them", async () => {
    expect(cases.length).toBeGreaterThanOrEqual(300);
    const wrong: string[] = [];
    for (const { name, args, names } of cases) {
      let heard = "";
      const hear = (chunk: unknown) => {
        heard += String(chunk);
        return true;
      };
      const spies = [
        vi.spyOn(process.stderr, "write").mockImplementation(hear as never),
        vi.spyOn(console, "error").mockImplementation((...parts: unknown[]) => void hear(`${parts.join(" ")}\n`)),
        vi.spyOn(process.stdout, "write").mockImplementation((() => true) as never),
        vi.spyOn(console, "log").mockImplementation(() => {}),
      ];
      const code = await runCli(args);
      for (const spy of spies) spy.mockRestore();
      const lines = heard.trimEnd().split("\n");
      const fine =
        code === 1 &&
        lines.length === 1 &&
        lines[0]!.startsWith("error: ") &&
        lines[0]!.includes(names) &&
        !heard.includes("(unexpected");
      if (!fine) wrong.push(`${name}: exit ${code}, must name ${names}: ${heard.slice(0, 300)}`);
    }
    expect(wrong).toEqual([]);
  }, 120_000);

  it("as processes, too", () => {
    const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
    for (const { args } of [cases[3]!, cases.at(-1)!]) {
      const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", main, ...args], { encoding: "utf8" });
      expect(status).toBe(1);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect(stderr).toMatch(/^error: /);
    }
  });
});
