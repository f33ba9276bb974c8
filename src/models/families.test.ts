import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { batchAndSingles, cachedAgainstWhole, randomTexts } from "../../test/support/decode.js";
import { initialize } from "../core/initialize.js";
import { describeModel, type LanguageModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import { families } from "./index.js";

const root = mkdtempSync(join(tmpdir(), "tessera-families-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const sizes = { vocabSize: 40, contextLength: 48, layers: 2, heads: 2, d: 16, dropout: 0.1, padding: 1 };

/** Every architecture of every family, small and with random weights. */
const models = [...families.values()].flatMap((family) =>
  Object.keys(family.architectures).map((architecture): readonly [string, LanguageModel] => {
    const tokens = { bos_token_id: 0, eos_token_id: 2, pad_token_id: 1 };
    const raw = { ...family.fresh(sizes), ...tokens, model_type: family.modelType, architectures: [architecture] };
    const model = describeModel(raw, `${family.modelType}/config.json`);
    const weights = initialize(model.module, 1);
    for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) (data as Float32Array)[i]! *= 5; // no part too weak to be seen
    return [`${family.modelType} ${architecture}`, { ...model, weights, generation: {}, generationExtra: {} }];
  }),
);
const generating = models.filter(([, { task }]) => task === "causal-lm" || task === "seq2seq-lm");

describe("every architecture", () => {
  it("is there", () => {
    expect(generating.length).toBeGreaterThanOrEqual(20);
    expect(models.length).toBeGreaterThan(generating.length + 20);
  });

  it.each(models)("%s is saved, loaded and saved again, byte for byte", (name, model) => {
    const [once, twice] = [1, 2].map((n) => join(root, `${name.replace(" ", "-")}-${n}`)) as [string, string];
    saveModel(once, model);
    saveModel(twice, readModel(once));
    for (const file of ["config.json", "model.safetensors"])
      expect(readFileSync(join(twice, file)).equals(readFileSync(join(once, file))), file).toBe(true);
  });
});

describe("every generating architecture", { timeout: 60_000 }, () => {
  it.each(generating)("%s: the cache's logits are the whole text's, at every step", async (_, model) => {
    const { difference, positions } = await cachedAgainstWhole(model, randomTexts(model, 4));
    expect(positions).toBeGreaterThan(30);
    expect(difference).toBeLessThan(1e-5);
  });

  it.each(generating)("%s: a batch of eight mixed lengths is eight single runs", async (_, model) => {
    const { batch, singles } = await batchAndSingles(model, { maxNewTokens: 6 });
    expect(batch).toHaveLength(8);
    expect(batch.map(({ ids }) => ids)).toEqual(singles.map(({ ids }) => ids));
  });
});
