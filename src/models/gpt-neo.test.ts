import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { hostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { parametersOf } from "../core/module.js";
import { paddingBias } from "../nn/context.js";
import { attention } from "../ops/attention.js";
import { describeModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { gptNeo } from "./gpt-neo.js";

const config = {
  model_type: "gpt_neo",
  vocab_size: 11,
  max_position_embeddings: 24,
  hidden_size: 12,
  num_layers: 2,
  num_heads: 2,
  attention_types: [[["global", "local"], 1]],
  window_size: 4,
};
const describeWith = (over: object) => describeModel({ ...config, ...over }, "config.json");

const rows = [
  [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9],
  [2, 7, 1, 8, 2, 8, 1],
];

test.each([{}, { num_heads: 3, window_size: 1 }, { num_heads: 1, activation_function: "relu", intermediate_size: 7 }])(
  "cached decoding of %j is the whole text's",
  async (over) => {
    const { difference, positions } = await cachedAgainstWhole(tinyModel({ ...config, ...over }), {
      texts: rows,
      prompts: [9, 1],
    });
    expect(positions).toBe(7 + 7);
    expect(difference).toBeLessThan(1e-5);
  },
);

test("the parameters", () => {
  const names = [...parametersOf(describeWith({ num_layers: 1, attention_types: [[["local"], 1]] }).module)];
  expect(names.map(([name, { shape }]) => `${name} ${shape.join("×")}`)).toEqual([
    "transformer.wte.weight 11×12",
    "transformer.wpe.weight 24×12",
    "transformer.h.0.ln_1.weight 12",
    "transformer.h.0.ln_1.bias 12",
    "transformer.h.0.attn.attention.q_proj.weight 12×12",
    "transformer.h.0.attn.attention.k_proj.weight 12×12",
    "transformer.h.0.attn.attention.v_proj.weight 12×12",
    "transformer.h.0.attn.attention.out_proj.weight 12×12",
    "transformer.h.0.attn.attention.out_proj.bias 12",
    "transformer.h.0.ln_2.weight 12",
    "transformer.h.0.ln_2.bias 12",
    "transformer.h.0.mlp.c_fc.weight 48×12",
    "transformer.h.0.mlp.c_fc.bias 48",
    "transformer.h.0.mlp.c_proj.weight 12×48",
    "transformer.h.0.mlp.c_proj.bias 12",
    "transformer.ln_f.weight 12",
    "transformer.ln_f.bias 12",
  ]);
});

test("which layers are local", () => {
  const layers = (over: object) => (describeWith(over).config as { attention_layers: string[] }).attention_layers;
  const mixed = [
    [["local"], 1],
    [["global", "local"], 2],
  ];
  expect(layers({ num_layers: 5, attention_types: mixed })).toEqual(["local", "global", "local", "global", "local"]);
  expect(layers({ attention_types: undefined, attention_layers: ["local", "local"] })).toEqual(["local", "local"]);
  expect(layers({ num_layers: 4, attention_types: undefined })).toEqual(["global", "local", "global", "local"]);
  const fresh = gptNeo.fresh({ vocabSize: 11, contextLength: 16, layers: 3, heads: 2, d: 12, dropout: 0 });
  expect(layers({ ...fresh })).toEqual(["global", "local", "global"]);
});

test("padding behind its window looks at what the band or the padding hides, not at what both hide", async () => {
  const zeros = hostTensor(new Float32Array(4), [1, 4, 1, 1]);
  const oneHot = hostTensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [1, 4, 1, 4]);
  const lastRow = async (unseen: "all" | "hidden once") => {
    const feeds = { q: zeros, v: oneHot, mask: hostTensor([1, 1, 0, 0], [1, 4], "int64") };
    const { y } = await evaluate(nativeRuntime(), feeds, ({ q, v, mask }) => ({
      y: attention(q, q, v, { mask: { window: 1, unseen }, bias: paddingBias(mask) }),
    }));
    return Array.from(y.data as Float32Array).slice(12);
  };
  expect(await lastRow("hidden once")).toEqual([1 / 3, 1 / 3, 0, 1 / 3].map(Math.fround));
  expect(await lastRow("all")).toEqual([0.25, 0.25, 0.25, 0.25]);
});

test("a checkpoint with the buffers of earlier versions loads", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tessera-gpt-neo-"));
  try {
    const model = describeWith({});
    const weights = new Map(initialize(model.module, 1));
    const buffer = hostTensor([1], [1]);
    for (const name of ["bias", "masked_bias"]) weights.set(`transformer.h.1.attn.attention.${name}`, buffer);
    weights.set("lm_head.weight", weights.get("transformer.wte.weight")!);
    saveModel(folder, { ...model, weights });
    const back = await readModel(folder);
    expect([...back.weights.keys()]).toEqual([...parametersOf(model.module).keys()]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("configurations that are refused", () => {
  test.each([
    [{ num_layers: 3 }, "attention_types is of other layers than num_layers (2 vs 3)"],
    [
      { attention_types: [["global", 2]] },
      "attention_types must be a list of [kinds, times], with kinds of global, local",
    ],
    [
      { attention_types: [[["sparse"], 2]] },
      "attention_types must be a list of [kinds, times], with kinds of global, local",
    ],
    [
      { attention_types: [[["local"], 1e12]] },
      "attention_types must be a list of [kinds, times], with kinds of global, local",
    ],
    [
      { attention_layers: ["local", "local"] },
      "attention_layers and attention_types disagree (local local vs global local)",
    ],
    [{ num_heads: 5 }, "hidden_size 12 does not divide into num_heads 5"],
    [{ window_size: 0 }, "window_size must be a whole number ≥ 1, got 0"],
  ])("%j", (over, message) => {
    expect(() => describeWith(over)).toThrow(message);
  });
});
