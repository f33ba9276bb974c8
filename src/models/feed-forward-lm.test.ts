import { expect, test } from "vitest";
import { decodeBothWays, largestDifference } from "../../test/support/decode.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";

const config = { model_type: "feed-forward-lm", vocab_size: 11, context_size: 3, embedding_size: 4, hidden_size: 8 };

const rows = [
  [3, 1, 4, 1, 5, 9, 2],
  [2, 7, 4, 1, 5, 8, 1],
];

test.each([1, 2, 3, 9])("cached decoding with n = %i is the whole sequence's", async (context_size) => {
  const both = await decodeBothWays({ ...config, context_size }, rows, [3, 1]);
  expect(both.cached.flat().filter(Boolean)).toHaveLength(5 + 7);
  expect(largestDifference(both)).toBeLessThan(1e-5);
});

test("a prediction sees the last n tokens and no others", async () => {
  const { whole } = await decodeBothWays(config, rows, [1, 1]);
  expect(whole[0]![4]).toEqual(whole[1]![4]); // both end in 4 1 5
  expect(whole[0]![3]).not.toEqual(whole[1]![3]);
  expect(whole[0]![5]).not.toEqual(whole[1]![5]);
});

test("the parameters have the paper's names", () => {
  const names = (over: object) =>
    [...parametersOf(describeModel({ ...config, ...over }, "config.json").module)].map(
      ([name, { shape }]) => `${name} ${shape.join("×")}`,
    );
  expect(names({})).toEqual([
    "C.weight 11×4",
    "H.weight 8×12",
    "H.bias 8",
    "W.weight 11×12",
    "U.weight 11×8",
    "U.bias 11",
  ]);
  expect(names({ direct_connections: false })).not.toContain("W.weight 11×12");
});

test("configurations that are refused", () => {
  expect(() => describeModel({ ...config, context_size: 0, hidden_size: "8" }, "config.json")).toThrow(
    'config.json: 2 problems: context_size must be a whole number ≥ 1, got 0; hidden_size must be a whole number ≥ 1, got "8"',
  );
});
