import { describe, expect, it } from "vitest";
import { freshModel } from "../../test/support/fresh-model.js";
import { numbersOf } from "../../test/support/run-graph.js";
import { bestTokens, capture, edit, lensTable, logitLens, patch } from "./index.js";

const ids = [3, 1, 4, 1, 5];

describe("logitLens", () => {
  it.each(["gpt2", "gpt3", "llama", "opt", "bert"])(
    "%s: reads each state as the model would read its last one",
    async (modelType) => {
      const model = freshModel(modelType);
      const lens = await logitLens(model, ids);
      expect(lens).toHaveLength(3);
      const states = await capture(
        model,
        ids,
        lens.map(({ path }) => path),
      );
      for (const { path, logits } of lens) {
        const { outputs } = await edit(model, ids, { [lens[2]!.path]: patch(states.values.get(path)!) });
        for (const [i, x] of numbersOf(outputs.logits!).entries()) expect(Number(logits.data[i])).toBeCloseTo(x, 3);
      }
      for (const [i, x] of numbersOf(states.outputs.logits!).entries())
        expect(Number(lens[2]!.logits.data[i])).toBeCloseTo(x, 3);
      expect(numbersOf(lens[0]!.logits)).not.toEqual(numbersOf(lens[1]!.logits));
    },
  );

  it("reads an encoder-decoder's decoder", async () => {
    const lens = await logitLens(freshModel("t5"), { source: ids, target: [0, 7] });
    expect(lens.map(({ path }) => path)).toEqual(["decoder.embeddings", "decoder.block.0", "decoder.block.1"]);
    expect(lens[0]!.logits.shape).toEqual([1, 2, 40]);
  });

  it("is shown as a table, a row a token", async () => {
    const lens = await logitLens(freshModel("gpt2"), ids);
    const table = lensTable(lens, ["a", "b", "c", "d", "明"], (id) => `<${id}>`).split("\n");
    expect(table[0]).toMatch(/embeddings +layer 0 +layer 1$/);
    expect(table[5]).toMatch(/^明 /);
    expect(table[5]!.trim().split(/ +/).at(-1)).toBe(`<${bestTokens(lens[2]!)[4]}>`);
    expect(lensTable(lens, ["a", "b", "c", "d", "明"], String, 26).split("\n")[0]).toMatch(/embeddings +layer 1$/);
  });

  it("refuses a model without layers that are known, or without logits of tokens", async () => {
    await expect(logitLens(freshModel("rnn-lm"), ids)).rejects.toThrow("where the layers of rnn-lm are is not known");
    const { task: _, ...model } = freshModel("bert");
    await expect(logitLens({ ...model, task: "features" }, ids)).rejects.toThrow("has no logits of tokens");
  });
});
