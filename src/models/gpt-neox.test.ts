import { describe, expect, test } from "vitest";
import { cachedAgainstWhole, wholeModel } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { hostTensor } from "../core/host-tensor.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";

const config = {
  model_type: "gpt_neox",
  vocab_size: 5,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 16,
  rotary_pct: 0.5,
};

/** Logits of the tokens 3, 1, 4 by transformers' definition written down again in PyTorch 1.13; weights as in {@link weightOf}. */
const recorded: readonly (readonly [object, readonly (readonly number[])[]])[] = [
  [
    {},
    [
      [4.83402, -1.51111, 2.3139, 1.96467, 0.92455],
      [3.12395, -1.30521, 1.54018, -0.24308, 0.61098],
      [4.04893, -1.73431, 1.5542, 0.93801, 1.04132],
    ],
  ],
  [
    { use_parallel_residual: false, attention_bias: false, hidden_act: "relu", tie_word_embeddings: true },
    [
      [5.13065, -1.67432, 1.94807, 2.13908, 1.1176],
      [2.48161, -1.37481, 1.04036, -0.26136, 0.0344],
      [4.56253, -1.47529, 2.03215, 1.54505, 0.96824],
    ],
  ],
  [
    { rotary_pct: 0.75, rotary_emb_base: 50, rope_scaling: { type: "linear", factor: 2 } },
    [
      [4.83402, -1.51111, 2.3139, 1.96467, 0.92455],
      [3.24303, -1.32886, 1.56536, -0.12131, 0.69092],
      [3.00471, -1.495, 1.2254, -0.20577, 0.46773],
    ],
  ],
];

/** The i-th element of a weight. */
const weightOf = (name: string, i: number) => {
  const sum = [...name].reduce((total, letter) => total + letter.charCodeAt(0), 0);
  return Math.sin((sum % 97) + 1.7 * i + 0.37 * i * i);
};

describe("logits", () => {
  test.each(recorded)("%j", async (over, expected) => {
    const model = describeModel({ ...config, ...over }, "config.json");
    const weights = new Map(
      [...parametersOf(model.module)].map(([name, { shape }]) => {
        const length = shape.reduce((a, b) => a * b, 1);
        return [
          name,
          hostTensor(
            Array.from({ length }, (_, i) => weightOf(name, i)),
            shape,
          ),
        ] as const;
      }),
    );
    using text = await wholeModel({ ...model, weights, generation: {} });
    expect(await text.logits([3, 1, 4])).toEqual(expected.map((row) => row.map((x) => expect.closeTo(x, 4))));
  });
});

const rows = [
  [3, 1, 4, 1, 0, 2, 2, 3],
  [2, 0, 1, 3, 2, 4, 1, 4],
];

test.each([
  {},
  { use_parallel_residual: false, attention_bias: false },
  { num_attention_heads: 3, hidden_size: 18, rotary_pct: 0.6, tie_word_embeddings: true }, // 3 of 6 elements: two pairs
  { num_attention_heads: 1, rope_scaling: { type: "linear", factor: 3 } },
])("cached decoding is the whole sequence's: %j", async (over) => {
  const model = tinyModel({ ...config, ...over });
  const { difference, positions } = await cachedAgainstWhole(model, { texts: rows, prompts: [4, 1] });
  expect(positions).toBe(5 + 8);
  expect(difference).toBeLessThan(1e-5);
});

test("the parameters", () => {
  const names = (over: object) => [
    ...parametersOf(describeModel({ ...config, num_hidden_layers: 1, ...over }, "config.json").module).keys(),
  ];
  const layer = "gpt_neox.layers.0.";
  const all = [
    "gpt_neox.embed_in.weight",
    ...["input_layernorm", "post_attention_layernorm", "attention.query_key_value", "attention.dense"].flatMap(
      (name) => [`${layer}${name}.weight`, `${layer}${name}.bias`],
    ),
    ...["dense_h_to_4h", "dense_4h_to_h"].flatMap((name) => [`${layer}mlp.${name}.weight`, `${layer}mlp.${name}.bias`]),
    "gpt_neox.final_layer_norm.weight",
    "gpt_neox.final_layer_norm.bias",
    "embed_out.weight",
  ];
  expect(names({})).toEqual(all);
  const plain = all.filter((name) => !/attention\.(query_key_value|dense)\.bias|embed_out/.test(name));
  expect(names({ attention_bias: false, tie_word_embeddings: true })).toEqual(plain);
});

describe("configurations that are refused", () => {
  test.each([
    [{ num_attention_heads: 3 }, "hidden_size 8 does not divide into num_attention_heads 3"],
    [{ rotary_pct: 0.1 }, "rotary positions need pairs of elements, 0.1 of a head of 4 are 0"],
    [{ rotary_pct: 1.5 }, "rotary_pct must be a number > 0 and ≤ 1, got 1.5"],
    [{ hidden_act: "softsign" }, "hidden_act must be one of"],
    [{ rope_scaling: { type: "longrope" } }, "rope_scaling.type must be one of default, linear, dynamic, llama3, yarn"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(message);
  });
});
