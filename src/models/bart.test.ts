import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { largestDifference, wholeTargets } from "../../test/support/encoder-decoder.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import { compileModel } from "../generate/compile-model.js";
import { type Context, sequenceContext } from "../nn/context.js";
import { describeModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import type { Weights } from "../pretrained/weights.js";
import { compileGraph } from "../runtime/compile.js";
import { nativeRuntime } from "../runtime/native.js";
import type { EncoderDecoderHalves } from "./model.js";

const config = {
  model_type: "bart",
  vocab_size: 17,
  max_position_embeddings: 14,
  d_model: 12,
  encoder_layers: 2,
  encoder_attention_heads: 3,
  encoder_ffn_dim: 10,
  decoder_layers: 1,
  decoder_attention_heads: 2,
  decoder_ffn_dim: 14,
  scale_embedding: true,
};
const marian = { ...config, model_type: "marian", activation_function: "swish", pad_token_id: 0, eos_token_id: 1 };
const sources = [
  [3, 1, 4, 1, 5, 9, 2, 6, 5],
  [2, 7, 11, 8],
];
const targets = [
  [2, 3, 14, 15, 9, 2, 6],
  [2, 16, 7, 0, 2, 8, 1],
];

test.each([
  config,
  { ...config, tie_word_embeddings: false, scale_embedding: false },
  marian,
  { ...marian, share_encoder_decoder_embeddings: false, decoder_vocab_size: 20 },
])("cached decoding is the whole target's, and padding changes nothing: %j", async (config) => {
  const model = tinyModel(config);
  const { difference, positions } = await cachedAgainstWhole(model, { texts: targets, prompts: [2, 1], sources });
  expect(positions).toBe(6 + 7);
  expect(difference).toBeLessThan(1e-5);
  const whole = await wholeTargets(model, sources, targets);
  const alone = await wholeTargets(model, [sources[1]!], [targets[1]!]);
  expect(largestDifference([whole[1]!], alone)).toBeLessThan(1e-5);
  expect(largestDifference(whole, await wholeTargets(model, sources, targets, 4))).toBe(0);
});

const names = (config: Readonly<Record<string, unknown>>) =>
  [...parametersOf(describeModel(config, "config.json").module)].map(
    ([name, { shape, fixed }]) => `${name} ${shape.join("×")}${fixed ? " fixed" : ""}`,
  );
const tables = (config: Readonly<Record<string, unknown>>) =>
  names(config).filter((name) => /shared|embed_|head|logits|_embedding/.test(name));

test("the parameters beside the layers", () => {
  expect(tables(config)).toEqual([
    "model.shared.weight 17×12",
    "model.encoder.embed_positions.weight 16×12",
    "model.encoder.layernorm_embedding.weight 12",
    "model.encoder.layernorm_embedding.bias 12",
    "model.decoder.embed_positions.weight 16×12",
    "model.decoder.layernorm_embedding.weight 12",
    "model.decoder.layernorm_embedding.bias 12",
    "final_logits_bias 1×17 fixed",
  ]);
  expect(tables(marian)).toEqual(["model.shared.weight 17×12", "final_logits_bias 1×17 fixed"]);
  const unshared = { share_encoder_decoder_embeddings: false, decoder_vocab_size: 20 };
  expect(tables({ ...marian, ...unshared })).toEqual([
    "model.encoder.embed_tokens.weight 17×12",
    "model.decoder.embed_tokens.weight 20×12",
    "final_logits_bias 1×20 fixed",
  ]);
  expect(tables({ ...marian, ...unshared, tie_word_embeddings: false }).slice(2)).toEqual([
    "lm_head.weight 20×12",
    "final_logits_bias 1×20 fixed",
  ]);
  expect(names({ ...config, architectures: ["BartModel"] })[0]).toBe("shared.weight 17×12");
});

test("the parameters of a decoder's layer", () => {
  const layer = names(config).filter((name) => name.startsWith("model.decoder.layers.0") && name.includes("weight"));
  expect(layer.map((name) => name.slice("model.decoder.layers.0.".length)).sort()).toEqual([
    "encoder_attn.k_proj.weight 12×12",
    "encoder_attn.out_proj.weight 12×12",
    "encoder_attn.q_proj.weight 12×12",
    "encoder_attn.v_proj.weight 12×12",
    "encoder_attn_layer_norm.weight 12",
    "fc1.weight 14×12",
    "fc2.weight 12×14",
    "final_layer_norm.weight 12",
    "self_attn.k_proj.weight 12×12",
    "self_attn.out_proj.weight 12×12",
    "self_attn.q_proj.weight 12×12",
    "self_attn.v_proj.weight 12×12",
    "self_attn_layer_norm.weight 12",
  ]);
});

/** Outputs of a model that reads texts of different lengths, filled up with token 1; its weights are random unless given. */
async function read(
  config: Readonly<Record<string, unknown>>,
  texts: readonly (readonly number[])[],
  length: number,
  given?: Weights,
) {
  const random = tinyModel(config);
  const { module, weights } = { ...random, weights: given ?? random.weights };
  const shape = [texts.length, length];
  const [ids, mask] = [input("ids", shape, "int64"), input("mask", shape, "int64")];
  const parameters = [...parametersOf(module)].map(([path, { shape }]) => input(path, shape));
  const tree = parameterTree(module, (path) => parameters.find((p) => p.name === path));
  const context = sequenceContext({ batch: texts.length, length, attentionMask: mask });
  const outputs: Readonly<Record<string, Tensor>> = module(tree, ids, context);
  const graph = { inputs: [ids, mask, ...parameters], outputs: Object.values(outputs) };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: Object.keys(outputs) });
  const filled = (value: (row: readonly number[], i: number) => number) =>
    hostTensor(
      texts.flatMap((row) => Array.from({ length }, (_, i) => value(row, i))),
      shape,
      "int64",
    );
  const results = await session.run({
    ids: filled((row, i) => row[i] ?? 1),
    mask: filled((row, i) => Number(i < row.length)),
    ...Object.fromEntries(weights),
  });
  return { weights, at: (name: string) => results[name]!.data as Float32Array };
}

