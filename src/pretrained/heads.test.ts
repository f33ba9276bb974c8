import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { HostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { bert } from "../models/bert.js";
import { describeModel, readModel } from "./load-model.js";
import { saveModel } from "./save-model.js";

const root = mkdtempSync(join(tmpdir(), "tessera-heads-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const raw = {
  ...bert.fresh({ vocabSize: 11, contextLength: 6, layers: 1, heads: 2, d: 8, dropout: 0 }),
  model_type: "bert",
};

/** A folder with a random model, its names on disk changed by `rename`; undefined leaves a tensor out. */
function folder(
  architecture: string,
  { over = {}, rename = (name) => name }: { over?: object; rename?: (name: string) => string | undefined } = {},
): string {
  const model = describeModel({ ...raw, ...over, architectures: [architecture] }, "test");
  const weights = initialize(model.module, 3);
  const path = mkdtempSync(join(root, `${architecture}-`));
  const named = [...weights].flatMap(([name, tensor]): [string, HostTensor][] => {
    const onDisk = rename(name);
    return onDisk === undefined ? [] : [[onDisk, tensor]];
  });
  saveModel(path, { ...model, weights: new Map(named) });
  return path;
}
const paths = (weights: ReadonlyMap<string, unknown>) => [...weights.keys()];
const shared = (weights: ReadonlyMap<string, unknown>) => paths(weights).filter((path) => path.startsWith("bert."));

describe("another head", () => {
  const mlm = folder("BertForMaskedLM");
  const original = readModel(mlm);

  test("is refused where the checkpoint lacks it", () => {
    expect(() => readModel(mlm, { task: "sequence-classification" })).toThrow(
      `${mlm}: 4 problems: bert.pooler.dense.weight is missing; bert.pooler.dense.bias is missing; classifier.weight is missing; classifier.bias is missing. A head that a checkpoint lacks starts fresh when initialize is given`,
    );
  });

  test("starts fresh when asked for, with labels of its own, and is saved as such", () => {
    const labels = ["ham", "spam", "neither"];
    const model = readModel(mlm, { task: "sequence-classification", labels, initialize: 5 });
    expect(model).toMatchObject({ architecture: "BertForSequenceClassification", task: "sequence-classification" });
    expect(model.facts.labels!.names).toEqual(labels);
    for (const [path, { data }] of original.weights)
      if (path.startsWith("bert.")) expect(model.weights.get(path)!.data, path).toEqual(data);
    const fresh = initialize(model.module, 5);
    for (const path of ["classifier.weight", "bert.pooler.dense.weight"])
      expect(model.weights.get(path)).toEqual(fresh.get(path));
    expect(paths(model.weights)).toEqual([...fresh.keys()]);
    expect(model.warnings).toEqual([
      `${mlm}: weights of another head are left out, cls.predictions.bias, cls.predictions.transform.LayerNorm.bias, cls.predictions.transform.LayerNorm.weight, cls.predictions.transform.dense.bias, cls.predictions.transform.dense.weight`,
      `${mlm}: weights that the checkpoint lacks are fresh, bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight, classifier.bias`,
    ]);
    const again = join(root, "again");
    saveModel(again, model);
    const back = readModel(again);
    expect(back.rawConfig.label2id).toEqual({ ham: 0, spam: 1, neither: 2 });
    expect(back.warnings).toEqual([]);
    expect(back.weights).toEqual(model.weights);
  });

  test("of other labels takes the place of one that does not fit", () => {
    const three = folder("BertForSequenceClassification", { over: { id2label: { 0: "a", 1: "b", 2: "c" } } });
    expect(() => readModel(three, { labels: ["x", "y"] })).toThrow(
      "classifier.weight is [3, 8], the model needs [2, 8]",
    );
    const two = readModel(three, { labels: ["x", "y"], problemType: "multi_label_classification", initialize: 1 });
    expect(two.weights.get("classifier.weight")!.shape).toEqual([2, 8]);
    expect(two.facts.labels).toEqual({ names: ["x", "y"], problemType: "multi_label_classification" });
    expect(two.warnings.join()).toContain("fresh, classifier.weight, classifier.bias");
    expect(shared(two.weights).length).toBe(shared(readModel(three).weights).length);
  });

  test("none: the bare model, which pools only where the checkpoint does", () => {
    const features = readModel(mlm, { task: "features" });
    expect(features.architecture).toBe("BertModel");
    expect(paths(features.weights)).toEqual(shared(original.weights).map((path) => path.slice("bert.".length)));
    const pooling = readModel(folder("BertForPreTraining"), { architecture: "BertModel" });
    expect(paths(pooling.weights)).toContain("pooler.dense.weight");
    const bare = join(root, "bare");
    saveModel(bare, features);
    expect(readModel(bare).weights).toEqual(features.weights);
    expect(
      readModel(bare, { task: "masked-lm", initialize: 1 }).weights.get("bert.embeddings.LayerNorm.weight"),
    ).toEqual(original.weights.get("bert.embeddings.LayerNorm.weight"));
  });

  test("what is missing of the encoder is never made up", () => {
    const path = folder("BertForMaskedLM", {
      rename: (name) => (/layer\.0\.output\.dense\.bias$/.test(name) ? undefined : name),
    });
    expect(() => readModel(path, { task: "token-classification", initialize: 1 })).toThrow(
      `${path}: bert.encoder.layer.0.output.dense.bias is missing`,
    );
  });

  test("that the family does not have is refused", () => {
    expect(() => readModel(mlm, { task: "seq2seq-lm" })).toThrow("bert: it has no head for seq2seq-lm (masked-lm, ");
    expect(() => readModel(mlm, { architecture: "BertForMultipleChoice" })).toThrow(
      "architecture BertForMultipleChoice is not supported",
    );
  });
});

describe("names of older checkpoints", () => {
  test("gamma and beta, a second head, and copies of tied weights", () => {
    const old = folder("BertForPreTraining", {
      rename: (name) =>
        name
          .replace("LayerNorm.weight", "LayerNorm.gamma")
          .replace("LayerNorm.bias", "LayerNorm.beta")
          .replace("predictions.bias", "predictions.decoder.bias"),
    });
    const all = readModel(old).weights;
    expect(paths(all)).toEqual(
      paths(initialize(describeModel({ ...raw, architectures: ["BertForPreTraining"] }, "test").module, 3)),
    );
    const model = readModel(old, { task: "masked-lm" });
    expect(model.weights.get("cls.predictions.bias")).toEqual(all.get("cls.predictions.bias"));
    expect(model.warnings).toEqual([
      `${old}: weights of another head are left out, bert.pooler.dense.bias, bert.pooler.dense.weight, cls.seq_relationship.bias, cls.seq_relationship.weight`,
    ]);
  });

  test("one bias for both places of an untied head", () => {
    const path = folder("BertForMaskedLM", {
      over: { tie_word_embeddings: false },
      rename: (name) => (name === "cls.predictions.decoder.bias" ? undefined : name),
    });
    const { weights } = readModel(path);
    expect(weights.get("cls.predictions.decoder.bias")).toEqual(weights.get("cls.predictions.bias"));
  });
});

test("pickled weights are refused with what to do", () => {
  const path = folder("BertModel");
  renameSync(join(path, "model.safetensors"), join(root, "kept.safetensors"));
  writeFileSync(join(path, "pytorch_model.bin"), "");
  expect(() => readModel(path)).toThrow(
    /pytorch_model\.bin, a format that is not read .* Convert them with transformers/,
  );
});
