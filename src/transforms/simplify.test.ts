import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { numbersOf, runGraph } from "../../test/support/run-graph.js";
import { type Dim, type Graph, hostTensor, input, type Tensor, topologicalOrder, withScope } from "../core/index.js";
import * as ops from "../ops/index.js";
import { pullback } from "./grad.js";
import { print } from "./print.js";
import { simplify } from "./simplify.js";
import { verify } from "./verify.js";

const [x, y] = [input("x", [2, 3]), input("y", [2, 3])];
const v = input("v", [3]);
const i = input("i", [4], "int32");
const z = input("z", [2], "float64");
const inputs = [x, y, v, i, z];

/** The nodes of a simplified value, in one line. */
function form(value: Tensor): string {
  const lines = print(simplify({ inputs, outputs: [value] }))
    .split("\n")
    .slice(1, -1);
  return lines.map((line) => line.replace(/^ *%\d+: \w+/, "").trim()).join("; ");
}

describe("simplify leaves out", () => {
  it.each<[string, () => Tensor, Tensor]>([
    ["x + 0", () => ops.add(x, 0), x],
    ["0 + x", () => ops.add(0, x), x],
    ["x + zeros", () => ops.add(x, ops.full([2, 1], 0)), x],
    ["x − 0", () => ops.sub(x, 0), x],
    ["x · 1", () => ops.mul(ops.mul(1, x), 1), x],
    ["x · ones", () => ops.mul(x, ops.full([2, 3], 1)), x],
    ["x / 1", () => ops.div(x, 1), x],
    ["i + 0", () => ops.add(i, 0), i],
    ["−−x", () => ops.neg(ops.neg(x)), x],
    ["x · −1 · −1", () => ops.mul(ops.mul(x, -1), -1), x],
    ["x · 4 · ¼", () => ops.mul(ops.mul(x, 4), 0.25), x],
    ["a transposition undone", () => ops.transpose(ops.transpose(x)), x],
    [
      "three thirds of a turn",
      () => [0, 1, 2].reduce((t) => ops.transpose(t, [1, 2, 0]), ops.reshape(x, [1, 2, 3])),
      ops.reshape(x, [1, 2, 3]),
    ],
    ["a reshape undone", () => ops.reshape(ops.reshape(x, [3, 2]), [2, 3]), x],
    ["a wider type and back", () => ops.cast(ops.cast(x, "float64"), "float32"), x],
    ["a sum over no axes", () => ops.sum(x, { axes: [] }), x],
    ["0 + 0 + x", () => ops.add(ops.add(ops.scalar(0), 0), x), x],
  ])("%s", (_, build, expected) => {
    const { outputs } = simplify({ inputs, outputs: [build()] });
    expect(print({ inputs, outputs })).toBe(print(simplify({ inputs, outputs: [expected] })));
  });
});

