import { describe, expect, test } from "vitest";
import { primitivesIn } from "../../test/ops/check.js";
import { numbersOf } from "../../test/support/run-graph.js";
import type { Dim } from "../core/dim.js";
import { hostTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../core/module.js";
import { input } from "../core/tensor.js";
import { add } from "../ops/elementwise.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { type Context, sequenceContext } from "./context.js";
import { gru } from "./gru.js";
import { lstm } from "./lstm.js";
import type { RnnCell } from "./rnn-cell.js";
import { bidirectionalSequenceRnn, sequenceRnn } from "./sequence-rnn.js";
import { simpleRnn } from "./simple-rnn.js";

const shapes = (module: AnyModule) =>
  [...parametersOf(module)].map(([name, { shape }]) => `${name} ${shape.join("×")}`);

describe("parameters are torch's", () => {
  test("GRU, two layers", () => {
    expect(shapes(sequenceRnn(gru({ input: 5, hidden: 3 }), { layers: 2 }))).toEqual([
      "weight_ih_l0 9×5",
      "weight_hh_l0 9×3",
      "bias_ih_l0 9",
      "bias_hh_l0 9",
      "weight_ih_l1 9×3",
      "weight_hh_l1 9×3",
      "bias_ih_l1 9",
      "bias_hh_l1 9",
    ]);
  });

  test("LSTM with projection, both directions, two layers", () => {
    expect(shapes(bidirectionalSequenceRnn(lstm({ input: 5, hidden: 3, projection: 2 }), { layers: 2 }))).toEqual([
      "weight_ih_l0 12×5",
      "weight_hh_l0 12×2",
      "bias_ih_l0 12",
      "bias_hh_l0 12",
      "weight_hr_l0 2×3",
      "weight_ih_l0_reverse 12×5",
      "weight_hh_l0_reverse 12×2",
      "bias_ih_l0_reverse 12",
      "bias_hh_l0_reverse 12",
      "weight_hr_l0_reverse 2×3",
      "weight_ih_l1 12×4",
      "weight_hh_l1 12×2",
      "bias_ih_l1 12",
      "bias_hh_l1 12",
      "weight_hr_l1 2×3",
      "weight_ih_l1_reverse 12×4",
      "weight_hh_l1_reverse 12×2",
      "bias_ih_l1_reverse 12",
      "bias_hh_l1_reverse 12",
      "weight_hr_l1_reverse 2×3",
    ]);
  });
});

describe("a cell of one's own", () => {
  /** h_i = h_{i−1} + x_i, and how many steps there were. */
  const sums: RnnCell = {
    input: 1,
    states: [1, 1],
    parameters: () => ({}),
    project: (_, x) => x,
    step: (_, [h, count], x) => [add(h!, x), add(count!, 1)],
  };
  const x = hostTensor([1, 2, 3, 10, 20, 30], [2, 3, 1]);
  const run = async (options: Parameters<typeof sequenceRnn>[1], length = 3) => {
    const cut = hostTensor(
      [...numbersOf(x)].filter((_, i) => i % 3 < length),
      [2, length, 1],
    );
    const { y } = await evaluate(nativeRuntime(), { x: cut }, ({ x }) => ({
      y: sequenceRnn(sums, options)({}, x, sequenceContext({ batch: 2, length })),
    }));
    return { shape: y.shape, values: numbersOf(y) };
  };

  test("forwards", async () => {
    expect(await run({})).toEqual({ shape: [2, 3, 1], values: [1, 3, 6, 10, 30, 60] });
  });
  test("two layers", async () => {
    expect((await run({ layers: 2 })).values).toEqual([1, 4, 10, 10, 40, 100]);
  });
  test("from both ends", async () => {
    expect(await run({ bidirectional: true })).toEqual({
      shape: [2, 3, 2],
      values: [1, 6, 3, 5, 6, 3, 10, 60, 30, 50, 60, 30],
    });
  });
  test("one element", async () => {
    expect(await run({ bidirectional: true }, 1)).toEqual({ shape: [2, 1, 2], values: [1, 1, 10, 10] });
  });
});

describe("what is traced", () => {
  const primitives = (length: Dim, ctx: (c: Context) => Context, options: Parameters<typeof sequenceRnn>[1] = {}) => {
    const rnn = sequenceRnn(simpleRnn({ input: 4, hidden: 3 }), options);
    const params = parameterTree(rnn, (name, { shape }) => input(name, shape));
    const x = input("x", [2, length, 4]);
    const context = ctx(sequenceContext({ batch: 2, length, dropoutKey: input("key", [2], "int32") }));
    return primitivesIn({ inputs: [], outputs: [rnn(params, x, context)] });
  };
  const count = (names: readonly string[], name: string) => names.filter((n) => n === name).length;

  test("one element needs no loop", () => {
    expect(
      count(
        primitives(1, (c) => c),
        "scan",
      ),
    ).toBe(0);
    expect(
      count(
        primitives("t", (c) => c),
        "scan",
      ),
    ).toBe(1);
  });

  test("dropout acts between layers only", () => {
    expect(
      count(
        primitives(5, (c) => c, { dropout: 0.5 }),
        "dropout_mask",
      ),
    ).toBe(0);
    expect(
      count(
        primitives(5, (c) => c, { dropout: 0.5, layers: 3 }),
        "dropout_mask",
      ),
    ).toBe(2);
  });

  test("each layer carries its states, unless it also runs from the end", () => {
    const carried: string[] = [];
    const spy = (c: Context): Context => ({
      ...c,
      carry(name, state, advance) {
        carried.push(`${name} ${state.shape.join("×")}`);
        return c.carry(name, state, advance);
      },
    });
    primitives(5, spy, { layers: 2 });
    expect(carried).toEqual(["state_l0 2×3", "state_l1 2×3"]);
    carried.length = 0;
    primitives(5, spy, { layers: 2, bidirectional: true });
    expect(carried).toEqual([]);
  });
});

test.each([0, 1.5])("%d layers are refused", (layers) => {
  expect(() => sequenceRnn(gru({ input: 2, hidden: 2 }), { layers })).toThrow(
    `sequenceRnn: layers must be a whole number ≥ 1, got ${layers}`,
  );
});
