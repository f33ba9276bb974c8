import { describe, expect, test } from "vitest";
import { randomFrom } from "../../test/ops/check.js";
import { numbersOf, runGraph } from "../../test/support/run-graph.js";
import type { Dim } from "../core/dim.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { input, type Tensor } from "../core/tensor.js";
import { grad } from "../transforms/grad.js";
import { print } from "../transforms/print.js";
import { simplify } from "../transforms/simplify.js";
import { ops as o } from "./index.js";

/** `h_i = tanh(x_i + h_{i−1} W + b)`, all of them. */
const rnn = (x: Tensor, h: Tensor, w: Tensor, b: Tensor, reverse = false) =>
  o.scan(
    ([h], [x]) => {
      const y = o.tanh(o.add(x!, o.add(o.matmul(h!, w), b)));
      return { carries: [y], ys: [y] };
    },
    [h],
    [x],
    { reverse },
  ).ys[0]!;

describe("values", () => {
  const build = (t: Dim, reverse: boolean) => {
    const [x, h] = [input("x", ["b", t, 2]), input("h", ["b", 2])];
    const sums = o.scan(([h], [x]) => ({ carries: [o.add(h!, x!)], ys: [o.mul(h!, 2)] }), [h], [x], { reverse });
    return { inputs: [x, h], outputs: [...sums.carries, ...sums.ys] };
  };
  const x = hostTensor([1, 2, 3, 4, 5, 6], [1, 3, 2]);
  const h = hostTensor([10, 20], [1, 2]);

  test.each<Dim>([3, "t"])("forwards, length %s", async (t) => {
    const [last, ys] = await runGraph(build(t, false), { x, h });
    expect(numbersOf(last!)).toEqual([19, 32]);
    expect(numbersOf(ys!)).toEqual([20, 40, 22, 44, 28, 52]);
    expect(ys!.shape).toEqual([1, 3, 2]);
  });

  test.each<Dim>([3, "t"])("backwards, length %s", async (t) => {
    const [last, ys] = await runGraph(build(t, true), { x, h });
    expect(numbersOf(last!)).toEqual([19, 32]);
    expect(numbersOf(ys!)).toEqual([36, 60, 30, 52, 20, 40]);
  });

  test("results that are an argument, a tensor from outside or one another", async () => {
    const [x, w] = [input("x", [3]), input("w", [])];
    const { carries, ys } = o.scan(
      ([a, b], [x]) => ({ carries: [b!, a!], ys: [x!, w, a!, a!] }),
      [w, o.scalar(0)],
      [x],
      { axis: 0 },
    );
    const results = await runGraph(
      { inputs: [x, w], outputs: [...carries, ...ys] },
      { x: hostTensor([1, 2, 3], [3]), w: hostTensor([7], []) },
    );
    expect(results.map(numbersOf)).toEqual([[0], [7], [1, 2, 3], [7, 7, 7], [7, 0, 7], [7, 0, 7]]);
  });
});

test("the gradient of a weight and of a bias is one operation after the loop", () => {
  const [x, h, w, b] = [input("x", [2, 5, 3]), input("h", [2, 3]), input("w", [3, 3]), input("b", [3])];
  const loss = o.sum(rnn(x, h, w, b));
  const outputs = grad(loss, [w, b]);
  expect(print(simplify({ inputs: [x, h, w, b], outputs }))).toMatchSnapshot();
});

