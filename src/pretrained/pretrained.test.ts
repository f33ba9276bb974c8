import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { PARITY } from "../../test/parity/golden.js";
import { initialize } from "../core/initialize.js";
import { gpt2 } from "../models/gpt2.js";
import { describeModel, readModel } from "./load-model.js";
import { saveModel } from "./save-model.js";

const root = mkdtempSync(join(tmpdir(), "tessera-pretrained-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const raw = {
  ...gpt2.fresh({ vocabSize: 11, contextLength: 6, layers: 2, heads: 2, d: 8, dropout: 0 }),
  model_type: "gpt2",
  architectures: ["GPT2LMHeadModel"],
};

describe.skipIf(!existsSync(PARITY))(
  "a folder that transformers saved (skipped where ../shared/parity is missing)",
  () => {
    const cases = existsSync(PARITY)
      ? readdirSync(PARITY).filter((name) => existsSync(join(PARITY, name, "config.json")))
      : [];

    it.each(cases)("%s is saved again byte for byte, twice", (name) => {
      const [from, once, twice] = [join(PARITY, name), join(root, `${name}-once`), join(root, `${name}-twice`)];
      saveModel(once, readModel(from));
      saveModel(twice, readModel(once));
      const files = readdirSync(from).filter((file) => !file.startsWith("golden."));
      for (const folder of [once, twice]) {
        expect(readdirSync(folder).sort()).toEqual(files.sort());
        for (const file of files)
          expect(readFileSync(join(folder, file)).equals(readFileSync(join(from, file))), `${folder} ${file}`).toBe(
            true,
          );
      }
    });
  },
);

describe("saveModel and readModel", () => {
  const model = describeModel(raw, "test");
  const weights = initialize(model.module, 3);

  it.each(["float32", "float16", "bfloat16"] as const)("%s comes back as it was rounded", (dtype) => {
    const folder = join(root, dtype);
    saveModel(folder, { ...model, weights }, { dtype });
    const back = readModel(folder);
    const tolerance = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8 }[dtype];
    for (const [path, { data }] of weights)
      for (let i = 0; i < data.length; i++) {
        const [was, is] = [Number(data[i]), Number(back.weights.get(path)!.data[i])];
        expect(Math.abs(is - was)).toBeLessThanOrEqual(Math.abs(was) * tolerance + (tolerance && 2 ** -24));
      }
    expect(back.rawConfig).toMatchObject({ ...raw, dtype });
  });

  it("reads a checkpoint of the bare model, whose names lack the prefix", () => {
    const folder = join(root, "bare");
    const bare = new Map([...weights].map(([path, tensor]) => [path.replace("transformer.", ""), tensor]));
    saveModel(folder, { ...model, weights: bare });
    expect([...readModel(folder).weights.keys()]).toEqual([...weights.keys()]);
  });

  it("names every missing, foreign and misshapen weight at once", () => {
    const folder = join(root, "wrong");
    const wrong = new Map(weights);
    wrong.delete("transformer.ln_f.bias");
    wrong.set("transformer.surplus", { dtype: "float32", shape: [1], data: new Float32Array(1) });
    wrong.set("transformer.wte.weight", { dtype: "float32", shape: [2, 8], data: new Float32Array(16) });
    saveModel(folder, { ...model, weights: wrong });
    expect(() => readModel(folder)).toThrow(
      `${folder}: 3 problems: transformer.wte.weight is [2, 8], the model needs [11, 8]; transformer.ln_f.bias is missing; transformer.surplus is no parameter of the model`,
    );
  });
});
