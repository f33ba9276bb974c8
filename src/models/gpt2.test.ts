import { expect, test } from "vitest";
import { openEncoder } from "../../test/support/encoder.js";

const config = {
  model_type: "gpt2",
  architectures: ["GPT2ForSequenceClassification"],
  n_layer: 2,
  n_head: 2,
  n_embd: 8,
  n_positions: 9,
  vocab_size: 20,
  num_labels: 3,
};

test.each([{ pad_token_id: 0 }, {}])("a classifier reads the last token that is no padding: %j", async (padding) => {
  using classifier = await openEncoder({ ...config, ...padding });
  const { logits: alone } = await classifier.run([[5, 6, 7]]);
  expect(alone!.shape).toEqual([1, 3]);
  const { logits } = await classifier.run(
    [
      [5, 6, 7, 0, 0],
      [5, 6, 7, 8, 9],
    ],
    [
      [1, 1, 1, 0, 0],
      [1, 1, 1, 1, 1],
    ],
  );
  for (const [i, x] of alone!.values.entries()) expect(logits!.values[i]).toBeCloseTo(x, 5);
  expect(logits!.values.slice(3)).not.toEqual(logits!.values.slice(0, 3));
});
