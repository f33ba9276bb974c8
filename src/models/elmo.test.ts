import { describe, expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { againstTorch, rowOf } from "../../test/support/torch-recording.js";
import { learnRows } from "../../test/support/train-rows.js";
import { configReader } from "../core/config-reader.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { parametersOf, parameterTree } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { sequenceContext } from "../nn/context.js";
import { wordCharacters } from "../nn/word-characters.js";
import { add, mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { describeModel } from "../pretrained/load-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { headObjective } from "../train/head-objective.js";
import { taskLoss } from "../train/task-loss.js";
import { elmo } from "./elmo.js";

const config = {
  model_type: "elmo",
  vocab_size: 9,
  char_cnn: {
    activation: "relu",
    embedding: { dim: 3 },
    filters: [
      [1, 2],
      [2, 3],
      [3, 2],
    ],
    max_characters_per_token: 6,
    n_characters: 262,
    n_highway: 2,
  },
  lstm: { cell_clip: 0.6, proj_clip: 0.25, dim: 5, projection_dim: 4, n_layers: 2, use_skip_connections: true },
  dropout: 0,
  classifier_dropout: 0,
};
const words = ["<pad>", "catty", "on", "the", "dog", "é", "mat", "sat", "a"];
const read = (over: object = {}) => elmo.parse(configReader({ ...config, ...over }, "config.json"));

const characters = (sentence: readonly string[], length: number) =>
  Array.from({ length }, (_, i) =>
    sentence[i] === undefined ? Array<number>(6).fill(0) : wordCharacters(sentence[i], 6),
  );
const sentences = [
  ["the", "catty", "sat", "é"],
  ["on", "mat"],
];
const feeds = {
  ids: hostTensor(sentences.flatMap((s) => characters(s, 4)).flat(), [2, 4, 6], "int64"),
  mask: hostTensor([1, 1, 1, 1, 1, 1, 0, 0], [2, 4], "int64"),
};
const squares = (xs: readonly Tensor[]) => xs.map((x) => sum(mul(x, x))).reduce((a, b) => add(a, b));

describe("PyTorch's numbers, of sentences with and without padding", () => {
  test("the features", async () => {
    const module = elmo.architectures.ElmoModel!.build(read({ vocab_size: null })) as never;
    const { output, gradient } = await againstTorch("elmo-features", module, feeds, (params, { ids, mask }) => {
      const ctx = sequenceContext({ batch: 2, length: 4, attentionMask: mask });
      const { last_hidden_state: y } = (module as (...a: unknown[]) => Record<string, Tensor>)(params, ids, ctx);
      const outputs = { row0: rowOf(y!, 0), row1: rowOf(y!, 1, 2) };
      return { outputs, loss: squares(Object.values(outputs)) };
    });
    expect(output).toBeLessThan(1e-5);
    expect(gradient).toBeLessThan(1e-4);
  });

  test("the language models, and their loss", async () => {
    const module = elmo.architectures.ElmoForLanguageModeling!.build(read()) as never;
    const labels = hostTensor([3, 1, 4, 5, 2, 6, -100, -100], [2, 4], "int64");
    const { output, gradient } = await againstTorch(
      "elmo-lm",
      module,
      { ...feeds, labels },
      (params, { ids, mask, labels }) => {
        const ctx = sequenceContext({ batch: 2, length: 4, attentionMask: mask });
        const y = (module as (...a: unknown[]) => Record<string, Tensor>)(params, ids, ctx);
        const [forward, backward] = [y.forward_logits!, y.backward_logits!];
        const outputs = {
          forward0: rowOf(forward, 0),
          backward0: rowOf(backward, 0),
          forward1: rowOf(forward, 1, 2),
          backward1: rowOf(backward, 1, 2),
        };
        return { outputs, loss: taskLoss("bidirectional-lm", y, { labels: labels! }) };
      },
      { char_ids: hostTensor(new Float32Array(54), [9, 6]) },
    );
    expect(output).toBeLessThan(1e-5);
    expect(gradient).toBeLessThan(1e-4);
  });
});

/** A model with random weights, but for those that are given, on rows of tokens or characters. */
async function run(
  architecture: string,
  ids: HostTensor,
  mask?: HostTensor,
  over: object = {},
  given: Readonly<Record<string, HostTensor>> = {},
) {
  const model = describeModel({ ...config, ...over, architectures: [architecture] }, "config.json");
  const weights = initialize(model.module, 3);
  for (const [path, weight] of Object.entries(given)) weights.set(path, weight);
  elmo.fillFromVocabulary!(model.config as never, weights, words);
  const inputs = { ...Object.fromEntries(weights), "in.ids": ids, ...(mask ? { "in.mask": mask } : {}) };
  return evaluate(nativeRuntime(), inputs as Record<string, HostTensor>, (x) => {
    const [batch, length] = ids.shape as readonly [number, number];
    const ctx = sequenceContext({ batch, length, attentionMask: x["in.mask"] });
    const tree = parameterTree(model.module, (path) => x[path]);
    return (model.module as (...a: unknown[]) => Record<string, Tensor>)(tree, x["in.ids"], ctx);
  });
}
const tokens = (rows: readonly (readonly number[])[]) =>
  hostTensor(rows.flat(), [rows.length, rows[0]!.length], "int64");
/** Row `r`, position `i` of `[b, t, n]`. */
const at = ({ shape: [, t, n], data }: HostTensor, r: number, i: number) =>
  [...(data as Float32Array)].slice((r * t! + i) * n!, (r * t! + i + 1) * n!);

test("no direction sees what it is to predict", async () => {
  const [a, b] = [
    await run("ElmoForLanguageModeling", tokens([[3, 1, 4, 5, 6]])),
    await run("ElmoForLanguageModeling", tokens([[3, 1, 2, 5, 6]])),
  ];
  for (const i of [0, 1]) expect(at(b.forward_logits!, 0, i)).toEqual(at(a.forward_logits!, 0, i));
  for (const i of [2, 3, 4]) expect(at(b.forward_logits!, 0, i)).not.toEqual(at(a.forward_logits!, 0, i));
  for (const i of [3, 4]) expect(at(b.backward_logits!, 0, i)).toEqual(at(a.backward_logits!, 0, i));
  for (const i of [0, 1, 2]) expect(at(b.backward_logits!, 0, i)).not.toEqual(at(a.backward_logits!, 0, i));
});

test.each([
  ["ElmoModel", {}],
  ["ElmoForSequenceClassification", {}],
  ["ElmoForSequenceClassification", { word_vectors: "both", mix_layer_norm: true }],
  ["ElmoForSequenceClassification", { word_vectors: "plain" }],
])("padding on either side changes nothing: %s %j", async (head, over) => {
  const alone = Object.values(await run(head, tokens([[3, 1, 4]]), undefined, over))[0]!;
  const [right, left] = [
    await run(head, tokens([[3, 1, 4, 0, 0]]), tokens([[1, 1, 1, 0, 0]]), over),
    await run(head, tokens([[0, 7, 3, 1, 4]]), tokens([[0, 0, 1, 1, 1]]), over),
  ].map((y) => Object.values(y)[0]!);
  const close = (a: readonly number[], b: readonly number[]) => {
    expect(a).toHaveLength(b.length);
    for (const [i, x] of a.entries()) expect(x).toBeCloseTo(b[i]!, 6);
  };
  if (head !== "ElmoModel") for (const y of [right, left]) close(numbersOf(y!), numbersOf(alone));
  else
    for (const i of [0, 1, 2]) {
      close(at(right!, 0, i), at(alone, 0, i));
      close(at(left!, 0, i + 2), at(alone, 0, i));
    }
});

test("a token is its characters, and words that no tokenizer knows have features, too", async () => {
  const known = (await run("ElmoModel", tokens([[3, 1]]))).last_hidden_state!;
  const spelled = hostTensor(
    ["the", "catty"].flatMap((w) => wordCharacters(w, 6)),
    [1, 2, 6],
    "int64",
  );
  expect(known.shape).toEqual([1, 2, 8]);
  expect(numbersOf((await run("ElmoModel", spelled)).last_hidden_state!)).toEqual(numbersOf(known));
  const unknown = hostTensor(
    ["the", "zebra"].flatMap((w) => wordCharacters(w, 6)),
    [1, 2, 6],
    "int64",
  );
  expect(numbersOf((await run("ElmoModel", unknown)).last_hidden_state!)).not.toEqual(numbersOf(known));
});

test("plain embeddings and ELMo's features side by side: each has its own part of the projection", async () => {
  const ids = tokens([[3, 1, 4, 5]]);
  const random = initialize(
    describeModel({ ...config, word_vectors: "both", architectures: ["ElmoForSequenceClassification"] }, "").module,
    3,
  );
  const rows = Array.from({ length: 2 }, (_, r) =>
    numbersOf(random.get("classifier.weight")!).slice(32 * r, 32 * (r + 1)),
  );
  /** Mean and maximum of each kind: columns 0 … 7 and 16 … 23 are the plain ones'. */
  const part = (first: number) =>
    hostTensor(
      rows.flatMap((row) => [...row.slice(first, first + 8), ...row.slice(first + 16, first + 24)]),
      [2, 16],
    );
  const logits = async (word_vectors: string, given = {}) =>
    numbersOf((await run("ElmoForSequenceClassification", ids, undefined, { word_vectors }, given)).logits!);
  const both = await logits("both");
  const plain = await logits("plain", { "classifier.weight": part(0) });
  const elmoOnly = await logits("elmo", { "classifier.weight": part(8) });
  for (const [i, x] of both.entries()) expect(x).toBeCloseTo(plain[i]! + elmoOnly[i]!, 6);
  expect(plain.map(Math.abs).every((x) => x > 1e-4)).toBe(true);
  expect(elmoOnly.map(Math.abs).every((x) => x > 1e-4)).toBe(true);
});

describe("learning", () => {
  const rows = [
    [3, 1, 7, 2, 3, 6],
    [3, 4, 7, 2, 8, 6],
  ];
  const mask = rows.flat().map(() => 1);
  const batch = { input_ids: rows.flat(), attention_mask: mask, token_type_ids: mask.map(() => 0) };
  const fill = (weights: ReadonlyMap<string, HostTensor>) => elmo.fillFromVocabulary!(read(), weights, words);

  test("both directions memorize two sentences", async () => {
    const { losses, unmoved } = await learnRows(
      { ...config, dropout: 0.1, lstm: { ...config.lstm, cell_clip: 3, proj_clip: 3 } },
      { ...batch, labels: rows.flat() },
      () => headObjective({ task: "bidirectional-lm", length: 6 }),
      { rows: 2, steps: 120 },
      fill,
    );
    expect(losses[0]).toBeGreaterThan(1.9);
    expect(losses.at(-1)).toBeLessThan(0.8);
    expect(unmoved).toEqual(["char_ids"]);
  });

  test("a classifier tells two sentences apart, its mixture of layers moves", async () => {
    const { losses, unmoved } = await learnRows(
      {
        ...config,
        lstm: { ...config.lstm, cell_clip: 3, proj_clip: 3 },
        architectures: ["ElmoForSequenceClassification"],
      },
      { ...batch, labels: [0, 1] },
      ({ facts }) =>
        headObjective({
          task: "sequence-classification",
          length: 6,
          labels: { count: facts.labels!.names.length, problemType: "single_label_classification" },
        }),
      { rows: 2, steps: 60 },
      fill,
    );
    expect(losses.at(-1)).toBeLessThan(0.1);
    expect(unmoved).toEqual(["char_ids"]);
  });
});

test("the parameters", () => {
  const names = (architecture: string, over: object = {}) => {
    const { module } = describeModel({ ...config, ...over, architectures: [architecture] }, "config.json");
    return [...parametersOf(module)].map(([name, { shape }]) => `${name} ${shape.join("×")}`);
  };
  const cell = (direction: string, layer: number) => {
    const at = `_elmo_lstm._elmo_lstm.${direction}_layer_${layer}`;
    return [
      `${at}.input_linearity.weight 20×4`,
      `${at}.state_linearity.weight 20×4`,
      `${at}.state_linearity.bias 20`,
      `${at}.state_projection.weight 4×5`,
    ];
  };
  const words = "_elmo_lstm._token_embedder";
  const biLm = [
    `${words}._char_embedding_weights 262×3`,
    ...["2×3×1", "3×3×2", "2×3×3"].flatMap((shape, i) => [
      `${words}.char_conv_${i}.weight ${shape}`,
      `${words}.char_conv_${i}.bias ${shape[0]}`,
    ]),
    ...[0, 1].flatMap((i) => [
      `${words}._highways._layers.${i}.weight 14×7`,
      `${words}._highways._layers.${i}.bias 14`,
    ]),
    `${words}._projection.weight 4×7`,
    `${words}._projection.bias 4`,
    ...["forward", "backward"].flatMap((direction) => [0, 1].flatMap((layer) => cell(direction, layer))),
  ];
  const mix = ["scalar_mix_0.gamma 1", ...[0, 1, 2].map((j) => `scalar_mix_0.scalar_parameters.${j} 1`)];
  expect(names("ElmoModel", { vocab_size: null }).sort()).toEqual([...biLm, ...mix].sort());
  expect(names("ElmoForLanguageModeling").sort()).toEqual(
    [...biLm, "char_ids 9×6", "lm_head.weight 9×4", "lm_head.bias 9"].sort(),
  );
  expect(names("ElmoForSequenceClassification").sort()).toEqual(
    [...biLm, ...mix, "char_ids 9×6", "classifier.weight 2×16", "classifier.bias 2"].sort(),
  );
  expect(names("ElmoForSequenceClassification", { word_vectors: "plain" })).toEqual([
    "embedding.weight 9×8",
    "classifier.weight 2×16",
    "classifier.bias 2",
  ]);
  expect(names("ElmoForSequenceClassification", { word_vectors: "both" }).sort()).toEqual(
    [...biLm, ...mix, "char_ids 9×6", "embedding.weight 9×8", "classifier.weight 2×32", "classifier.bias 2"].sort(),
  );
});

test("a fresh model's config.json describes it", () => {
  const raw = elmo.fresh({ vocabSize: 50, contextLength: 16, layers: 2, heads: 4, d: 64, dropout: 0.2 });
  const model = describeModel({ ...raw, model_type: "elmo" }, "config.json");
  expect(model.warnings).toEqual([]);
  expect(model.facts.vocabSize).toBe(50);
  expect(parametersOf(model.module).get("_elmo_lstm._token_embedder._projection.weight")!.shape).toEqual([32, 64]);
});

test("the gates' biases start as they should: forget and carry open", () => {
  const weights = initialize(describeModel(config, "config.json").module, 1);
  const bias = (path: string) => numbersOf(weights.get(`_elmo_lstm.${path}`)!).join("");
  expect(bias("_elmo_lstm.forward_layer_0.state_linearity.bias")).toBe("00000111110000000000");
  expect(bias("_token_embedder._highways._layers.0.bias")).toBe("00000001111111");
});

describe("configurations that are refused", () => {
  test.each([
    [
      { char_cnn: { ...config.char_cnn, filters: [[7, 2]] } },
      "a filter is wider than max_characters_per_token (7 vs 6)",
    ],
    [{ char_cnn: { ...config.char_cnn, filters: [[0, 2]] } }, "char_cnn.filters must be a list of pairs"],
    [{ char_cnn: { ...config.char_cnn, activation: "gelu" } }, "char_cnn.activation must be one of relu, tanh"],
    [{ word_vectors: "glove" }, "word_vectors must be one of elmo, plain, both"],
    [{ word_vectors: "plain", vocab_size: null }, "word_vectors plain needs a table of tokens, vocab_size is missing"],
    [{ bidirectional: false }, "bidirectional false is not supported (only true)"],
    [{ lstm: { ...config.lstm, dim: 0 } }, "lstm.dim must be a whole number ≥ 1, got 0"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(message);
  });
  test("a language model without a vocabulary", () => {
    expect(() => describeModel({ ...config, vocab_size: null }, "config.json")).toThrow("vocab_size is missing");
  });
  test("tokens for a model of characters", async () => {
    await expect(run("ElmoModel", tokens([[1]]), undefined, { vocab_size: null })).rejects.toThrow("(3 vs 2)");
  });
  test("characters for plain embeddings", async () => {
    const ids = hostTensor(characters(["the"], 1).flat(), [1, 1, 6], "int64");
    await expect(run("ElmoForSequenceClassification", ids, undefined, { word_vectors: "both" })).rejects.toThrow(
      "elmo: plain embeddings are of tokens, [b, t], got 3 axes (2 vs 3)",
    );
  });
});
