import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { withObserver } from "../core/trace.js";
import { MASKED } from "../ops/attention.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { additiveAttention } from "./additive-attention.js";

const inputs = {
  q: hostTensor([0.5, -1], [1, 2, 1]),
  k: hostTensor([1, 2, -1, 0, 3, 1], [1, 3, 2]),
  values: hostTensor([1, 2, 3], [1, 3, 1]),
  bias: hostTensor([0, 0, MASKED], [1, 1, 3]),
  Wq: hostTensor([0.3, -0.7], [2, 1]),
  Wk: hostTensor([0.2, 0.1, -0.4, 0.6], [2, 2]),
  v: hostTensor([1.5, -0.5], [1, 2]),
};

const attend = (masked: boolean) =>
  evaluate(nativeRuntime(), inputs, ({ q, k, values, bias, Wq, Wk, v }) => {
    const params = {
      Wq: { weight: Wq, bias: undefined },
      Wk: { weight: Wk, bias: undefined },
      v: { weight: v, bias: undefined },
    };
    const { context, weights } = additiveAttention(1, 2, 2)(params, q, k, masked ? { values, bias } : { values });
    return { context, weights };
  });

/** The formula, number by number. */
function expected(seen: readonly number[]) {
  const at = (name: "q" | "k" | "Wq" | "Wk" | "v", i: number) => numbersOf(inputs[name])[i]!;
  return [0, 1].map((i) => {
    const scores = [0, 1, 2].map((j) =>
      [0, 1].reduce((sum, a) => {
        const key = at("Wk", 2 * a) * at("k", 2 * j) + at("Wk", 2 * a + 1) * at("k", 2 * j + 1);
        return sum + at("v", a) * Math.tanh(at("Wq", a) * at("q", i) + key);
      }, 0),
    );
    const powers = scores.map((s, j) => (seen.includes(j) ? Math.exp(s) : 0));
    const total = powers.reduce((a, b) => a + b);
    const weights = powers.map((p) => p / total);
    return { weights, context: weights.reduce((sum, w, j) => sum + w * (j + 1), 0) };
  });
}

test.each([
  ["all keys", false, [0, 1, 2]],
  ["a key hidden by the bias", true, [0, 1]],
] as const)("%s", async (_, masked, seen) => {
  const { context, weights } = await attend(masked);
  expect(weights.shape).toEqual([1, 2, 3]);
  expect(context.shape).toEqual([1, 2, 1]);
  const rows = expected(seen);
  for (const [i, w] of numbersOf(weights).entries()) expect(w).toBeCloseTo(rows.flatMap((row) => row.weights)[i]!, 6);
  for (const [i, c] of numbersOf(context).entries()) expect(c).toBeCloseTo(rows[i]!.context, 6);
});

test("an observer sees the weights", async () => {
  const seen: string[] = [];
  await withObserver(
    (path, value) => {
      seen.push(path);
      return value;
    },
    () => attend(false),
  );
  expect(seen).toContain("attention_weights");
});
