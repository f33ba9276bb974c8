import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { sequenceContext } from "../nn/context.js";
import { layerDrop } from "../nn/layer-drop.js";
import { mul } from "../ops/elementwise.js";
import { describeModel } from "../pretrained/load-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";

const config = {
  model_type: "opt",
  vocab_size: 11,
  max_position_embeddings: 24,
  hidden_size: 12,
  ffn_dim: 20,
  num_hidden_layers: 2,
  num_attention_heads: 2,
};
const describeWith = (over: object) => describeModel({ ...config, ...over }, "config.json");

/** OPT-350M: post-norm, smaller embeddings. */
const post = { do_layer_norm_before: false, word_embed_proj_dim: 5 };

const rows = [
  [3, 1, 4, 1, 5, 9, 2, 6, 5, 3],
  [2, 7, 1, 8, 2, 8, 1],
];

test.each([{}, post, { num_attention_heads: 3, layer_norm_elementwise_affine: false, enable_bias: false }])(
  "cached decoding of %j is the whole text's",
  async (over) => {
    const { difference, positions } = await cachedAgainstWhole(tinyModel({ ...config, ...over }), {
      texts: rows,
      prompts: [3, 1],
    });
    expect(positions).toBe(8 + 7);
    expect(difference).toBeLessThan(1e-5);
  },
);

test("padding, left or right, changes no logit", async () => {
  const model = tinyModel({ ...config, ...post });
  const text = [3, 1, 4, 1, 5];
  const logitsOf = async (ids: readonly number[], mask: readonly number[]) => {
    const feeds = { ids: hostTensor(ids, [1, ids.length], "int64"), mask: hostTensor(mask, [1, ids.length], "int64") };
    const all: Readonly<Record<string, HostTensor>> = { ...Object.fromEntries(model.weights), ...feeds };
    const { logits } = await evaluate(nativeRuntime(), all, (given) => {
      const ctx = sequenceContext({ batch: 1, length: ids.length, attentionMask: given.mask! });
      return {
        logits: model.module(
          parameterTree(model.module, (path) => given[path]),
          given.ids,
          ctx,
        ),
      };
    });
    return ids.map((_, i) => Array.from(logits.data as Float32Array).slice(11 * i, 11 * (i + 1)));
  };
  const alone = await logitsOf(text, [1, 1, 1, 1, 1]);
  const close = (a: readonly number[][], b: readonly number[][]) =>
    expect(Math.max(...a.flatMap((row, i) => row.map((x, v) => Math.abs(x - b[i]![v]!))))).toBeLessThan(1e-4);
  close((await logitsOf([7, 7, ...text], [0, 0, 1, 1, 1, 1, 1])).slice(2), alone);
  close((await logitsOf([...text, 7, 7], [1, 1, 1, 1, 1, 0, 0])).slice(0, 5), alone);
});

test("the parameters", () => {
  const names = (over: object) =>
    [...parametersOf(describeWith({ num_hidden_layers: 1, ...over }).module)]
      .map(([name, { shape }]) => `${name.replace("model.decoder.", "")} ${shape.join("×")}`)
      .sort();
  const layer = ["k", "out", "q", "v"].flatMap((p) => [
    `layers.0.self_attn.${p}_proj.bias 12`,
    `layers.0.self_attn.${p}_proj.weight 12×12`,
  ]);
  const norms = ["final_layer_norm", "self_attn_layer_norm"].flatMap((n) => [
    `layers.0.${n}.bias 12`,
    `layers.0.${n}.weight 12`,
  ]);
  const inner = ["fc1.bias 20", "fc1.weight 20×12", "fc2.bias 12", "fc2.weight 12×20"].map((n) => `layers.0.${n}`);
  const common = [...layer, ...norms, ...inner, "embed_positions.weight 26×12"];
  const final = ["final_layer_norm.bias 12", "final_layer_norm.weight 12"];
  expect(names({})).toEqual([...common, ...final, "embed_tokens.weight 11×12"].sort());
  const projections = ["project_in.weight 12×5", "project_out.weight 5×12", "embed_tokens.weight 11×5"];
  expect(names(post)).toEqual([...common, ...projections].sort());
  expect(names({ ...post, tie_word_embeddings: false })).toContain("lm_head.weight 11×5");
  expect(names({ _remove_final_layer_norm: true })).toEqual([...common, "embed_tokens.weight 11×12"].sort());
  const bare = names({ enable_bias: false, layer_norm_elementwise_affine: false });
  expect(bare.filter((name) => /bias|norm/.test(name))).toEqual([]);
});

test("LayerDrop leaves a layer out for the whole batch at its rate, and changes nothing outside training", async () => {
  const kept = async (rate: number, steps: number, training = true) => {
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const feeds = { x: hostTensor([1, 2], [2]), key: hostTensor([5, step], [2], "int32") };
      const { y } = await evaluate(nativeRuntime(), feeds, ({ x, key }) => {
        const ctx = sequenceContext({ batch: 1, length: 2, dropoutKey: training ? key : undefined });
        return { y: layerDrop((z) => mul(z, 3), x, rate, ctx) };
      });
      expect([[1, 2].join(), [3, 6].join()]).toContain(Array.from(y.data as Float32Array).join());
      if (Number(y.data[0]) === 3) seen.push(step);
    }
    return seen.length;
  };
  expect(await kept(0.5, 40)).toSatisfy((n: number) => n > 8 && n < 32); // outside by chance once in 10,000 keys, and the key is fixed
  expect(await kept(0.9, 3, false)).toBe(3);
});

describe("configurations that are refused", () => {
  test.each([
    [{ num_attention_heads: 5 }, "hidden_size 12 does not divide into num_attention_heads 5"],
    [{ activation_function: "xielu" }, "activation_function must be one of"],
    [{ ffn_dim: undefined }, "ffn_dim is missing"],
    [{ layerdrop: 1 }, "layerdrop must be a number ≥ 0 and ≤ 0.999, got 1"],
  ])("%j", (over, message) => {
    expect(() => describeWith(over)).toThrow(`config.json: ${message}`);
  });
});
