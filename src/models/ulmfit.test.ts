import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { numbersOf } from "../../test/support/run-graph.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { againstTorch, rowOf } from "../../test/support/torch-recording.js";
import { learnRows } from "../../test/support/train-rows.js";
import { hostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { parametersOf, parameterTree } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { sequenceContext } from "../nn/context.js";
import { lockedDropout } from "../nn/recurrent-dropout.js";
import { describeModel } from "../pretrained/load-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { headObjective } from "../train/head-objective.js";
import { causalLanguageModeling } from "../train/objective.js";
import { taskLoss } from "../train/task-loss.js";
import { layerGroups } from "../train/trained-parts.js";
import { type AwdLstmConfig, ulmfit } from "./ulmfit.js";

const config = { model_type: "ulmfit", vocab_size: 9, emb_sz: 4, n_hid: 6, n_layers: 3, lin_ftrs: [5], num_labels: 3 };
const dry = { output_p: 0, hidden_p: 0, input_p: 0, embed_p: 0, weight_p: 0, ps: 0 };
const classifier = { ...config, architectures: ["AwdLstmForSequenceClassification"] };

type Forward = (params: unknown, ids: unknown, ctx: unknown) => Tensor;
type Heads = (params: unknown, ids: unknown, ctx: unknown) => Record<string, Tensor>;

describe("PyTorch's numbers, of rows with and without padding", () => {
  const feeds = {
    ids: hostTensor([3, 1, 4, 5, 2, 6, 0, 0], [2, 4], "int64"),
    mask: hostTensor([1, 1, 1, 1, 1, 1, 0, 0], [2, 4], "int64"),
  };

  test("the language model and its loss", async () => {
    const { module } = describeModel(config, "config.json");
    const labels = hostTensor([3, 1, 4, 5, 2, 6, -100, -100], [2, 4], "int64");
    const { output, gradient } = await againstTorch("ulmfit-lm", module, { ...feeds, labels }, (params, given) => {
      const ctx = sequenceContext({ batch: 2, length: 4, attentionMask: given.mask });
      const logits = (module as Forward)(params, given.ids, ctx);
      const loss = taskLoss("causal-lm", { logits }, { labels: given.labels! });
      return { outputs: { row0: rowOf(logits, 0), row1: rowOf(logits, 1, 2) }, loss };
    });
    expect(output).toBeLessThan(1e-5);
    expect(gradient).toBeLessThan(1e-4);
  });

  test("the classifier: the last, the greatest and the mean of the tokens alone", async () => {
    const { module } = describeModel(classifier, "config.json");
    const labels = hostTensor([2, 0], [2], "int64");
    const { output, gradient } = await againstTorch(
      "ulmfit-classifier",
      module,
      { ...feeds, labels },
      (params, given) => {
        const ctx = sequenceContext({ batch: 2, length: 4, attentionMask: given.mask });
        const { logits } = (module as Heads)(params, given.ids, ctx);
        const loss = taskLoss("sequence-classification", { logits: logits! }, { labels: given.labels! });
        return { outputs: { row0: rowOf(logits!, 0), row1: rowOf(logits!, 1) }, loss };
      },
    );
    expect(output).toBeLessThan(1e-5);
    expect(gradient).toBeLessThan(1e-4);
  });
});

test("padding on the left changes no class", async () => {
  const { module } = describeModel(classifier, "config.json");
  const weights = initialize(module, 2);
  const feeds = {
    ids: hostTensor([7, 7, 3, 1, 4], [1, 5], "int64"),
    mask: hostTensor([0, 0, 1, 1, 1], [1, 5], "int64"),
    alone: hostTensor([3, 1, 4], [1, 3], "int64"),
    ...Object.fromEntries(weights),
  };
  const { padded, single } = await evaluate(nativeRuntime(), feeds, (given) => {
    const tree = parameterTree(module, (path) => given[path as keyof typeof given]);
    const run = (ids: Tensor, attentionMask?: Tensor) =>
      (module as Heads)(tree, ids, sequenceContext({ batch: 1, length: ids.shape[1]!, attentionMask })).logits!;
    return { padded: run(given.ids, given.mask), single: run(given.alone) };
  });
  for (const [i, x] of numbersOf(padded).entries()) expect(x).toBeCloseTo(numbersOf(single)[i]!, 6);
});

test.each([{}, { tie_weights: false }])("cached decoding is the whole sequence's, %j", async (over) => {
  const rows = [
    [3, 1, 4, 1, 5, 8, 2],
    [2, 7, 1, 8, 2, 8, 1],
  ];
  const model = tinyModel({ ...config, ...over });
  const { difference, positions } = await cachedAgainstWhole(model, { texts: rows, prompts: [3, 1] });
  expect(positions).toBe(5 + 7);
  expect(difference).toBeLessThan(1e-5);
});

describe("dropout", () => {
  /** Outputs of the model while it trains, for two equal rows, under a key. */
  const train = async (over: Partial<AwdLstmConfig>, key: readonly [number, number]) => {
    const { module } = describeModel({ ...config, ...dry, ...over }, "config.json");
    const weights = initialize(module, 2);
    const feeds = {
      ids: hostTensor([3, 3, 3, 3, 3, 3, 3, 3], [2, 4], "int64"),
      key: hostTensor(key, [2], "int32"),
      ...Object.fromEntries(weights),
    };
    const { y } = await evaluate(nativeRuntime(), feeds, (given) => {
      const tree = parameterTree(module, (path) => given[path as keyof typeof given]);
      return {
        y: (module as Forward)(tree, given.ids, sequenceContext({ batch: 2, length: 4, dropoutKey: given.key })),
      };
    });
    const numbers = numbersOf(y);
    return [numbers.slice(0, 36), numbers.slice(36)] as const;
  };

  test("none: both rows and every key alike", async () => {
    const [a, b] = await train({}, [1, 2]);
    expect(a).toEqual(b);
    expect((await train({}, [3, 4]))[0]).toEqual(a);
  });
  test.each(["weight_p", "embed_p"] as const)("%s is one mask for all rows", async (name) => {
    const [a, b] = await train({ [name]: 0.5 }, [1, 2]);
    expect(a).toEqual(b);
    const others = await Promise.all([3, 4, 5, 6].map((k) => train({ [name]: 0.5 }, [k, k])));
    expect(others.some(([c]) => c.some((x, i) => x !== a[i]))).toBe(true);
  });
  test.each(["input_p", "hidden_p", "output_p"] as const)("%s is a mask for each row", async (name) => {
    const [a, b] = await train({ [name]: 0.5 }, [1, 2]);
    expect(a).not.toEqual(b);
  });
});

test("locked dropout drops a feature in the whole row", async () => {
  const key = hostTensor([5, 6], [2], "int32");
  const { y } = await evaluate(
    nativeRuntime(),
    { key, x: hostTensor(Array(60).fill(1), [2, 3, 10]) },
    ({ key, x }) => ({
      y: lockedDropout(x, 0.5, sequenceContext({ batch: 2, length: 3, dropoutKey: key })),
    }),
  );
  const numbers = numbersOf(y);
  expect(new Set(numbers)).toEqual(new Set([0, 2]));
  for (const r of [0, 1]) for (let i = 0; i < 30; i++) expect(numbers[r * 30 + i]).toBe(numbers[r * 30 + (i % 10)]);
  expect(numbers.slice(0, 10)).not.toEqual(numbers.slice(30, 40));
});

describe("learning", () => {
  const rows = [
    [3, 1, 7, 2, 3, 6],
    [3, 4, 7, 2, 8, 6],
  ];
  test("the language model memorizes two sentences", async () => {
    const { losses, unmoved } = await learnRows(
      { ...config, emb_sz: 8, n_hid: 12, weight_p: 0.05 },
      { inputs: rows.flat(), labels: rows.flatMap((row) => [...row.slice(1), -100]) },
      () => causalLanguageModeling(6),
      { rows: 2, steps: 150 },
    );
    expect(losses[0]).toBeGreaterThan(2);
    expect(losses.at(-1)).toBeLessThan(1);
    expect(unmoved).toEqual([]);
  });
  test("the classifier tells them apart", async () => {
    const mask = rows.flat().map(() => 1);
    const { losses, unmoved } = await learnRows(
      { ...classifier, ...dry, emb_sz: 16, n_hid: 32, lin_ftrs: [20] },
      { input_ids: rows.flat(), attention_mask: mask, token_type_ids: mask.map(() => 0), labels: [0, 1] },
      () =>
        headObjective({
          task: "sequence-classification",
          length: 6,
          labels: { count: 3, problemType: "single_label_classification" },
        }),
      { rows: 2, steps: 60, learningRate: 0.005 },
    );
    expect(losses.at(-1)).toBeLessThan(0.1);
    expect(unmoved).toEqual([]);
  });
});

const parametersIn = (over: object) => [...parametersOf(describeModel({ ...config, ...over }, "config.json").module)];

test("the parameters are fastai's", () => {
  const layers = [
    [24, 4, 6],
    [24, 6, 6],
    [16, 6, 4],
  ].flatMap(([n, input, hidden], i) => [
    `0.rnns.${i}.module.weight_ih_l0 ${n}×${input}`,
    `0.rnns.${i}.weight_hh_l0_raw ${n}×${hidden}`,
    `0.rnns.${i}.module.bias_ih_l0 ${n}`,
    `0.rnns.${i}.module.bias_hh_l0 ${n}`,
  ]);
  const names = (over: object) => parametersIn(over).map(([name, { shape }]) => `${name} ${shape.join("×")}`);
  expect(names({})).toEqual(["0.encoder.weight 9×4", ...layers, "1.decoder.bias 9"]);
  expect(names({ tie_weights: false, out_bias: false }).slice(-1)).toEqual(["1.decoder.weight 9×4"]);
  expect(names(classifier)).toEqual([
    "0.encoder.weight 9×4",
    ...layers,
    ...["1.hidden_0.norm.weight 12", "1.hidden_0.norm.bias 12", "1.hidden_0.linear.weight 5×12"],
    ...["1.output.norm.weight 5", "1.output.norm.bias 5", "1.output.linear.weight 3×5"],
  ]);
});

test.each([{}, classifier])("layers are unfrozen from the head to the embedding", (over) => {
  const groups = layerGroups(parametersIn(over).map(([path]) => path));
  for (const [path, group] of groups) {
    const layer = /^0\.rnns\.(\d)\./.exec(path)?.[1];
    expect(group, path).toBe(layer === undefined ? (path.startsWith("1.") ? 4 : 0) : Number(layer) + 1);
  }
});

test("a fresh model's config.json describes it", () => {
  const raw = ulmfit.fresh({ vocabSize: 50, contextLength: 16, layers: 2, heads: 4, d: 8, dropout: 0.25 });
  const model = describeModel({ ...raw, model_type: "ulmfit" }, "config.json");
  expect(model.warnings).toEqual([]);
  expect(model.config).toMatchObject({ input_p: 0.25, hidden_p: 0.15, output_p: 0.1, embed_p: 0.02, weight_p: 0.2 });
});

describe("configurations that are refused", () => {
  test.each([
    [{ bidir: true }, "bidir true is not supported (only false)"],
    [{ weight_p: 1 }, "weight_p must be a number ≥ 0 and ≤ 0.999, got 1"],
    [{ n_layers: 0 }, "n_layers must be a whole number ≥ 1, got 0"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});
