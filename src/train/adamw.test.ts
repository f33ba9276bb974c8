import { describe, expect, it } from "vitest";
import recorded from "../../test/train/adamw-torch.json" with { type: "json" };
import { hostTensor } from "../core/host-tensor.js";
import { input } from "../core/tensor.js";
import { compileGraph } from "../runtime/compile.js";
import { nativeRuntime } from "../runtime/native.js";
import { print } from "../transforms/print.js";
import { simplify } from "../transforms/simplify.js";
import { adamWScalars } from "./adamw.js";
import { type OptimizerOptions, optimizerScalars, updateParameters } from "./optimizer.js";

const names = ["w", "b", "e"] as const;
const parts = ["weight", "expAvg", "expAvgSq"] as const;

function traceUpdate(options: OptimizerOptions) {
  const parameters = names.map((name) => {
    const at = (part: string) => input(`${part}.${name}`, recorded.shapes[name]);
    return { weight: at("weight"), expAvg: at("expAvg"), expAvgSq: at("expAvgSq"), gradient: at("gradient") };
  });
  const [count, loss] = [input("count", []), input("loss", [])];
  const scalars = {
    slope: input("slope", []),
    offset: input("offset", []),
    keep: input("keep", []),
    rate: input("rate", []),
  };
  const { updated, ...values } = updateParameters(parameters, count, loss, [scalars], options);
  const inputs = [...parameters.flatMap((p) => Object.values(p)), count, loss, ...Object.values(scalars)];
  const outputs = [...updated.flatMap((p) => parts.map((part) => p[part]!)), values.gradientNorm, values.loss];
  const outputNames = [...names.flatMap((name) => parts.map((part) => `next.${part}.${name}`)), "norm", "mean"];
  return { inputs, outputs, outputNames };
}

describe.each([
  ["clipped", 1],
  ["unclipped", 0],
] as const)("AdamW %s", (kind, maxGradientNorm) => {
  // Gradients of a sum of three losses: all is divided by the count.
  it.each([1, 3])("updates in place as PyTorch does, gradients of a sum of %i", async (count) => {
    const options = { maxGradientNorm };
    const graph = traceUpdate(options);
    using session = await compileGraph(nativeRuntime(), graph, { outputNames: graph.outputNames, threads: 1 });
    const feeds = Object.fromEntries(
      graph.inputs.map(({ name, shape }) => [
        name,
        hostTensor(new Float32Array((shape as number[]).reduce((a, b) => a * b, 1)), shape as number[]),
      ]),
    );
    for (const name of names) (feeds[`weight.${name}`]!.data as Float32Array).set(recorded.init[name]);
    const results = { norm: hostTensor([0], []), mean: hostTensor([0], []) };
    const state = Object.fromEntries(
      names.flatMap((name) => parts.map((part) => [`next.${part}.${name}`, feeds[`${part}.${name}`]!])),
    );
    using binding = session.bind(feeds, { ...results, ...state });

    const expected = recorded[kind];
    feeds.count!.data[0] = count;
    feeds.loss!.data[0] = 6 * count;
    for (const [step, rate] of recorded.rates.entries()) {
      for (const name of names)
        (feeds[`gradient.${name}`]!.data as Float32Array).set(recorded.gradients[step]![name].map((g) => g * count));
      for (const [name, value] of Object.entries(optimizerScalars(step, rate, options))) feeds[name]!.data[0] = value;
      binding.runSync();
      expect(results.norm.data[0]).toBeCloseTo(expected.norms[step]!, 4);
      expect(results.mean.data[0]).toBe(6);
      for (const name of names) expectClose(feeds[`weight.${name}`]!.data, expected.steps[step]![name]);
    }
    for (const name of names) {
      expectClose(feeds[`expAvg.${name}`]!.data, expected.expAvg[name]);
      expectClose(feeds[`expAvgSq.${name}`]!.data, expected.expAvgSq[name]);
    }
  });
});

it("lets every update wait for the norm and the loss, on which in-place updates rely", () => {
  for (const maxGradientNorm of [0, 1]) {
    const { inputs, outputs } = traceUpdate({ maxGradientNorm });
    for (const y of outputs.slice(0, -2)) {
      const needed = print(simplify({ inputs, outputs: [y] }));
      for (const name of names) expect(needed).toContain(`(gradient.${name}`);
      expect(needed).toMatch(/mul\(loss/);
    }
  }
});

it("changes nothing at a rate of 0", () => {
  expect(adamWScalars(3, 0)).toEqual({ slope: 0, offset: Number.POSITIVE_INFINITY, keep: 1 });
});

function expectClose(actual: ArrayLike<number | bigint>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(Number(actual[i]) - value)).toBeLessThan(2e-7 + 2e-6 * Math.abs(value));
  });
}
