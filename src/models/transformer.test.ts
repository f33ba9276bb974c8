import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { largestDifference, wholeTargets } from "../../test/support/encoder-decoder.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { wave } from "../../test/support/torch-recording.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";
import type { TransformerConfig } from "./transformer.js";

const config = {
  model_type: "transformer",
  vocab_size: 11,
  max_position_embeddings: 12,
  d_model: 8,
  nhead: 2,
  num_encoder_layers: 2,
  num_decoder_layers: 1,
  dim_feedforward: 12,
};
const sources = [
  [3, 1, 4, 1, 5],
  [2, 7, 10],
];
const targets = [
  [1, 9, 2, 6],
  [1, 8, 2, 8],
];

test("logits are those of torch's nn.Transformer between scaled embeddings with sinusoids and their transpose", async () => {
  // PyTorch 1.13, nn.Transformer without the final norms; the last two places of each target
  const expected = [
    [0.23123, -0.44445, -0.92062, -0.98356, -0.60501, 0.04511, 0.67498, 1.00188, 0.87906, 0.36166, -0.31808],
    [0.23373, -0.42916, -0.89942, -0.96595, -0.5989, 0.03698, 0.65626, 0.98096, 0.86535, 0.3613, -0.30492],
    [0.2314, -0.44483, -0.92139, -0.98437, -0.60549, 0.04517, 0.67556, 1.00271, 0.87977, 0.36194, -0.31836],
    [0.23184, -0.42984, -0.89858, -0.96397, -0.59667, 0.03846, 0.65632, 0.97958, 0.86314, 0.35926, -0.30588],
  ];
  const model = describeModel(config, "config.json");
  const logits = await wholeTargets({ ...model, weights: wave(model.module), generation: {} }, sources, targets);
  const got = logits.flatMap((row) => row.slice(-2));
  for (const [i, row] of expected.entries())
    for (const [v, x] of row.entries()) expect(Math.abs(got[i]![v]! - x)).toBeLessThan(1e-5);
});

test("cached decoding is the whole target's, and padding changes nothing", async () => {
  const model = tinyModel(config);
  const { difference, positions } = await cachedAgainstWhole(model, { texts: targets, prompts: [1, 3], sources });
  expect(positions).toBe(4 + 2);
  expect(difference).toBeLessThan(1e-5);
  const whole = await wholeTargets(model, sources, targets);
  expect(largestDifference(whole, await wholeTargets(model, sources, targets, 6))).toBe(0);
});

test("the parameters have torch's names", () => {
  const all = [...parametersOf(describeModel(config, "config.json").module)].map(
    ([name, { shape }]) => `${name} ${shape.join("×")}`,
  );
  expect(all).toHaveLength(1 + 2 * 12 + 18);
  expect(all).toEqual(
    expect.arrayContaining([
      "wte.weight 11×8",
      "encoder.layers.1.self_attn.in_proj_weight 24×8",
      "encoder.layers.0.linear1.weight 12×8",
      "encoder.layers.0.norm2.bias 8",
      "decoder.layers.0.multihead_attn.out_proj.weight 8×8",
      "decoder.layers.0.norm3.weight 8",
    ]),
  );
});

test("the token that targets begin with", () => {
  const start = (over: object) =>
    (describeModel({ ...config, ...over }, "config.json").config as TransformerConfig).decoder_start_token_id;
  expect(start({ pad_token_id: 3 })).toBe(3);
  expect(start({ pad_token_id: 3, bos_token_id: 5 })).toBe(5);
  expect(start({ pad_token_id: 3, bos_token_id: 5, decoder_start_token_id: 7 })).toBe(7);
});

describe("configurations that are refused", () => {
  test.each([
    [{ nhead: 3 }, "d_model 8 does not divide into nhead 3"],
    [{ d_model: 9, nhead: 3 }, "d_model must be even for sines and cosines, got 9"],
    [{ dropout: 1 }, "dropout must be a number ≥ 0 and ≤ 0.999, got 1"],
    [{ tie_word_embeddings: false }, "tie_word_embeddings false is not supported (only true)"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});
