import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { freshModel } from "../../test/support/fresh-model.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { readModel } from "../pretrained/load-model.js";
import { capture, compare } from "./index.js";

const PARITY = new URL("../../../shared/parity", import.meta.url).pathname;

describe.skipIf(!existsSync(PARITY))("recorded models (skipped where ../shared/parity is missing)", () => {
  it.each([
    ["gpt2", 6],
    ["bert-base", 7],
    ["t5", 14],
  ])("%s is as transformers recorded it, state by state and map by map", async (name, rows) => {
    const report = await compare(readModel(`${PARITY}/${name}`), `${PARITY}/${name}`);
    expect(report.rows).toHaveLength(rows);
    expect(report.firstDifference).toBeUndefined();
  });
});

const model = freshModel("gpt2");
const ids = [[3, 1, 4, 1, 5]];

async function recording(): Promise<Map<string, HostTensor>> {
  const { outputs, values } = await capture(model, ids, ["hidden_states", "attentions"]);
  const [embeddings, map0, state1, map1, state2] = [...values.values()];
  return new Map([
    ["in.input_ids", hostTensor(ids[0]!, [1, 5], "int64")],
    ["out.logits", outputs.logits!],
    ["out.attentions.1", map1!],
    ["out.hidden_states.0", embeddings!],
    ["out.attentions.0", map0!],
    ["out.hidden_states.1", state1!],
    ["out.hidden_states.2", state2!],
    ["out.loss", hostTensor([1], [])],
  ]);
}

describe("compare", () => {
  it("finds no difference to the model's own values, told in the order of computation", async () => {
    const report = await compare(model, await recording());
    expect(report.rows.map(({ name, path }) => [name, path])).toEqual([
      ["hidden_states.0", "transformer.embeddings"],
      ["attentions.0", "transformer.h.0.attn.attention_weights"],
      ["hidden_states.1", "transformer.h.0"],
      ["attentions.1", "transformer.h.1.attn.attention_weights"],
      ["hidden_states.2", "transformer.ln_f"],
      ["logits", undefined],
    ]);
    expect(report.notCompared).toEqual(["loss"]);
    expect(String(report)).toContain("no difference: 6 values within 0.0001");
  });

  it("names the first layer of a model with a fault, and where the largest difference is", async () => {
    const golden = await recording();
    const weights = new Map(model.weights);
    const name = "transformer.h.1.mlp.c_proj.bias";
    const data = Float32Array.from(weights.get(name)!.data as Float32Array);
    data[3]! += 0.5;
    weights.set(name, { ...weights.get(name)!, data });
    const report = await compare({ ...model, weights }, golden);
    expect(report.rows.map((row) => row.within)).toEqual([true, true, true, true, false, false]);
    expect(report.firstDifference).toMatchObject({ name: "hidden_states.2", path: "transformer.ln_f" });
    expect(report.firstDifference!.worst!.at).toHaveLength(3);
    expect(String(report)).toMatch(/^first difference: hidden_states\.2 \(transformer\.ln_f\), \|Δ\| /);
    expect((await compare({ ...model, weights }, golden, { tolerance: 100 })).firstDifference).toBeUndefined();
  });

  it("calls a value that is not a number, and another shape, a difference", async () => {
    const golden = await recording();
    const state = golden.get("out.hidden_states.1")!;
    const data = Float32Array.from(state.data as Float32Array);
    data[17] = Number.NaN;
    golden.set("out.hidden_states.1", { ...state, data });
    const { firstDifference } = await compare(model, golden);
    expect(firstDifference).toMatchObject({ name: "hidden_states.1", error: Number.POSITIVE_INFINITY });
    expect(firstDifference!.worst!.at).toEqual([0, 1, 1]);
    golden.set("out.hidden_states.0", hostTensor(new Float32Array(6), [1, 2, 3]));
    expect(String(await compare(model, golden))).toContain(
      "first difference: hidden_states.0 (transformer.embeddings), shape [1, 5, 16], recorded [1, 2, 3]",
    );
  });

  it("refuses a recording without input or without values", async () => {
    await expect(compare(model, new Map())).rejects.toThrow("golden: it has no in.input_ids");
    const golden = new Map([["in.input_ids", hostTensor([1], [1, 1], "int64")]]);
    await expect(compare(model, golden)).rejects.toThrow("golden: it holds nothing that the model has");
  });
});
