import { expect, test } from "vitest";
import { cachedAgainstWhole, wholeModel } from "../../test/support/decode.js";
import { tinyModel } from "../../test/support/tiny-model.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";

const config = { model_type: "feed-forward-lm", vocab_size: 11, context_size: 3, embedding_size: 4, hidden_size: 8 };

const rows = [
  [3, 1, 4, 1, 5, 9, 2],
  [2, 7, 4, 1, 5, 8, 1],
];

test.each([1, 2, 3, 9])("cached decoding with n = %i is the whole sequence's", async (context_size) => {
  const model = tinyModel({ ...config, context_size });
  const { difference, positions } = await cachedAgainstWhole(model, { texts: rows, prompts: [3, 1] });
  expect(positions).toBe(5 + 7);
  expect(difference).toBeLessThan(1e-5);
});

test("a prediction sees the last n tokens and no others", async () => {
  using whole = await wholeModel(tinyModel(config));
  const [a, b] = [await whole.logits(rows[0]!), await whole.logits(rows[1]!)];
  expect(a[4]).toEqual(b[4]); // both end in 4 1 5
  expect(a[3]).not.toEqual(b[3]);
  expect(a[5]).not.toEqual(b[5]);
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