describe("simplify shortens", () => {
  it.each<[string, () => Tensor, string]>([
    ["factors", () => ops.mul(2, ops.mul(ops.mul(x, 3), 4)), "[] = constant() {data: [24]}; [2, 3] = mul(x, %0)"],
    ["a negated product", () => ops.neg(ops.mul(x, 3)), "[] = constant() {data: [-3]}; [2, 3] = mul(x, %0)"],
    ["a product with −1", () => ops.mul(x, -1), "[2, 3] = neg(x)"],
    ["0 − x", () => ops.sub(0, x), "[2, 3] = neg(x)"],
    ["x + −y", () => ops.add(x, ops.neg(y)), "[2, 3] = sub(x, y)"],
    ["−x + y", () => ops.add(ops.neg(x), y), "[2, 3] = sub(y, x)"],
    ["x − −y", () => ops.sub(x, ops.neg(y)), "[2, 3] = add(x, y)"],
    ["−(x − y)", () => ops.neg(ops.sub(x, y)), "[2, 3] = sub(y, x)"],
    [
      "constants",
      () => ops.mul(x, ops.div(ops.sub(ops.add(ops.scalar(5), 3), 2), 3)),
      "[] = constant() {data: [2]}; [2, 3] = mul(x, %0)",
    ],
    [
      "a constant of one number",
      () => ops.mul(x, ops.broadcastTo(ops.reshape(ops.scalar(7), [1, 1]), [2, 3])),
      "[] = constant() {data: [7]}; [2, 3] = mul(x, %0)",
    ],
    [
      "a constant that broadcasts",
      () => ops.add(v, ops.reshape(ops.scalar(7), [1, 1])),
      "[1, 1] = full() {value: 7}; [1, 3] = add(v, %0)",
    ],
    [
      "factors of a matrix product",
      () => ops.matmul(ops.mul(x, 3), ops.neg(y), { transB: true, scale: 0.5 }),
      "[2, 2] = matmul(x, y) {transB: true, scale: -1.5}",
    ],
    [
      "transposed factors",
      () => ops.matmul(ops.transpose(x), ops.transpose(y), { transA: true }),
      "[2, 2] = matmul(x, y) {transB: true}",
    ],
    [
      "transpositions",
      () => ops.transpose(ops.transpose(ops.reshape(x, [1, 2, 3]), [1, 0, 2]), [2, 1, 0]),
      "[1, 2, 3] = reshape(x); [3, 1, 2] = transpose(%0) {perm: [2, 0, 1]}",
    ],
    ["reshapes", () => ops.reshape(ops.reshape(x, [6]), [3, 2]), "[3, 2] = reshape(x)"],
    ["broadcasts", () => ops.broadcastTo(ops.broadcastTo(v, [2, 3]), [4, 2, 3]), "[4, 2, 3] = broadcast_to(v)"],
    ["slices", () => ops.slice(ops.slice(x, 1, 1), 1, 1, 2), "[2, 1] = slice(x) {axis: 1, start: 2, end: 3}"],
    [
      "casts",
      () => ops.cast(ops.cast(ops.less(x, y), "float32"), "int64"),
      "[2, 3] = less(x, y); [2, 3] = cast(%0) {to: int64}",
    ],
    ["a mean over axes of size 1", () => ops.mean(ops.reshape(x, [1, 6]), { axes: [0] }), "[6] = reshape(x)"],
    [
      "twins",
      () => ops.add(ops.exp(ops.mul(x, 2)), ops.exp(ops.mul(x, 2))),
      "[] = constant() {data: [2]}; [2, 3] = mul(x, %0); [2, 3] = exp(%1); [2, 3] = add(%2, %2)",
    ],
    [
      "twins that a rewrite makes",
      () => ops.add(ops.exp(ops.mul(ops.mul(x, 2), 3)), ops.exp(ops.mul(x, 6))),
      "[] = constant() {data: [6]}; [2, 3] = mul(x, %0); [2, 3] = exp(%1); [2, 3] = add(%2, %2)",
    ],
  ])("%s", (_, build, expected) => expect(form(build())).toBe(expected));
});

describe("simplify keeps", () => {
  it.each<[string, () => Tensor]>([
    ["a zero that broadcasts", () => ops.add(v, ops.full([2, 3], 0))],
    ["a product with 0, for the sake of infinities", () => ops.mul(x, 0)],
    ["a narrower type in between", () => ops.cast(ops.cast(i, "float32"), "float64")],
    ["a narrower type in between, and back", () => ops.cast(ops.cast(z, "float32"), "float64")],
    ["zero apart from its opposite", () => ops.concat([ops.full([1], 0), ops.full([1], -0)])],
    ["integers through floats", () => ops.cast(ops.cast(i, "float32"), "int32")],
    ["integer products", () => ops.mul(ops.mul(i, 3), 5)],
    ["different constants", () => ops.add(ops.mul(x, 2), ops.mul(x, 3))],
    [
      "different types of one constant",
      () => ops.add(ops.cast(ops.scalar(1, "int64"), "float32"), ops.cast(ops.scalar(1, "int32"), "float32")),
    ],
    ["infinity apart from its opposite", () => ops.concat([ops.full([1], 1 / 0), ops.full([1], -1 / 0)])],
    ["slices of different axes", () => ops.slice(ops.slice(x, 1, 1), 0, 1)],
  ])("%s", (_, build) => {
    const graph = { inputs, outputs: [build()] };
    expect(topologicalOrder(simplify(graph).outputs).map((n) => n.op.name)).toEqual(
      topologicalOrder(graph.outputs).map((n) => n.op.name),
    );
  });
});

