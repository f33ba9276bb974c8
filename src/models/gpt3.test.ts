import { expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";
import { type Gpt3Config, gpt3LmHeadModel, gpt3Sizes } from "./gpt3.js";

const countOf = (config: Gpt3Config) =>
  [...parametersOf(gpt3LmHeadModel(config)).values()].reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0);

/** Table 2.1 of the paper: parameters, layers, size, heads, size of a head. */
const table = {
  Small: [125e6, 12, 768, 12, 64],
  Medium: [350e6, 24, 1024, 16, 64],
  Large: [760e6, 24, 1536, 16, 96],
  XL: [1.3e9, 24, 2048, 24, 128],
  "2.7B": [2.7e9, 32, 2560, 32, 80],
  "6.7B": [6.7e9, 32, 4096, 32, 128],
  "13B": [13e9, 40, 5140, 40, 128],
  "175B": [175e9, 96, 12288, 96, 128],
} as const;

test("the paper's eight sizes, row by row", () => {
  expect(Object.keys(gpt3Sizes)).toEqual(Object.keys(table));
  for (const [name, [, ...row]] of Object.entries(table)) {
    const { n_layer, n_embd, n_head, d_head } = gpt3Sizes[name as keyof typeof table];
    expect([n_layer, n_embd, n_head, d_head ?? n_embd / n_head], name).toEqual(row);
  }
});

test("each has the parameters of its name, but XL with the printed heads", () => {
  const off = Object.entries(table).filter(
    ([name, [count]]) => Math.abs(countOf(gpt3Sizes[name as keyof typeof table]) / count - 1) > 0.02,
  );
  expect(off.map(([name]) => name)).toEqual(["XL"]);
  expect(countOf(gpt3Sizes.XL)).toBe(1_517_123_584);
  expect(countOf({ ...gpt3Sizes.XL, n_head: 16, d_head: null }) / 1.3e9).toBeCloseTo(1.01, 2);
});

const config = { model_type: "gpt3", vocab_size: 11, n_positions: 24, n_layer: 2, n_head: 3, n_embd: 10, d_head: 5 };

test("heads that do not multiply out to the size, with a band, decode from the cache as the whole text", async () => {
  const rows = [
    [3, 1, 4, 1, 5, 9, 2, 6, 5, 3],
    [2, 7, 1],
  ];
  const { difference, positions } = await cachedAgainstWhole(tinyModel({ ...config, attention_window: 3 }), {
    texts: rows,
    prompts: [6, 1],
  });
  expect(positions).toBe(5 + 3);
  expect(difference).toBeLessThan(1e-5);
});

test("without a size of a head the heads must divide the size", () => {
  expect(() => describeModel({ ...config, d_head: null }, "config.json")).toThrow(
    "config.json: n_embd 10 does not divide into n_head 3",
  );
});
