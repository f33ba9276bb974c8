import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { largestDifference, wholeTargets } from "../../test/support/encoder-decoder.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import type { T5Config } from "./t5.js";

const config = {
  model_type: "t5",
  vocab_size: 19,
  d_model: 12,
  d_kv: 5,
  d_ff: 20,
  num_layers: 1,
  num_decoder_layers: 2,
  num_heads: 3,
  relative_attention_num_buckets: 6,
  relative_attention_max_distance: 7,
};
const variants = [
  {},
  { feed_forward_proj: "gated-gelu", tie_word_embeddings: false },
  { feed_forward_proj: "gated-silu", num_layers: 2, num_decoder_layers: 1 },
];
const sources = [
  [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
  [2, 7, 1, 8, 2],
];
const targets = [
  [0, 3, 14, 15, 9, 2, 6, 5, 3, 5],
  [0, 2, 7, 18, 2, 8, 1, 8, 2, 8],
];

test.each(variants)("cached decoding is the whole target's, and padding changes nothing: %j", async (variant) => {
  const model = tinyModel({ ...config, ...variant });
  const { difference, positions } = await cachedAgainstWhole(model, { texts: targets, prompts: [1, 4], sources });
  expect(positions).toBe(10 + 7);
  expect(difference).toBeLessThan(1e-5);
  const whole = await wholeTargets(model, sources, targets);
  const alone = await wholeTargets(model, [sources[1]!], [targets[1]!]);
  expect(largestDifference([whole[1]!], alone)).toBeLessThan(1e-5);
  expect(largestDifference(whole, await wholeTargets(model, sources, targets, 7))).toBe(0);
});

const parse = (over: object) => describeModel({ ...config, ...over }, "config.json").config as T5Config;
const names = (over: object) =>
  [...parametersOf(describeModel({ ...config, ...over }, "config.json").module)].map(
    ([name, { shape }]) => `${name} ${shape.join("×")}`,
  );

test("the parameters", () => {
  const all = names({ feed_forward_proj: "gated-gelu", tie_word_embeddings: false });
  expect(all.filter((name) => /^(?!.*(layer_norm|block\.1|Attention\.[kvo]\.))/.test(name))).toEqual([
    "shared.weight 19×12",
    "encoder.block.0.layer.0.SelfAttention.q.weight 15×12",
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight 20×12",
    "encoder.block.0.layer.1.DenseReluDense.wi_1.weight 20×12",
    "encoder.block.0.layer.1.DenseReluDense.wo.weight 12×20",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight 6×3",
    "decoder.block.0.layer.0.SelfAttention.q.weight 15×12",
    "decoder.block.0.layer.1.EncDecAttention.q.weight 15×12",
    "decoder.block.0.layer.2.DenseReluDense.wi_0.weight 20×12",
    "decoder.block.0.layer.2.DenseReluDense.wi_1.weight 20×12",
    "decoder.block.0.layer.2.DenseReluDense.wo.weight 12×20",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight 6×3",
    "lm_head.weight 19×12",
  ]);
  expect(names({}).at(-1)).toBe("decoder.final_layer_norm.weight 12");
  const encoder = names({ architectures: ["T5EncoderModel"] });
  expect(encoder.filter((name) => !name.startsWith("encoder."))).toEqual(["shared.weight 19×12"]);
});

test("what a config.json says in several ways", () => {
  expect(parse({})).toMatchObject({ dense_act_fn: "relu", is_gated_act: false, scale_decoder_outputs: true });
  expect(parse({ feed_forward_proj: "gated-gelu" })).toMatchObject({ dense_act_fn: "gelu_new", is_gated_act: true });
  expect(parse({ feed_forward_proj: "gelu" })).toMatchObject({ dense_act_fn: "gelu", is_gated_act: false });
  expect(parse({ num_decoder_layers: null, num_layers: 3 })).toMatchObject({ num_decoder_layers: 3 });
  expect(parse({ pad_token_id: 4 })).toMatchObject({ decoder_start_token_id: 4 });
  expect(parse({ tie_word_embeddings: false })).toMatchObject({ scale_decoder_outputs: false });
  expect(parse({ tie_word_embeddings: true, scale_decoder_outputs: false })).toMatchObject({
    tie_word_embeddings: true,
    scale_decoder_outputs: false,
  });
});

describe("heads on disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "tessera-t5-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("are the model's, whatever the configuration says of ties", () => {
    const rawConfig = { ...config, tie_word_embeddings: true, scale_decoder_outputs: false };
    const untied = describeModel({ ...config, tie_word_embeddings: false }, "config.json");
    const { weights } = tinyModel({ ...config, tie_word_embeddings: false });
    saveModel(folder, { ...untied, rawConfig, weights });
    const model = readModel(folder);
    expect(model.weights.get("lm_head.weight")).toEqual(weights.get("lm_head.weight"));
    expect(model.config).toMatchObject({ tie_word_embeddings: false, scale_decoder_outputs: false });
    expect(model.rawConfig).toMatchObject(rawConfig);
    expect(model.rawConfig).not.toHaveProperty("has_lm_head");
    expect(model.warnings).toEqual([]);
  });
});

describe("configurations that are refused", () => {
  test.each([
    [
      { feed_forward_proj: "gated-foo" },
      'feed_forward_proj must be an activation or "gated-" and one, got "gated-foo"',
    ],
    [{ feed_forward_proj: "a-b-c" }, 'feed_forward_proj must be an activation or "gated-" and one, got "a-b-c"'],
    [{ num_heads: 0 }, "num_heads must be a whole number ≥ 1, got 0"],
    [
      { relative_attention_max_distance: 3 },
      "relative_attention_max_distance 3 must be more than half of the 6 buckets",
    ],
    [{ is_decoder: true }, "is_decoder true is not supported (only false)"],
  ])("%j", (over, message) => {
    expect(() => parse(over)).toThrow(`config.json: ${message}`);
  });
});
