import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blankLogits } from "../../test/support/blank-rows.js";
import { freshModel } from "../../test/support/fresh-model.js";
import { temporaryFolder, tinySettings } from "../../test/train/tiny-run.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";
import { train } from "../train/loop.js";
import { startRun } from "../train/run.js";
import { parseTrainSettings } from "../train/settings.js";
import { familyOf } from "./index.js";

const config = { model_type: "glm-2022", vocab_size: 21, n_positions: 14, n_embd: 12, n_layer: 2, n_head: 3 };
const model = freshModel("glm-2022");

// Part A: a text of six tokens with blanks at 1 and 4. Part B: what fills the second one, then what fills the first.
const PREFIX = 6;
const row = {
  ids: [5, 1, 6, 7, 1, 8, 2, 9, 10, 2, 11],
  positions: [0, 1, 2, 3, 4, 5, 4, 4, 4, 1, 1],
  blockPositions: [0, 0, 0, 0, 0, 0, 1, 2, 3, 1, 2],
  prefix: PREFIX,
};
const at = (list: readonly number[], i: number, value: number) => list.map((old, k) => (k === i ? value : old));

/** At which places the logits of a changed row are others. */
async function changed(change: Partial<typeof row>): Promise<boolean[]> {
  const [before, after] = await blankLogits(model, [row, { ...row, ...change }], row.ids.length);
  return before!.map((logits, i) => logits.some((x, k) => Math.abs(x - after![i]![k]!) > 1e-4));
}

describe("what sees what", () => {
  test.each(row.ids.map((_, i) => i))("token %i is seen by the whole text, or from its place on", async (i) => {
    const seen = row.ids.map((_, k) => (i < PREFIX ? true : k >= i));
    expect(await changed({ ids: at(row.ids, i, 15) })).toEqual(seen);
  });

  test("both positions say where a token stands", async () => {
    const last = row.ids.map((_, k) => k === row.ids.length - 1);
    expect(await changed({ positions: at(row.positions, 10, 4) })).toEqual(last);
    expect(await changed({ blockPositions: at(row.blockPositions, 10, 3) })).toEqual(last);
    expect(await changed({ positions: at(row.positions, 2, 9) })).toEqual(row.ids.map(() => true));
  });

  test("without a text all tokens see what came before", async () => {
    const seen = await blankLogits(
      model,
      [
        { ...row, prefix: 0 },
        { ...row, prefix: 0, ids: at(row.ids, 3, 15) },
      ],
      row.ids.length,
    );
    const same = (i: number) => seen[0]![i]!.every((x, k) => Math.abs(x - seen[1]![i]![k]!) < 1e-5);
    expect(row.ids.map((_, i) => same(i))).toEqual(row.ids.map((_, i) => i < 3));
  });

  test("padding, and what else is in the batch, change nothing", async () => {
    const other = { ids: [4, 1, 2, 6], positions: [0, 1, 1, 1], blockPositions: [0, 0, 1, 2], prefix: 2 };
    const [padded, short] = await blankLogits(model, [row, other], 16);
    const [alone] = await blankLogits(model, [row], row.ids.length);
    const [shortAlone] = await blankLogits(model, [other], other.ids.length);
    for (const [a, b] of [
      [padded, alone],
      [short, shortAlone],
    ])
      expect(Math.max(...a!.flatMap((logits, i) => logits.map((x, k) => Math.abs(x - b![i]![k]!))))).toBeLessThan(1e-5);
  });
});

test("the parameters, with one table for tokens and logits", () => {
  const names = [...parametersOf(describeModel(config, "config.json").module)].map(
    ([name, { shape }]) => `${name} ${shape.join("×")}`,
  );
  expect(names.filter((name) => !name.startsWith("layers."))).toEqual([
    "word_embeddings.weight 21×12",
    "position_embeddings.weight 14×12",
    "block_position_embeddings.weight 14×12",
    "final_layernorm.weight 12",
    "final_layernorm.bias 12",
  ]);
  const layers = ["layers.0.", "layers.1."].map((layer) => names.filter((name) => name.startsWith(layer)));
  expect(layers[0]!.length).toBeGreaterThan(8);
  expect(layers[1]!.map((name) => name.replace("layers.1.", "layers.0."))).toEqual(layers[0]);
});

describe("configurations that are refused", () => {
  test.each([
    [{ n_embd: 10 }, "n_embd 10 does not divide into n_head 3"],
    [{ dropout: 1 }, "dropout must be a number ≥ 0 and ≤ 0.999, got 1"],
    [{ n_layer: 0 }, "n_layer must be a whole number ≥ 1, got 0"],
    [{ n_positions: undefined }, "n_positions is missing"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});

test("a fresh one has the sizes it is asked for, and training moves all of its parameters", async () => {
  const sizes = { vocabSize: 50, contextLength: 20, layers: 3, heads: 4, d: 16, dropout: 0.2 };
  const made = describeModel({ ...familyOf("glm-2022", "test").fresh(sizes), model_type: "glm-2022" }, "test");
  expect(made.config).toEqual({
    vocab_size: 50,
    n_positions: 20,
    n_embd: 16,
    n_layer: 3,
    n_head: 4,
    dropout: 0.2,
  });
  expect(made.facts).toEqual({ vocabSize: 50, contextLength: 20 });

  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "t.txt"), "The sea is deep. ".repeat(40));
  const settings = tinySettings(folder.path, {
    data: [join(folder.path, "t.txt")],
    model: "glm-2022",
    steps: 3,
    validation: 0,
  });
  const run = await startRun(parseTrainSettings({ ...settings, tokenizer: undefined, vocab_size: 280 }));
  expect(run.task.name).toBe("blank-infilling");
  const before = new Map([...run.state.weights].map(([path, { data }]) => [path, (data as Float32Array).slice()]));
  await train(run);
  for (const [path, { data }] of run.state.weights)
    expect(
      (data as Float32Array).some((x, i) => x !== before.get(path)![i]!),
      path,
    ).toBe(true);
  expect(JSON.parse(readFileSync(join(settings.out, "config.json"), "utf8"))).toMatchObject({
    model_type: "glm-2022",
    architectures: ["Glm2022ForBlankInfilling"],
  });
});
