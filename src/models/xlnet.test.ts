import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { compare, type Golden, readGolden, within } from "../../test/parity/golden.js";
import { runCase } from "../../test/parity/run-case.js";
import { openEncoder } from "../../test/support/encoder.js";
import { freshModel } from "../../test/support/fresh-model.js";
import { learnRows } from "../../test/support/train-rows.js";
import { temporaryFolder, tinySettings } from "../../test/train/tiny-run.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import { sequenceContext } from "../nn/context.js";
import { less } from "../ops/elementwise.js";
import { slice } from "../ops/shape.js";
import { describeModel, type LanguageModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { headObjective } from "../train/head-objective.js";
import { train } from "../train/loop.js";
import { startRun } from "../train/run.js";
import { parseTrainSettings } from "../train/settings.js";
import { taskLoss } from "../train/task-loss.js";
import { grad } from "../transforms/grad.js";
import { familyOf } from "./index.js";
import type { Permutation } from "./xlnet.js";

// Checkpoints under transformers' names, and what a PyTorch module written after the original's definition, einsum by einsum, made of them.
const recorded = fileURLToPath(new URL("../../test/models/xlnet/", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "tessera-xlnet-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Inputs = Readonly<Record<string, Tensor>>;

/** The logits of a permutation, and what `more` makes of them. */
function permuted(
  { module, weights }: Pick<LanguageModel, "module" | "weights">,
  feeds: Readonly<Record<string, HostTensor>>,
  more: (logits: Tensor, given: Inputs) => Inputs = () => ({}),
): Promise<Record<string, HostTensor>> {
  return evaluate(nativeRuntime(), { ...Object.fromEntries(weights), ...feeds }, (x: Inputs) => {
    const [batch, length] = x.input_ids!.shape as [number, number];
    const ctx = sequenceContext({ batch, length, attentionMask: x.attention_mask, segments: x.token_type_ids });
    const permutation: Permutation = { hidden: x.perm_mask && less(0, x.perm_mask), targets: x.targets };
    const tree = parameterTree(module, (path) => x[path]);
    const { logits } = (module as (...a: unknown[]) => { logits: Tensor })(tree, x.input_ids, ctx, permutation);
    return { logits, ...more(logits, x) };
  });
}

/** The place in each row of a mapping that is 1. */
function placesOf({ shape: [b, n, t], data }: HostTensor): HostTensor {
  const rows = Array.from({ length: b! * n! }, (_, i) => (data as Float32Array).subarray(i * t!, (i + 1) * t!));
  return hostTensor(
    rows.map((row) => row.indexOf(1)),
    [b!, n!],
    "int64",
  );
}

describe("PyTorch's numbers", () => {
  test.each(["lm", "classify", "tokens", "answers"])(
    "%s: outputs, hidden states, maps, loss, gradients",
    async (name) => {
      const { comparisons } = await runCase(join(recorded, name));
      expect(comparisons.filter((c) => !within(c))).toEqual([]);
      const kinds = new Set(comparisons.map(({ name }) => name.replace(/\.\d.*|(?<=grad)\..*/, "")));
      for (const kind of ["out.hidden_states", "out.attentions", "out.loss", "grad"])
        expect([...kinds]).toContain(kind);
    },
  );

  test.each(["permutation", "permutation-uni"])("%s: both streams", async (name) => {
    const model = readModel(join(recorded, name));
    const golden = readGolden(join(recorded, name));
    const inputs = Object.fromEntries(
      [...golden.tensors].flatMap(([key, x]) => (key.startsWith("in.") ? [[key.slice(3), x] as const] : [])),
    );
    const { target_mapping, ...feeds } = inputs;
    const seen = new Map<string, Tensor>();
    const results = await withObserver(
      (path, value) => {
        seen.set(path, value);
        return value;
      },
      () =>
        permuted(model, { ...feeds, targets: placesOf(target_mapping!) }, (logits, x) => {
          const loss = taskLoss("permutation-lm", { logits }, x);
          const names = [...parametersOf(model.module).keys()];
          const gradients = grad(
            loss,
            names.map((path) => x[path]!),
          );
          const { n_layer } = model.config as { n_layer: number };
          const paths = [
            "transformer.embeddings",
            ...Array.from({ length: n_layer }, (_, i) => `transformer.layer.${i}`),
          ];
          const t = x.input_ids!.shape[1]!;
          const streams = (key: string, path: string, axis: number, i: number) => ({
            [`${key}.${i}`]: slice(seen.get(path)!, axis, 0, t),
            [`query_${key.replace("hidden_", "")}.${i}`]: slice(seen.get(path)!, axis, t),
          });
          return Object.assign(
            { loss },
            ...paths.map((path, i) => streams("hidden_states", path, 1, i)),
            ...paths.slice(1).map((path, i) => streams("attentions", `${path}.rel_attn.attention_weights`, 2, i)),
            Object.fromEntries(gradients.map((g, i) => [`grad.${names[i]}`, g])),
          );
        }),
    );
    expectRecorded(golden, results);
  });
});

function expectRecorded({ tensors }: Golden, results: Readonly<Record<string, HostTensor>>): void {
  const wanted = [...tensors].filter(([key]) => !key.startsWith("in."));
  expect(wanted.length).toBeGreaterThan(25);
  const comparisons = wanted.map(([key, value]) => {
    const actual = results[key.replace("out.", "")];
    expect(actual, key).toBeDefined();
    return compare(key, key.startsWith("grad.") ? "gradient" : "forward", actual!, value, 1e-4);
  });
  expect(comparisons.filter((c) => !within(c))).toEqual([]);
}

test.each(readdirSync(recorded))("%s is saved again byte for byte", (name) => {
  saveModel(join(root, name), readModel(join(recorded, name)));
  for (const file of ["config.json", "model.safetensors"])
    expect(readFileSync(join(root, name, file)).equals(readFileSync(join(recorded, name, file))), file).toBe(true);
});

test("a published checkpoint also holds the head that is the embedding", () => {
  const [from, doubled] = [readModel(join(recorded, "permutation")), join(root, "doubled")];
  const embedding = from.weights.get("transformer.word_embedding.weight")!;
  saveModel(doubled, { ...from, weights: new Map([...from.weights, ["lm_loss.weight", embedding]]) });
  const { weights, warnings } = readModel(doubled);
  expect([...weights.keys()].sort()).toEqual([...from.weights.keys()].sort());
  expect(warnings).toEqual([]);
});

const model = freshModel("xlnet", { layers: 3 });
const ids = [7, 8, 9, 10, 11, 12];

describe("what a prediction sees", () => {
  // 3 is predicted first, then 0, then 4; the others are only seen.
  const targets = [3, 0, 4];
  const order = [2, 0, 0, 1, 3, 0];
  const hidden = order.flatMap((i) => order.map((j) => Number(j >= Math.max(i, 1))));
  const run = async (row: readonly number[]) => {
    const { logits } = await permuted(model, {
      input_ids: hostTensor(row, [1, 6], "int64"),
      perm_mask: hostTensor(hidden, [1, 6, 6]),
      targets: hostTensor(targets, [1, 3], "int64"),
    });
    return targets.map((_, k) => Array.from(logits!.data.slice(k * 40, (k + 1) * 40) as Float32Array));
  };

  test.each(ids.map((_, i) => i))("token %i, where it comes before in the order", async (i) => {
    const [before, after] = [await run(ids), await run(ids.map((id, k) => (k === i ? 20 : id)))];
    const changed = targets.map((_, k) => before[k]!.some((x, v) => Math.abs(x - after[k]![v]!) > 1e-6));
    expect(changed).toEqual(targets.map((at) => order[i]! < order[at]!));
  });

  test("its own place: two places that see the same are told apart", async () => {
    const { logits } = await permuted(model, {
      input_ids: hostTensor(ids, [1, 6], "int64"),
      perm_mask: hostTensor(
        ids.flatMap(() => [0, 0, 0, 1, 1, 0]),
        [1, 6, 6],
      ),
      targets: hostTensor([3, 4, 3], [1, 3], "int64"),
    });
    const [a, b, again] = [0, 1, 2].map((k) => Array.from(logits!.data.slice(k * 40, (k + 1) * 40) as Float32Array));
    expect(a).not.toEqual(b);
    for (const [v, x] of again!.entries()) expect(x).toBeCloseTo(a![v]!, 5);
  });
});

describe("padding changes nothing", () => {
  const summary = (summary_type: string) => ({ summary_type });
  test.each([
    ["XLNetLMHeadModel", {}],
    ["XLNetModel", { attn_type: "uni", clamp_len: 3 }],
    ["XLNetForTokenClassification", {}],
    ["XLNetForQuestionAnsweringSimple", {}],
    ["XLNetForSequenceClassification", summary("last")],
    ["XLNetForSequenceClassification", summary("mean")],
    ["XLNetForSequenceClassification", summary("first")],
  ])("%s %j", async (architecture, over) => {
    using encoder = await openEncoder({ ...model.rawConfig, ...over, architectures: [architecture] });
    const [types, seen] = [[0, 0, 0, 1, 1, 2], ids.map(() => 1)];
    const first = async (...given: Parameters<typeof encoder.run>) =>
      Object.values(await encoder.run(...given))[0]!.values;
    const alone = await first([ids], undefined, [types]);
    const right = await first([[...ids, 5, 6]], [[...seen, 0, 0]], [[...types, 0, 1]]);
    const left = await first([[5, 6, ...ids]], [[0, 0, ...seen]], [[1, 3, ...types]]);
    const both = "summary_type" in over && over.summary_type === "first" ? [right] : [right, left.slice(-alone.length)];
    for (const values of both) for (const [i, x] of alone.entries()) expect(values[i]).toBeCloseTo(x, 4);
  });
});

describe("configurations", () => {
  const config = model.rawConfig;
  test.each([
    [{ n_head: 3 }, "d_model 16 does not divide into n_head 3"],
    [{ d_head: 4 }, "d_head 4 is not d_model / n_head (8)"],
    [{ d_model: 9, n_head: 1, d_head: 9 }, "d_model must be even, got 9"],
    [{ attn_type: "tri" }, 'attn_type must be one of bi, uni, got "tri"'],
    [{ bi_data: true }, "bi_data true is not supported (only false)"],
    [{ attn_type: "uni", same_length: true }, "same_length true is not supported (only false)"],
    [{ summary_type: "attn" }, 'summary_type must be one of last, first, mean, got "attn"'],
    [{ summary_proj_to_labels: true }, "summary_proj_to_labels true is not supported (only false)"],
    [{ ff_activation: "maxout" }, "ff_activation must be one of"],
  ])("refused: %j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(message);
  });

  test.each(["XLNetForQuestionAnswering", "XLNetForMultipleChoice"])("refused: %s", (name) => {
    expect(() => describeModel({ ...config, architectures: [name] }, "config.json")).toThrow(name);
  });

  test("fields that change nothing are read without a warning", () => {
    const idle = {
      mem_len: 384,
      reuse_len: 256,
      use_mems_eval: true,
      use_mems_train: false,
      untie_r: true,
      same_length: false,
    };
    const read = (more: object) => describeModel({ ...config, ...idle, ...more }, "config.json").warnings;
    expect(read({ start_n_top: 5, end_n_top: 5 })).toEqual([]);
    expect(read({ start_n_bottom: 5 })).toEqual(["config.json: unknown keys are ignored, start_n_bottom"]);
  });
});

test("the parameters of a published checkpoint's kind", () => {
  const names = [...parametersOf(model.module)].map(([path, { shape }]) => `${path} ${shape.join("×")}`);
  const layer = names.flatMap((name) => (name.startsWith("transformer.layer.1.") ? [name.slice(20)] : []));
  expect(layer.sort()).toEqual(
    [
      ...["q", "k", "v", "o", "r"].map((name) => `rel_attn.${name} 16×2×8`),
      ...["r_r_bias", "r_s_bias", "r_w_bias"].map((name) => `rel_attn.${name} 2×8`),
      "rel_attn.seg_embed 2×2×8",
      ...["rel_attn", "ff"].flatMap((part) => ["weight", "bias"].map((name) => `${part}.layer_norm.${name} 16`)),
      ...["ff.layer_1.weight 64×16", "ff.layer_1.bias 64", "ff.layer_2.weight 16×64", "ff.layer_2.bias 16"],
    ].sort(),
  );
  expect(names.filter((name) => !name.includes(".layer."))).toEqual([
    "transformer.word_embedding.weight 40×16",
    "transformer.mask_emb 1×1×16",
    "lm_loss.bias 40",
  ]);
});

describe("heads learn two texts", () => {
  const mask = [...ids, ...ids].map(() => 1);
  const rows = [...ids, 7, 8, 9, 10, 5, 12]; // they differ in one token
  const given = { input_ids: rows, attention_mask: mask, token_type_ids: mask.map((_, i) => Number(i % 6 > 3)) };
  test.each([
    ["XLNetForSequenceClassification", "sequence-classification", { labels: [0, 1] }],
    ["XLNetForTokenClassification", "token-classification", { labels: [0, 0, 1, 0, 1, 1, 1, 0, 0, -100, 0, 1] }],
    ["XLNetForQuestionAnsweringSimple", "question-answering", { start_positions: [1, 3], end_positions: [2, 3] }],
  ] as const)("%s", async (architecture, task, targets) => {
    const { losses, unmoved } = await learnRows(
      { ...model.rawConfig, architectures: [architecture] },
      { ...given, ...targets },
      ({ facts }) =>
        headObjective({
          task,
          length: 6,
          labels: { count: facts.labels!.names.length, problemType: "single_label_classification" },
        }),
      { rows: 2, steps: 60, learningRate: 0.01 },
    );
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.05);
    expect(unmoved).toEqual([]);
  });
});

test("a fresh one is trained on running text, all but what tells segments apart", async () => {
  using folder = temporaryFolder();
  const text = join(folder.path, "t.txt");
  writeFileSync(text, "The sea is deep. A ship sails. ".repeat(60));
  const settings = tinySettings(folder.path, { data: [text], model: "xlnet", steps: 3, validation: 0 });
  const run = await startRun(
    parseTrainSettings({ ...settings, tokenizer: undefined, vocab_size: 150, dropout: 0.1, weight_decay: 0 }),
  );
  expect(run.task.name).toBe("permutation-lm");
  expect(familyOf("xlnet", "test").facts(run.model.config).padding).toBe(run.tokenizer.specialTokens.pad);
  const before = new Map([...run.state.weights].map(([path, { data }]) => [path, (data as Float32Array).slice()]));
  await train(run);
  const still = [...run.state.weights].filter(([path, { data }]) => data.every((x, i) => x === before.get(path)![i]));
  expect(still.map(([path]) => path.replace(/\d+/, "#"))).toEqual(
    Array.from({ length: still.length / 2 }, () => ["r_s_bias", "seg_embed"]).flatMap((names) =>
      names.map((name) => `transformer.layer.#.rel_attn.${name}`),
    ),
  );
  const again = readModel(settings.out);
  expect(again.architecture).toBe("XLNetLMHeadModel");
});