describe("gradients against directional differences in double precision", () => {
  const f64 = (name: string, shape: readonly number[]) => input(name, shape, "float64");
  type Case = { readonly inputs: readonly Tensor[]; readonly loss: (...inputs: Tensor[]) => Tensor };
  const weigh = (y: Tensor) => o.mean(o.mul(y, o.add(y, 0.3)));

  const cases: Readonly<Record<string, Case>> = {
    "a weight in a product, a bias in a sum": {
      inputs: [f64("x", [2, 4, 3]), f64("h", [2, 3]), f64("w", [3, 3]), f64("b", [3])],
      loss: (x, h, w, b) => weigh(rnn(x!, h!, w!, b!)),
    },
    reversed: {
      inputs: [f64("x", [2, 4, 3]), f64("h", [2, 3]), f64("w", [3, 3]), f64("b", [3])],
      loss: (x, h, w, b) => weigh(rnn(x!, h!, w!, b!, true)),
    },
    "a weight as left factor and with more axes than the step": {
      inputs: [f64("x", [4, 3, 2]), f64("h", [3, 2]), f64("w", [5, 3, 3])],
      loss: (x, h, w) =>
        weigh(
          o.scan(
            ([h], [x]) => {
              const y = o.tanh(o.sum(o.matmul(w!, o.add(h!, x!)), { axes: [0] }));
              return { carries: [y], ys: [y] };
            },
            [h!],
            [x!],
            { axis: 0 },
          ).ys[0]!,
        ),
    },
    "a weight in a product and in an operation of another kind": {
      inputs: [f64("x", [4, 2, 3]), f64("h", [2, 3]), f64("w", [3, 3])],
      loss: (x, h, w) =>
        weigh(
          o.scan(
            ([h], [x]) => {
              const y = o.tanh(
                o.add(o.matmul(h!, w!), o.matmul(x!, o.where(o.less(o.sum(h!), 0.2), w!, o.mul(w!, w!)))),
              );
              return { carries: [y], ys: [o.mul(y, h!)] };
            },
            [h!],
            [x!],
            { axis: 0 },
          ).ys[0]!,
        ),
    },
    "only the last carry, and one that is an integer": {
      inputs: [f64("x", [2, 4, 3]), f64("h", [2, 3])],
      loss: (x, h) => {
        const { carries } = o.scan(
          ([h, i], [x]) => ({ carries: [o.add(o.mul(h!, o.cast(i!, "float64")), o.sin(x!)), o.add(i!, 1)] }),
          [h!, o.scalar(1, "int64")],
          [x!],
        );
        return weigh(carries[0]!);
      },
    },
    "a loop in a loop": {
      inputs: [f64("x", [3, 4, 2]), f64("h", [2]), f64("w", [2, 2])],
      loss: (x, h, w) => {
        const inner = (h: Tensor, x: Tensor) =>
          o.scan(
            ([h], [x]) => {
              const y = o.tanh(o.add(x!, o.reshape(o.matmul(o.reshape(h!, [1, 2]), w!), [2])));
              return { carries: [y], ys: [o.mul(y, h!)] };
            },
            [h],
            [x],
            { axis: 0 },
          );
        const outer = o.scan(
          ([h], [x]) => {
            const { carries, ys } = inner(h!, x!);
            return { carries: [o.sin(carries[0]!)], ys };
          },
          [h!],
          [x!],
          { axis: 0 },
        );
        return weigh(outer.ys[0]!);
      },
    },
  };

  const perturbed = (x: HostTensor, along: HostTensor, by: number) => {
    const [a, v] = [x.data as Float64Array, along.data as Float64Array];
    return { ...x, data: a.map((value, i) => value + by * v[i]!) };
  };

  for (const [name, { inputs, loss }] of Object.entries(cases)) {
    const random = randomFrom(name);
    const draw = () =>
      Object.fromEntries(
        inputs.map(({ name, shape, dtype }) => {
          const sizes = shape as readonly number[];
          const data = Float64Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1);
          return [name, hostTensor(data, sizes, dtype)];
        }),
      );
    const [at, along, second] = [draw(), draw(), draw()];
    const moved = (by: number) =>
      Object.fromEntries(inputs.map(({ name }) => [name, perturbed(at[name]!, along[name]!, by)]));
    const dot = (gradients: readonly Tensor[], values: Record<string, HostTensor>) =>
      gradients
        .map((g, i) =>
          o.sum(o.mul(g, o.constant(values[inputs[i]!.name]!.data, inputs[i]!.shape as number[], "float64"))),
        )
        .reduce((a, b) => o.add(a, b));
    const value = async (y: Tensor, by = 0) =>
      numbersOf((await runGraph(simplify({ inputs, outputs: [y] }), moved(by)))[0]!)[0]!;
    const slope = async (y: Tensor) => ((await value(y, 1e-5)) - (await value(y, -1e-5))) / 2e-5;

    test(name, async () => {
      const y = loss(...inputs);
      const expected = await slope(y);
      expect(Math.abs(expected)).toBeGreaterThan(1e-3);
      expect(await value(dot(grad(y, inputs), along))).toBeCloseTo(expected, 7);
    });

    test(`${name}, the gradient of the gradient`, async () => {
      const y = dot(grad(loss(...inputs), inputs), second);
      expect(await value(dot(grad(y, inputs), along))).toBeCloseTo(await slope(y), 7);
    });
  }
});

describe("refusals", () => {
  const [x, h] = [input("x", [2, 5, 3]), input("h", [2, 3])];
  test.each<[string, () => unknown, string]>([
    ["nothing to run along", () => o.scan(() => ({ carries: [] }), [], []), "scan: no tensors to run along"],
    [
      "a carry that changes",
      () => o.scan(([h]) => ({ carries: [o.sum(h!)] }), [h], [x]),
      "scan: the step changes the type of carry 0 (float32[2, 3] vs float32[])",
    ],
    [
      "a carry too many",
      () => o.scan(([h]) => ({ carries: [h!, h!] }), [h], [x]),
      "scan: the step returns other carries than it gets (1 vs 2)",
    ],
    [
      "lengths",
      () => o.scan(([h]) => ({ carries: [h!] }), [h], [x, input("y", [2, 4])]),
      "scan: lengths differ, [5, 2, 3] and [4, 2] (5 vs 4)",
    ],
    [
      "an axis that is not there",
      () => o.scan(([h]) => ({ carries: [h!] }), [h], [h], { axis: 2 }),
      "no axis 2 in rank 2",
    ],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
  });
});
