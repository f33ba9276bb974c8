import { expect, it } from "vitest";
import recorded from "../../test/train/muon-torch.json" with { type: "json" };
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { randomStream } from "../core/random-stream.js";
import { input } from "../core/tensor.js";
import { compileGraph } from "../runtime/compile.js";
import { nativeRuntime } from "../runtime/native.js";
import { isHiddenMatrix, muon, orthogonalize } from "./muon.js";

/** A matrix with orthonormal columns: a reflection (Householder 1958). */
function reflection(n: number, seed: number): number[][] {
  const random = randomStream(seed);
  const v = Array.from({ length: n }, () => random.normal());
  const square = v.reduce((sum, x) => sum + x * x, 0);
  return v.map((x, i) => v.map((y, j) => Number(i === j) - (2 * x * y) / square));
}

it.each([
  [4, 6],
  [6, 4],
  [5, 5],
])(
  "orthogonalize keeps the singular vectors of a %i × %i matrix and takes the values towards 1",
  async (rows, columns) => {
    const [u, v] = [reflection(rows, 1), reflection(columns, 2)];
    const values = Array.from({ length: Math.min(rows, columns) }, (_, i) => 1 / (1 + i));
    const norm = Math.hypot(...values);
    const polynomial = (s: number) => 3.4445 * s - 4.775 * s ** 3 + 2.0315 * s ** 5;
    const ends = values.map((s) => [1, 2, 3, 4, 5].reduce(polynomial, s / norm));
    const compose = (s: readonly number[]) =>
      u.map((row) => v.map((column) => s.reduce((sum, value, k) => sum + row[k]! * value * column[k]!, 0)));

    const x = input("x", [rows, columns]);
    using session = await compileGraph(
      nativeRuntime(),
      { inputs: [x], outputs: [orthogonalize(x)] },
      { outputNames: ["y"] },
    );
    const { y } = await session.run({ x: hostTensor(Float32Array.from(compose(values).flat()), [rows, columns]) });
    compose(ends)
      .flat()
      .forEach((expected, i) => {
        expect(Number(y!.data[i])).toBeCloseTo(expected, 4);
      });
    for (const end of ends) expect(Math.abs(end - 1)).toBeLessThan(0.35);
  },
);

it("updates as the published algorithm does in PyTorch", async () => {
  const { shape, rates, weightDecay } = recorded;
  const at = (name: string) => input(name, shape);
  const [weight, expAvg, gradient, scale, rate, keep] = [
    at("weight"),
    at("expAvg"),
    at("gradient"),
    input("scale", []),
    input("rate", []),
    input("keep", []),
  ];
  const after = muon({ weight, expAvg, gradient }, scale, { rate, keep });
  const inputs = [weight, expAvg, gradient, scale, rate, keep];
  const graph = { inputs, outputs: [after.weight, after.expAvg] };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: ["next.weight", "next.expAvg"] });
  const matrix = (data: readonly number[]) => hostTensor(Float32Array.from(data), shape);
  let state: Record<"weight" | "expAvg", HostTensor> = {
    weight: matrix(recorded.init),
    expAvg: matrix(recorded.init.map(() => 0)),
  };
  for (const [step, learningRate] of rates.entries()) {
    const scalars = { scale: hostTensor([1], []), rate: hostTensor([learningRate], []) };
    const feeds = { ...state, gradient: matrix(recorded.gradients[step]!), ...scalars };
    const next = await session.run({ ...feeds, keep: hostTensor([1 - learningRate * weightDecay], []) });
    state = { weight: next["next.weight"]!, expAvg: next["next.expAvg"]! };
    recorded.steps[step]!.forEach((expected, i) => {
      expect(Math.abs(Number(state.weight.data[i]) - expected)).toBeLessThan(1e-5);
    });
  }
});

it("is meant for the matrices within layers", () => {
  expect(isHiddenMatrix("transformer.h.0.attn.c_attn.weight", [8, 24])).toBe(true);
  expect(isHiddenMatrix("rnn.weight_hh_l0", [8, 2])).toBe(true);
  expect(isHiddenMatrix("transformer.wte.weight", [11, 8])).toBe(false);
  expect(isHiddenMatrix("lm_head.weight", [11, 8])).toBe(false);
  expect(isHiddenMatrix("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", [32, 8])).toBe(false);
  expect(isHiddenMatrix("transformer.h.0.attn.c_attn.bias", [24])).toBe(false);
});