describe("classification", () => {
  const classifier = { ...config, architectures: ["BartForSequenceClassification"] };
  const texts = [
    [0, 5, 2, 6, 2],
    [0, 7, 2],
  ];

  test("is dense, tanh and projection of the decoder's state at the last end of text", async () => {
    const { weights, at } = await read(classifier, texts, 5);
    const bare = new Map([...weights].map(([name, tensor]) => [name.replace(/^model\./, ""), tensor]));
    for (const name of bare.keys()) if (name.startsWith("classification_head")) bare.delete(name);
    const features = await read({ ...config, architectures: ["BartModel"] }, texts, 5, bare);
    const hidden = features.at("last_hidden_state");
    const weight = (name: string) => weights.get(`classification_head.${name}`)!.data as Float32Array;
    const project = (name: string, x: readonly number[]) =>
      Array.from(weight(`${name}.bias`), (bias, o) =>
        x.reduce((sum, value, i) => sum + value * weight(`${name}.weight`)[o * x.length + i]!, bias),
      );
    for (const [r, place] of [4, 2].entries()) {
      const state = [...hidden.slice((r * 5 + place) * 12, (r * 5 + place + 1) * 12)];
      const expected = project("out_proj", project("dense", state).map(Math.tanh));
      expect(expected).toHaveLength(3); // a BART whose configuration has no labels has three
      for (const [n, x] of expected.entries()) expect(at("logits")[3 * r + n]).toBeCloseTo(x, 4);
    }
  });

  test("padding changes nothing", async () => {
    const together = (await read(classifier, texts, 5)).at("logits");
    const alone = (await read(classifier, [texts[1]!], 3)).at("logits");
    for (const [n, x] of alone.entries()) expect(together[3 + n]).toBeCloseTo(x, 4);
  });
});