describe("simplify", () => {
  it("drops what no output needs", () => {
    const pair = ops.split(x, 3);
    const graph = { inputs, outputs: [ops.relu(pair[1]!)] };
    ops.exp(pair[0]!);
    expect(topologicalOrder(simplify(graph).outputs)).toHaveLength(2);
  });

  it("compares large constants by identity and small ones by content", () => {
    const large = new Float32Array(2000);
    const sum = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      topologicalOrder(simplify({ inputs: [], outputs: [ops.add(ops.constant(a), ops.constant(b))] }).outputs).length;
    expect(sum(large, large)).toBe(2);
    expect(sum(large, large.slice())).toBe(3);
    expect(sum([1, 2], [1, 2])).toBe(2);
    expect(sum([1, 2], [1, 3])).toBe(3);
  });

  it("keeps the path of what it replaces", () => {
    const y = withScope("h.0", () => withScope("attn", () => ops.mul(ops.mul(x, 3), 4)));
    expect(simplify({ inputs, outputs: [y] }).outputs[0]!.node!.path).toBe("h.0.attn.mul");
  });

  it("does not change the graph it is given", () => {
    const graph = { inputs, outputs: [ops.add(ops.mul(ops.mul(x, 2), 3), 0)] };
    const before = print(graph);
    simplify(graph);
    expect(print(graph)).toBe(before);
  });

  it("holds for sizes that are names", () => {
    const z = input("named", ["b", "t", 4]);
    const flat = ops.reshape(ops.add(z, ops.full(["b", "t", 4], 0)), ["b*t", 4]);
    const back = ops.reshape(ops.mul(flat, ops.full(["b*t", 4], 1)), ["b", "t", 4]);
    expect(simplify({ inputs: [z], outputs: [back] }).outputs).toEqual([z]);
  });

  it("takes a long chain", () => {
    let z: Tensor = x;
    for (let n = 0; n < 20_000; n++) z = ops.add(ops.mul(z, 1), 0);
    expect(simplify({ inputs, outputs: [z] }).outputs).toEqual([x]);
  });
});

// ---- random expressions ----------------------------------------------------------------------------------------------

/** One step of a random program: which operation, on which of the values so far, with which numbers. */
const instruction = fc.record({
  kind: fc.nat(15),
  a: fc.nat(),
  b: fc.nat(),
  number: fc.constantFrom(0, 1, -1, 2, 0.5, -3),
  axis: fc.nat(),
});
type Instruction = typeof instruction extends fc.Arbitrary<infer T> ? T : never;

const starts = [
  input("p", [2, 3], "float64"),
  input("q", [3], "float64"),
  input("r", [2, 1], "float64"),
  input("s", [1, 3, 2], "float64"),
];

