import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { HostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { bert } from "../models/bert.js";
import { elmo } from "../models/elmo.js";
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

const mlm = folder("BertForMaskedLM");
const original = readModel(mlm);

describe("another head", () => {
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

describe("another configuration", () => {
  const classifier = folder("BertForSequenceClassification");
  const before = readModel(classifier);

  test("changes what is computed, and is saved", () => {
    const model = readModel(classifier, { config: { hidden_dropout_prob: 0.3, classifier_dropout: 0.4 } });
    expect(model.config).toMatchObject({ hidden_dropout_prob: 0.3, classifier_dropout: 0.4 });
    expect(model.weights).toEqual(before.weights);
    expect(model.warnings).toEqual([]);
    const saved = join(root, "changed");
    saveModel(saved, model);
    expect(readModel(saved).rawConfig).toEqual({
      ...before.rawConfig,
      hidden_dropout_prob: 0.3,
      classifier_dropout: 0.4,
    });
    expect(readModel(classifier, { config: {} })).toMatchObject({ warnings: [], rawConfig: before.rawConfig });
  });

  test("with more layers: those are fresh when asked for, with the seed's weights", () => {
    const config = { num_hidden_layers: 2 };
    const where = `${classifier} with another num_hidden_layers`;
    expect(() => readModel(classifier, { config })).toThrow(
      `${where}: 16 problems: bert.encoder.layer.1.attention.self.query.weight is missing; `,
    );
    const model = readModel(classifier, { config, initialize: 5 });
    expect(model.warnings).toEqual([
      expect.stringMatching(
        /num_hidden_layers: weights that the checkpoint lacks are fresh, bert\.encoder\.layer\.1\..* and 8 more$/,
      ),
    ]);
    const fresh = initialize(model.module, 5);
    for (const [path, weight] of model.weights)
      expect(weight, path).toEqual((path.includes("layer.1.") ? fresh : before.weights).get(path));
  });

  test("with fewer layers, the others are left out", () => {
    const two = folder("BertForSequenceClassification", { over: { num_hidden_layers: 2 } });
    const model = readModel(two, { config: { num_hidden_layers: 1 } });
    expect(paths(model.weights)).toEqual(paths(before.weights));
    expect(model.warnings.join()).toContain(
      "weights of another head or configuration are left out, bert.encoder.layer.1.",
    );
  });

  test("that does not fit the weights is refused, of the head, too", () => {
    expect(() => readModel(classifier, { config: { intermediate_size: 9 }, initialize: 1 })).toThrow(
      `${classifier} with another intermediate_size: 3 problems: bert.encoder.layer.0.intermediate.dense.weight is [32, 8], the model needs [9, 8]; `,
    );
    expect(() => readModel(classifier, { config: { num_labels: 3 }, initialize: 1 })).toThrow(
      `${classifier} with another num_labels: 2 problems: classifier.weight is [2, 8], the model needs [3, 8]; classifier.bias is [2], the model needs [3]`,
    );
  });

  test("that is wrong is refused by its fields; what the folder is cannot be changed", () => {
    const path = join(classifier, "config.json");
    expect(() => readModel(classifier, { config: { hidden_dropout_prob: 2 } })).toThrow(
      `${path} with another hidden_dropout_prob: hidden_dropout_prob must be`,
    );
    expect(readModel(classifier, { config: { hidden_dropuot: 0.1 } }).warnings).toEqual([
      `${path} with another hidden_dropuot: unknown keys are ignored, hidden_dropuot`,
    ]);
    expect(() => readModel(classifier, { config: { model_type: "gpt2" } })).toThrow(
      `${path}: model_type cannot be changed. Ask for a task instead`,
    );
  });

  test("of ELMo's classifier: plain embeddings have nothing of the language model, both together need a new head", () => {
    const raw = {
      ...elmo.fresh({ vocabSize: 7, contextLength: 6, layers: 1, heads: 1, d: 8, dropout: 0 }),
      model_type: "elmo",
    };
    const { module, ...described } = describeModel({ ...raw, architectures: ["ElmoForLanguageModeling"] }, "test");
    const weights = initialize(module, 3);
    const lm = mkdtempSync(join(root, "elmo-"));
    saveModel(lm, { ...original, ...described, weights });
    const options = { task: "sequence-classification", initialize: 5 } as const;
    const plain = readModel(lm, { ...options, config: { word_vectors: "plain" } });
    expect(paths(plain.weights)).toEqual(["embedding.weight", "classifier.weight", "classifier.bias"]);
    const both = readModel(lm, { ...options, config: { word_vectors: "both" } });
    expect(both.weights.get("embedding.weight")).toEqual(plain.weights.get("embedding.weight"));
    const name = "_elmo_lstm._token_embedder._projection.weight";
    expect(both.weights.get(name)).toEqual(weights.get(name));
    const saved = join(root, "both");
    saveModel(saved, both);
    expect(() => readModel(saved, { config: { word_vectors: "elmo" }, initialize: 5 })).toThrow(
      "with another word_vectors: classifier.weight is [2, 32], the model needs [2, 16]",
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