test("dropout acts where the original's does", () => {
  const rates = { dropout: 0.1, attention_dropout: 0.2, activation_dropout: 0.3 };
  const { module } = describeModel({ ...config, ...rates }, "config.json");
  const tree = parameterTree(module, (path, { shape }) => input(path, shape));
  const { encode, decode } = module(tree) as EncoderDecoderHalves;
  const seen: number[] = [];
  const context = (): Context => ({
    ...sequenceContext({ batch: 2, length: 4 }),
    dropout: (x, rate) => {
      seen.push(rate);
      return x;
    },
  });
  const ids = input("ids", [2, 4], "int64");
  const memory = encode(ids, context());
  expect(seen.splice(0)).toEqual([0.1, 0.2, 0.1, 0.3, 0.1, 0.2, 0.1, 0.3, 0.1]);
  decode(ids, memory, context());
  expect(seen).toEqual([0.1, 0.2, 0.1, 0.2, 0.1, 0.3, 0.1]);
});

test("Marian's positions are sines, then cosines", async () => {
  const { module, weights } = tinyModel({ ...marian, scale_embedding: false });
  const ids = input("ids", [1, 3], "int64");
  const parameters = [...parametersOf(module)].map(([path, { shape }]) => input(path, shape));
  const seen = new Map<string, Tensor>();
  withObserver(
    (path, value) => {
      seen.set(path, value);
      return value;
    },
    () => {
      const halves = module(
        parameterTree(module, (path) => parameters.find((p) => p.name === path)),
      ) as EncoderDecoderHalves;
      halves.encode(ids, sequenceContext({ batch: 1, length: 3 }));
    },
  );
  const graph = { inputs: [ids, ...parameters], outputs: [seen.get("model.encoder.embeddings")!] };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: ["x"] });
  const { x } = await session.run({ ids: hostTensor([5, 5, 5], [1, 3], "int64"), ...Object.fromEntries(weights) });
  const token = (weights.get("model.shared.weight")!.data as Float32Array).slice(5 * 12, 6 * 12);
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 6; j++) {
      const angle = i / 10000 ** (j / 6);
      const at = (k: number) => (x!.data as Float32Array)[i * 12 + k]! - token[k]!;
      expect(at(j)).toBeCloseTo(Math.sin(angle), 5);
      expect(at(6 + j)).toBeCloseTo(Math.cos(angle), 5);
    }
});

describe("embeddings on disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "tessera-bart-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("an untied model has one for each half where the file has", () => {
    const rawConfig = { ...config, tie_word_embeddings: false };
    const separate = { ...rawConfig, has_separate: true };
    for (const [form, count] of [
      [rawConfig, 1],
      [separate, 3],
    ] as const) {
      const { weights } = tinyModel(form);
      saveModel(folder, { ...describeModel(form, "config.json"), rawConfig, weights });
      const model = readModel(folder);
      expect([...model.weights.keys()].filter((name) => /shared|embed_tokens/.test(name))).toHaveLength(count);
      expect(model.rawConfig).not.toHaveProperty("has_separate");
    }
  });
});

describe("configurations that are refused", () => {
  test.each([
    [{ decoder_attention_heads: 5 }, "d_model 12 does not divide into decoder_attention_heads 5"],
    [{ normalize_before: true }, "normalize_before true is not supported (only false)"],
    [{ static_position_embeddings: true }, "static_position_embeddings true is not supported (only false)"],
    [
      { model_type: "marian", static_position_embeddings: false },
      "static_position_embeddings false is not supported (only true)",
    ],
    [{ activation_function: "prelu" }, "activation_function must be one of gelu"],
    [
      { model_type: "marian", d_model: 9, encoder_attention_heads: 3, decoder_attention_heads: 3 },
      "d_model must be even for sines and cosines, got 9",
    ],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});

test("a source may have other tokens than a target", async () => {
  const fewer = {
    ...marian,
    share_encoder_decoder_embeddings: false,
    decoder_vocab_size: 12,
    decoder_start_token_id: 0,
  };
  using compiled = await compileModel(tinyModel(fewer), { threads: 1 });
  using decoder = compiled.decoder();
  await decoder.read(0, [16]);
  expect(await decoder.append(0, [11])).toHaveLength(12);
  await expect(decoder.append(0, [12])).rejects.toThrow("token id 12 is not in the vocabulary (12 tokens)");
  await expect(decoder.read(0, [17])).rejects.toThrow("token id 17 is not in the source's vocabulary (17 tokens)");
});
