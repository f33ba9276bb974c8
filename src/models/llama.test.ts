import { describe, expect, test } from "vitest";
import { cachedAgainstWhole, wholeModel } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";
import { glm, glm4 } from "./glm.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { qwen2, qwen3 } from "./qwen.js";

const sizes = { vocab_size: 11, hidden_size: 18, intermediate_size: 20, num_hidden_layers: 2, num_attention_heads: 3 };
const of = (model_type: string, over: object = {}) => ({
  model_type,
  ...sizes,
  head_dim: 6,
  num_key_value_heads: 1,
  max_position_embeddings: 24,
  ...over,
});
const window = { use_sliding_window: true, sliding_window: 3, max_window_layers: 1 };
const llama3 = { rope_type: "llama3", factor: 4, low_freq_factor: 1, high_freq_factor: 4 };

const rows = [
  [3, 1, 4, 1, 5, 9, 2, 6, 5, 3],
  [2, 7, 1, 8, 2, 8, 1, 8, 2, 8],
];

describe("cached decoding is the whole sequence's", () => {
  test.each([
    of("llama"),
    of("llama", { attention_bias: true, mlp_bias: true, tie_word_embeddings: true, hidden_act: "mish" }),
    of("llama", { pretraining_tp: 2 }),
    of("llama", { rope_parameters: { ...llama3, original_max_position_embeddings: 12, rope_theta: 100 } }),
    of("llama", { rope_theta: 100, rope_scaling: { type: "dynamic", factor: 2 } }),
    of("mistral", { sliding_window: 3, head_dim: 10 }),
    of("mistral", { sliding_window: 1, num_key_value_heads: 3 }),
    of("mistral", { sliding_window: null }),
    of("qwen2", window),
    of("qwen3", { ...window, layer_types: ["sliding_attention", "full_attention"], attention_bias: true }),
    of("glm", { rope_scaling: { type: "yarn", factor: 2 } }),
    of("glm4", { num_key_value_heads: 3, partial_rotary_factor: 1 }),
  ])("%j", async (config) => {
    const { difference, positions } = await cachedAgainstWhole(tinyModel(config), { texts: rows, prompts: [4, 1] });
    expect(positions).toBe(7 + 10);
    expect(difference).toBeLessThan(1e-5);
  });

  test("but not where dynamic positions outgrow the length of the first training", async () => {
    const config = of("llama", { max_position_embeddings: 8, rope_parameters: { rope_type: "dynamic", factor: 2 } });
    const differenceUpTo = async (n: number) => {
      const texts = rows.map((row) => row.slice(0, n));
      return (await cachedAgainstWhole(tinyModel(config), { texts, prompts: [4, 1] })).difference;
    };
    expect(await differenceUpTo(8)).toBeLessThan(1e-5);
    expect(await differenceUpTo(10)).toBeGreaterThan(1e-3); // the whole text has the angles of its ten tokens from the first on
  });
});

test("a window hides what is further back", async () => {
  const last = async (sliding_window: number | null, first: number) => {
    const config = of("mistral", { sliding_window, num_hidden_layers: 1 });
    using whole = await wholeModel(tinyModel(config));
    return (await whole.logits([first, 1, 4, 1, 5])).at(-1)!;
  };
  expect(await last(4, 3)).toEqual(await last(4, 7));
  expect(await last(5, 3)).not.toEqual(await last(5, 7));
  expect(await last(null, 3)).toEqual(await last(5, 3));
});

const names = (config: object) =>
  [...parametersOf(describeModel({ ...config, num_hidden_layers: 1 }, "config.json").module)].map(
    ([name, { shape }]) => `${name.replace("model.layers.0.", "")} ${shape.join("×")}`,
  );

