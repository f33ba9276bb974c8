import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";

const config = { model_type: "bloom", vocab_size: 11, hidden_size: 12, n_layer: 2, n_head: 2 };
const describeWith = (over: object) => describeModel({ ...config, ...over }, "config.json");

const rows = [Array.from({ length: 80 }, (_, i) => (i * i + 3) % 11), [2, 7, 1, 8, 2, 8, 1]];

test.each([
  { n_head: 1 },
  { n_head: 3 },
  { n_head: 12, hidden_size: 36 }, // heads of 3
  { n_head: 5, hidden_size: 45, apply_residual_connection_post_layernorm: true }, // heads of 9
])("cached decoding of %j is the whole text's", async (over) => {
  const { difference, positions } = await cachedAgainstWhole(tinyModel({ ...config, ...over }), {
    texts: rows,
    prompts: [3, 1],
  }); // past the first 64 slots
  expect(positions).toBe(78 + 7);
  expect(difference).toBeLessThan(1e-5);
});

test("the parameters", () => {
  const names = [...parametersOf(describeWith({ n_layer: 1 }).module)].map(
    ([name, { shape }]) => `${name} ${shape.join("×")}`,
  );
  expect(names).toEqual([
    "transformer.word_embeddings.weight 11×12",
    "transformer.word_embeddings_layernorm.weight 12",
    "transformer.word_embeddings_layernorm.bias 12",
    "transformer.h.0.input_layernorm.weight 12",
    "transformer.h.0.input_layernorm.bias 12",
    "transformer.h.0.self_attention.query_key_value.weight 36×12",
    "transformer.h.0.self_attention.query_key_value.bias 36",
    "transformer.h.0.self_attention.dense.weight 12×12",
    "transformer.h.0.self_attention.dense.bias 12",
    "transformer.h.0.post_attention_layernorm.weight 12",
    "transformer.h.0.post_attention_layernorm.bias 12",
    "transformer.h.0.mlp.dense_h_to_4h.weight 48×12",
    "transformer.h.0.mlp.dense_h_to_4h.bias 48",
    "transformer.h.0.mlp.dense_4h_to_h.weight 12×48",
    "transformer.h.0.mlp.dense_4h_to_h.bias 12",
    "transformer.ln_f.weight 12",
    "transformer.ln_f.bias 12",
  ]);
  expect([...parametersOf(describeWith({ tie_word_embeddings: false }).module).keys()]).toContain("lm_head.weight");
});

test("the fields of the published checkpoints", () => {
  // As bigscience/bloom-560m has them, smaller.
  const published = {
    apply_residual_connection_post_layernorm: false,
    attention_softmax_in_fp32: true,
    bias_dropout_fusion: true,
    masked_softmax_fusion: true,
    model_type: "bloom",
    n_embed: 12,
    n_inner: null,
    n_layer: 2,
    num_attention_heads: 3,
    offset_alibi: 100,
    pretraining_tp: 2,
    skip_bias_add: true,
    skip_bias_add_qkv: false,
    unk_token_id: 0,
    vocab_size: 11,
  };
  const { config: parsed, warnings } = describeModel(published, "config.json");
  expect(parsed).toMatchObject({ hidden_size: 12, n_head: 3, n_layer: 2 });
  expect(warnings).toEqual([]);
});

describe("configurations that are refused", () => {
  test.each([
    [{ n_layer: undefined }, "n_layer is missing"],
    [{ n_head: 5 }, "hidden_size 12 does not divide into n_head 5"],
    [{ hidden_dropout: 1 }, "hidden_dropout must be a number ≥ 0 and ≤ 0.999, got 1"],
    [
      { slow_but_exact: true, pretraining_tp: 2 },
      "slow_but_exact with pretraining_tp 2 is not supported: it leaves biases out",
    ],
  ])("%j", (over, message) => {
    expect(() => describeWith(over)).toThrow(`config.json: ${message}`);
  });
});
