import { describe, expect, test } from "vitest";
import { cachedAgainstWhole } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";

const config = { model_type: "rnn-lm", vocab_size: 11, embedding_size: 6, hidden_size: 8, num_layers: 2 };

const rows = [
  [3, 1, 4, 1, 5, 9, 2],
  [2, 7, 1, 8, 2, 8, 1],
];

test.each(["simple", "lstm", "gru"])("cached decoding of %s cells is the whole sequence's", async (cell) => {
  const model = tinyModel({ ...config, cell });
  const { difference, positions } = await cachedAgainstWhole(model, { texts: rows, prompts: [3, 1] });
  expect(positions).toBe(5 + 7);
  expect(difference).toBeLessThan(1e-5);
});

test("the parameters", () => {
  const names = (over: object) =>
    [...parametersOf(describeModel({ ...config, ...over }, "config.json").module)].map(
      ([name, { shape }]) => `${name} ${shape.join("×")}`,
    );
  expect(names({})).toEqual([
    "embedding.weight 11×6",
    "rnn.weight_ih_l0 32×6",
    "rnn.weight_hh_l0 32×8",
    "rnn.bias_ih_l0 32",
    "rnn.bias_hh_l0 32",
    "rnn.weight_ih_l1 32×8",
    "rnn.weight_hh_l1 32×8",
    "rnn.bias_ih_l1 32",
    "rnn.bias_hh_l1 32",
    "head.weight 11×8",
    "head.bias 11",
  ]);
  const tied = names({ embedding_size: 8, num_layers: 1, tie_word_embeddings: true, cell: "gru" });
  expect(tied.filter((name) => name.startsWith("head"))).toEqual(["head.bias 11"]);
});

test("a tied model reads its embedding as the head's weight", async () => {
  const model = tinyModel({ ...config, embedding_size: 8, tie_word_embeddings: true, cell: "gru" });
  const { difference } = await cachedAgainstWhole(model, { texts: rows, prompts: [2, 2] });
  expect(difference).toBeLessThan(1e-5);
});

describe("configurations that are refused", () => {
  test.each([
    [{ cell: "rwkv" }, "cell must be one of simple, lstm, gru"],
    [{ hidden_size: 0 }, "hidden_size must be a whole number ≥ 1, got 0"],
    [{ dropout: 1 }, "dropout must be a number ≥ 0 and ≤ 0.999, got 1"],
    [{ tie_word_embeddings: true }, "tie_word_embeddings needs embedding_size and hidden_size to be equal (6 vs 8)"],
    [{ vocab_size: undefined }, "vocab_size is missing"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});