test("the parameters of each family", () => {
  const plain = names(of("llama"));
  expect(plain).toEqual([
    "model.embed_tokens.weight 11×18",
    "input_layernorm.weight 18",
    "self_attn.q_proj.weight 18×18",
    "self_attn.k_proj.weight 6×18",
    "self_attn.v_proj.weight 6×18",
    "self_attn.o_proj.weight 18×18",
    "post_attention_layernorm.weight 18",
    "mlp.gate_proj.weight 20×18",
    "mlp.up_proj.weight 20×18",
    "mlp.down_proj.weight 18×20",
    "model.norm.weight 18",
    "lm_head.weight 11×18",
  ]);
  const more = (config: object) => names(config).filter((name) => !plain.includes(name));
  const biases = ["self_attn.q_proj.bias 18", "self_attn.k_proj.bias 6", "self_attn.v_proj.bias 6"];
  expect(names(of("mistral"))).toEqual(plain);
  expect(more(of("qwen2"))).toEqual(biases);
  expect(more(of("qwen3"))).toEqual(["self_attn.q_norm.weight 6", "self_attn.k_norm.weight 6"]);
  expect(more(of("llama", { attention_bias: true }))).toEqual([...biases, "self_attn.o_proj.bias 18"]);
  expect(more(of("glm"))).toEqual([...biases, "mlp.gate_up_proj.weight 40×18"]);
  expect(more(of("glm4"))).toEqual([
    ...biases,
    "post_self_attn_layernorm.weight 18",
    "mlp.gate_up_proj.weight 40×18",
    "post_mlp_layernorm.weight 18",
  ]);
  expect(names(of("llama", { tie_word_embeddings: true }))).toEqual(plain.slice(0, -1));
});

test("a stretched text is as long as its positions are meant for", () => {
  const length = (rope_parameters: object) =>
    describeModel(of("llama", { rope_parameters }), "config.json").facts.contextLength;
  expect(length({ rope_type: "default" })).toBe(24);
  expect(length({ rope_type: "linear", factor: 2.5 })).toBe(60);
  expect(length({ rope_type: "dynamic", factor: 2 })).toBe(48);
  expect(length({ ...llama3, original_max_position_embeddings: 6 })).toBe(24);
  expect(length({ rope_type: "yarn", factor: 4, original_max_position_embeddings: 20 })).toBe(80);
  expect(length({ rope_type: "yarn", factor: 4, original_max_position_embeddings: 6 })).toBe(24);
});

test.each([llama, mistral, qwen2, qwen3, glm, glm4])("a fresh $modelType is a configuration of its own", (family) => {
  const fresh = family.fresh({ vocabSize: 50, contextLength: 32, layers: 2, heads: 3, d: 24, dropout: 0.1 });
  const model = describeModel({ ...fresh, model_type: family.modelType }, "config.json");
  expect(model.warnings).toEqual([]);
  expect(model.facts).toEqual({ vocabSize: 50, contextLength: 32 });
  expect(model.config).toMatchObject({ attention_dropout: 0.1, head_dim: 8 });
});

describe("configurations that are refused", () => {
  test.each([
    [of("llama", { num_key_value_heads: 2 }), "num_attention_heads 3 is no multiple of num_key_value_heads 2"],
    [of("llama", { head_dim: null, hidden_size: 20 }), "hidden_size 20 does not divide into num_attention_heads 3"],
    [of("llama", { head_dim: 5 }), "rotary positions need pairs of elements, 1 of a head of 5 are 5"],
    [of("llama", { partial_rotary_factor: 0.5 }), "partial_rotary_factor 0.5 is not supported (only 1)"],
    [of("llama", { rope_scaling: { rope_type: "longrope" } }), "rope_scaling.rope_type must be one of"],
    [of("llama", { rope_parameters: { rope_type: "linear" } }), "rope_parameters.factor is missing"],
    [
      of("llama", { rope_parameters: { rope_type: "dynamic", factor: 2 }, head_dim: 2 }),
      "more than two rotated elements",
    ],
    [
      of("llama", { rope_parameters: { ...llama3, high_freq_factor: 1 } }),
      "high_freq_factor must be above low_freq_factor",
    ],
    [of("qwen3", { rope_parameters: { full_attention: {} } }), "rope_parameters.full_attention {} is not supported"],
    [of("mistral", { sliding_window: 0 }), "sliding_window must be a whole number ≥ 1, got 0"],
    [of("qwen2", { layer_types: ["full_attention"] }), "layer_types and num_hidden_layers disagree (1 vs 2)"],
    [
      of("qwen2", { layer_types: ["full_attention", "sliding_attention"] }),
      "layer_types has sliding_attention, which needs use_sliding_window and sliding_window",
    ],
  ])("%j", (config, message) => {
    expect(() => describeModel(config, "config.json")).toThrow(message);
  });
});