/** A graph from a program; a step that does not fit its operands does something to one of them instead. */
function interpret(program: readonly Instruction[]): Graph {
  const values: Tensor[] = [...starts];
  for (const { kind, a, b, number, axis } of program) {
    // Recent values more often: long chains.
    const [p, q] = [values.at(-1 - (a % Math.min(values.length, 6)))!, values[b % values.length]!];
    const along = p.rank === 0 ? 0 : axis % p.rank;
    const size = Number(p.shape[along] ?? 1);
    const broadcast = (f: typeof ops.add) => {
      try {
        return f(p, q);
      } catch {
        return f(p, number);
      }
    };
    const steps: (() => Tensor)[] = [
      () => broadcast(ops.add),
      () => broadcast(ops.sub),
      () => broadcast(ops.mul),
      () => ops.div(p, number || 4),
      () => ops.neg(p),
      () => ops.mul(p, number),
      () => ops.add(number, p),
      () =>
        ops.mul(
          p,
          ops.broadcastTo(ops.reshape(ops.scalar(number, "float64"), [1]), [size === 1 ? 1 : Number(p.shape.at(-1))]),
        ),
      () => (p.rank > 1 ? ops.transpose(p) : ops.tanh(p)),
      () =>
        ops.transpose(
          p,
          p.shape.map((_, k) => (k + axis) % p.rank),
        ),
      () => ops.reshape(p, axis % 2 === 0 ? [1, ...p.shape] : [...p.shape].reverse()),
      () => ops.broadcastTo(p, [1 + (axis % 2), ...(p.rank > 2 ? p.shape.slice(1) : p.shape)].slice(-3) as Dim[]),
      () =>
        p.rank === 0
          ? ops.tanh(p)
          : [ops.sum, ops.mean, ops.max][b % 3]!(p, { axes: [along], keepDims: axis % 2 === 0 }),
      () => (size < 2 ? ops.neg(p) : ops.slice(p, along, b % 2, size - (a % 2) * (size > 2 ? 1 : 0))),
      () => ops.cast(ops.cast(p, "float64"), "float64"),
      () =>
        p.rank === 2 && q.rank === 2 && p.shape[0] === q.shape[0]
          ? ops.matmul(p, q, { transA: true, scale: number || 1 })
          : ops.tanh(p),
    ];
    let next: Tensor;
    try {
      next = steps[kind]!();
    } catch {
      next = ops.tanh(p);
    }
    values.push(next.rank > 4 ? ops.sum(next) : next);
  }
  return { inputs: starts, outputs: values.slice(-2) };
}

describe("simplify, of random expressions", () => {
  const point = Object.fromEntries(
    starts.map(({ name, shape }, k) => {
      const sizes = shape as readonly number[];
      const values = Array.from({ length: sizes.reduce((m, n) => m * n, 1) }, (_, n) => Math.sin(1 + 3 * k + n));
      return [name, hostTensor(values, sizes, "float64")];
    }),
  );
  const graphs = fc.array(instruction, { minLength: 1, maxLength: 14 }).map(interpret);
  const withGradients = ({ inputs, outputs }: Graph): Graph => {
    const ones = outputs.map((t) => ops.full(t.shape, 1, t.dtype));
    return { inputs, outputs: [...outputs, ...pullback(outputs, ones, inputs).filter((t) => t !== undefined)] };
  };

  it("computes the same numbers, also in gradients, and never with more nodes", async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async (plain) => {
        const graph = withGradients(plain);
        const simple = verify(simplify(graph));
        expect(topologicalOrder(simple.outputs).length).toBeLessThanOrEqual(topologicalOrder(graph.outputs).length);
        const [expected, results] = [await runGraph(graph, point), await runGraph(simple, point)];
        const largest = Math.max(1, ...expected.flatMap(numbersOf).map(Math.abs));
        for (const [k, result] of results.entries()) {
          expect(result.shape).toEqual(expected[k]!.shape);
          const wanted = numbersOf(expected[k]!);
          for (const [n, got] of numbersOf(result).entries())
            expect(Math.abs(got - wanted[n]!)).toBeLessThanOrEqual(1e-9 * largest);
        }
      }),
      { numRuns: 150, seed: 7 },
    );
  });

  it("has nothing left to simplify afterwards", () => {
    fc.assert(
      fc.property(graphs, (plain) => {
        const once = simplify(withGradients(plain));
        expect(print(simplify(once))).toBe(print(once));
      }),
      { numRuns: 400, seed: 8 },
    );
  });
});
