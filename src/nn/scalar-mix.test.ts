import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { parameterTree } from "../core/module.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { scalarMix } from "./scalar-mix.js";

test("the mixture of layers as they are, and of normalized ones", async () => {
  const [gamma, w] = [1.5, [0.2, -0.7]];
  const layers = [
    [
      [1, 2, 3, -4],
      [0.5, 0, 0, 0.1],
    ],
    [
      [10, -20, 5, 5],
      [3, 3, 4, 1],
    ],
  ];
  const total = w.reduce((sum, x) => sum + Math.exp(x), 0);
  const shares = w.map((x) => Math.exp(x) / total);
  const normalized = (x: readonly number[]) => {
    const mean = x.reduce((a, b) => a + b) / x.length;
    const variance = x.reduce((sum, y) => sum + (y - mean) ** 2, 0) / x.length;
    return x.map((y) => (y - mean) / Math.sqrt(variance + 1e-5));
  };
  for (const normalize of [false, true]) {
    const module = scalarMix(2, { normalize });
    const inputs = {
      gamma: hostTensor([gamma], [1]),
      "scalar_parameters.0": hostTensor([w[0]!], [1]),
      "scalar_parameters.1": hostTensor([w[1]!], [1]),
      h0: hostTensor(layers[0]!.flat(), [2, 4]),
      h1: hostTensor(layers[1]!.flat(), [2, 4]),
    };
    const { y } = await evaluate(nativeRuntime(), inputs, (x) => ({
      y: module(
        parameterTree(module, (path) => x[path as keyof typeof inputs]),
        [x.h0, x.h1],
      ),
    }));
    const vectors = layers.map((layer) => layer.map((x) => (normalize ? normalized(x) : x)));
    const expected = [0, 1].flatMap((i) =>
      [0, 1, 2, 3].map((k) => gamma * shares.reduce((sum, share, j) => sum + share * vectors[j]![i]![k]!, 0)),
    );
    for (const [i, x] of numbersOf(y).entries()) expect(x).toBeCloseTo(expected[i]!, 5);
  }
});
