import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compare, PARITY, readGolden } from "../../test/parity/golden.js";
import { byteLevel } from "../../test/support/tiny-pipeline.js";
import { initialize } from "../core/initialize.js";
import { capture } from "../inspect/index.js";
import { pipeline } from "../pipeline/index.js";
import { describeModel, readModel } from "../pretrained/load-model.js";
import { saveModel } from "../pretrained/save-model.js";
import { saveTokenizer } from "../text/load-tokenizer.js";
import { families } from "./index.js";

const root = mkdtempSync(join(tmpdir(), "tessera-features-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Class names of transformers, and what its causal models call their body. */
const bases = {
  gpt2: ["GPT2Model", "transformer."],
  gpt_neo: ["GPTNeoModel", "transformer."],
  llama: ["LlamaModel", "model."],
  mistral: ["MistralModel", "model."],
  qwen2: ["Qwen2Model", "model."],
  qwen3: ["Qwen3Model", "model."],
  opt: ["OPTModel", "model."],
  bloom: ["BloomModel", "transformer."],
  gpt_neox: ["GPTNeoXModel", "gpt_neox."],
  glm: ["GlmModel", "model."],
  glm4: ["Glm4Model", "model."],
  ulmfit: ["AwdLstm", "0."],
} as const;

const sizes = { contextLength: 32, layers: 2, heads: 2, d: 16, dropout: 0 };

/** A folder of a causal model with random weights, with a tokenizer. */
async function causalModel(modelType: string): Promise<string> {
  const family = families.get(modelType)!;
  const fields = family.fresh({ ...sizes, vocabSize: byteLevel.vocabSize, padding: 1 });
  const model = describeModel({ ...fields, model_type: modelType }, "test");
  const folder = join(root, `${modelType}-lm`);
  saveModel(folder, { ...model, weights: initialize(model.module, 1) });
  await saveTokenizer(folder, byteLevel);
  return folder;
}

describe.each(Object.entries(bases))("%s without its head", (modelType, [name, prefix]) => {
  it("has the body's parameters alone, under the names of a bare model, and goes back under a head", async () => {
    const lm = await causalModel(modelType);
    const model = readModel(lm, { task: "features" });
    expect(model.architecture).toBe(name);
    const inHead = [...readModel(lm).weights].filter(([path]) => path.startsWith(prefix));
    expect([...model.weights.keys()]).toEqual(inHead.map(([path]) => path.slice(prefix.length)));
    for (const [path, tensor] of inHead) expect(model.weights.get(path.slice(prefix.length))).toEqual(tensor);

    const bare = join(root, `${modelType}-bare`);
    saveModel(bare, model);
    expect(JSON.parse(readFileSync(join(bare, "config.json"), "utf8")).architectures).toEqual([name]);
    expect(readModel(bare).task).toBe("features");
    const headed = readModel(bare, { task: "causal-lm", initialize: 1 });
    for (const [path, tensor] of inHead) expect(headed.weights.get(path)).toEqual(tensor);
  });

  it("extracts the same features of a text among others, and alone", async () => {
    const folder = await causalModel(modelType);
    using embed = await pipeline("feature-extraction", folder);
    const texts = ["the white whale", "ship", "the old captain saw it"];
    for (const pooling of ["mean", "last"] as const) {
      const together = await embed(texts, { pooling });
      for (const [i, text] of texts.entries()) {
        const alone = await embed(text, { pooling });
        expect(alone).toHaveLength(sizes.d);
        together[i]!.forEach((x, k) => void expect(x).toBeCloseTo(alone[k]!, 5));
      }
      expect(together[0]).not.toEqual(together[1]);
    }
    const [tokens] = await embed(texts[0]!);
    expect(tokens!.at(-1)).toEqual(await embed(texts[0]!, { pooling: "last" }));
  });
});

const cases = ["gpt2", "gpt-neo", "llama", "mistral", "qwen2", "qwen3", "opt", "bloom", "glm", "glm4"];
describe.skipIf(!existsSync(PARITY))("recorded models (skipped where ../shared/parity is missing)", () => {
  it.each(cases)("%s gives its last hidden state", async (name) => {
    const { dir, tensors } = readGolden(join(PARITY, name));
    const last = Math.max(
      ...[...tensors.keys()].map((key) => Number(/^out\.hidden_states\.(\d+)$/.exec(key)?.[1] ?? 0)),
    );
    const model = readModel(dir, { task: "features" });
    const ids = tensors.get("in.input_ids")!;
    const attentionMask = tensors.get("in.attention_mask");
    const { outputs, values } = await capture(model, { ids, attentionMask }, ["hidden_states"]);
    expect(values.size).toBe(last + 1);
    const { error } = compare("last", "forward", outputs.last_hidden_state!, tensors.get(`out.hidden_states.${last}`)!);
    expect(error).toBeLessThan(1e-4);
  });
});
