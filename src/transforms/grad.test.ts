import { describe, expect, it } from "vitest";
import { numbersOf, runGraph } from "../../test/support/run-graph.js";
import { bind, hostTensor, input, type Primitive, type Tensor, withScope } from "../core/index.js";
import {
  add,
  argMax,
  attention,
  cast,
  exp,
  gather,
  layerNormalize,
  less,
  matmul,
  mean,
  mul,
  relu,
  split,
  sub,
  sum,
  tanh,
  where,
} from "../ops/index.js";
import { grad, pullback, valueAndGrad } from "./grad.js";
import { print } from "./print.js";
import { simplify } from "./simplify.js";

/** Gradients of a scalar at a point, by running them. */
async function at(
  outputs: readonly Tensor[],
  values: Readonly<Record<string, number | readonly number[]>>,
  inputs: readonly Tensor[],
) {
  const host = Object.fromEntries(
    Object.entries(values).map(([name, v]) => [
      name,
      typeof v === "number" ? hostTensor([v], []) : hostTensor(v, [v.length]),
    ]),
  );
  return (await runGraph({ inputs, outputs }, host)).map(numbersOf);
}

describe("grad prints as expected", () => {
  it("of a small network", () => {
    const [x, w1, b1, w2] = [input("x", [4, 3]), input("w1", [3, 5]), input("b1", [5]), input("w2", [5, 2])];
    const loss = mean(matmul(relu(add(matmul(x, w1), b1)), w2));
    expect(print(simplify({ inputs: [x, w1, b1, w2], outputs: grad(loss, [w1, b1, w2]) }))).toMatchInlineSnapshot(`
      "graph(x: float32[4, 3], w1: float32[3, 5], b1: float32[5], w2: float32[5, 2])
        %0: float32[] = constant() {data: [0]}
        %1: float32[4, 5] = matmul(x, w1)
        %2: float32[4, 5] = add(%1, b1)
        %3: bool[4, 5] = less(%0, %2)
        %4: float32[4, 2] = full() {value: 0.125}
        %5: float32[4, 5] = matmul(%4, w2) {transB: true}
        %6: float32[4, 5] = where(%3, %5, %0)
        %7: float32[3, 5] = matmul(x, %6) {transA: true}
        %8: float32[1, 5] = sum(%6) {axes: [0], keepDims: true}
        %9: float32[5] = reshape(%8)
        %10: float32[4, 5] = relu(%2)
        %11: float32[5, 2] = matmul(%10, %4) {transA: true}
        return %7, %9, %11"
    `);
  });

  it("of layer normalization", () => {
    const [x, weight, bias] = [input("x", [2, 3, 8]), input("weight", [8]), input("bias", [8])];
    const dy = input("dy", [2, 3, 8]);
    const outputs = pullback([layerNormalize(x, weight, bias)], [dy], [x, weight, bias]);
    expect(print(simplify({ inputs: [x, weight, bias, dy], outputs: outputs as Tensor[] }))).toMatchInlineSnapshot(`
      "graph(x: float32[2, 3, 8], weight: float32[8], bias: float32[8], dy: float32[2, 3, 8])
        %0: float32[2, 3, 8], %1: float32[2, 3, 1], %2: float32[2, 3, 1] = layer_normalize(x, weight, bias) {eps: 0.00001}
        %3: float32[2, 3, 8] = mul(dy, weight)
        %4: float32[2, 3, 1] = mean(%3) {axes: [2], keepDims: true}
        %5: float32[8] = full() {value: 1}
        %6: float32[8] = full() {value: 0}
        %7: float32[2, 3, 8], %8: float32[2, 3, 1], %9: float32[2, 3, 1] = layer_normalize(x, %5, %6) {eps: 0.00001}
        %10: float32[2, 3, 8] = mul(%3, %7)
        %11: float32[2, 3, 1] = mean(%10) {axes: [2], keepDims: true}
        %12: float32[2, 3, 8] = mul(%7, %11)
        %13: float32[2, 3, 8] = add(%4, %12)
        %14: float32[2, 3, 8] = sub(%3, %13)
        %15: float32[2, 3, 8] = mul(%2, %14)
        %16: float32[2, 3, 8] = mul(dy, %7)
        %17: float32[1, 1, 8] = sum(%16) {axes: [0, 1], keepDims: true}
        %18: float32[8] = reshape(%17)
        %19: float32[1, 1, 8] = sum(dy) {axes: [0, 1], keepDims: true}
        %20: float32[8] = reshape(%19)
        return %15, %18, %20"
    `);
  });

  it("of attention", () => {
    const [q, k, v] = [input("q", [2, 6, 4, 8]), input("k", [2, 6, 4, 8]), input("v", [2, 6, 4, 8])];
    const dy = input("dy", [2, 6, 4, 8]);
    const outputs = pullback([attention(q, k, v, { mask: "causal" })], [dy], [q, k, v]);
    expect(print(simplify({ inputs: [q, k, v, dy], outputs: outputs as Tensor[] }))).toMatchInlineSnapshot(`
      "graph(q: float32[2, 6, 4, 8], k: float32[2, 6, 4, 8], v: float32[2, 6, 4, 8], dy: float32[2, 6, 4, 8])
        %0: float32[2, 4, 6, 8] = transpose(q) {perm: [0, 2, 1, 3]}
        %1: float32[2, 4, 6, 8] = transpose(k) {perm: [0, 2, 1, 3]}
        %2: float32[2, 4, 6, 8] = transpose(v) {perm: [0, 2, 1, 3]}
        %3: int64[6] = range() {length: 6}
        %4: int64[1, 6] = reshape(%3)
        %5: int64[6, 1] = reshape(%3)
        %6: bool[6, 6] = less_or_equal(%4, %5)
        %7: float32[] = constant() {data: [0]}
        %8: float32[] = constant() {data: [-3.4028234663852886e+38]}
        %9: float32[6, 6] = where(%6, %7, %8)
        %10: float32[2, 4, 6, 8], %11: float32[2, 4, 6, 6] = attend(%0, %1, %2, %9) {scale: 0.35355339059327373}
        %12: float32[2, 4, 6, 8] = transpose(dy) {perm: [0, 2, 1, 3]}
        %13: float32[2, 4, 6, 6] = matmul(%12, %2) {transB: true}
        %14: float32[2, 4, 6, 8] = mul(%12, %10)
        %15: float32[2, 4, 6, 1] = sum(%14) {axes: [3], keepDims: true}
        %16: float32[2, 4, 6, 6] = sub(%13, %15)
        %17: float32[2, 4, 6, 6] = mul(%11, %16)
        %18: float32[2, 4, 6, 8] = matmul(%17, %1) {scale: 0.35355339059327373}
        %19: float32[2, 6, 4, 8] = transpose(%18) {perm: [0, 2, 1, 3]}
        %20: float32[2, 4, 6, 8] = matmul(%17, %0) {transA: true, scale: 0.35355339059327373}
        %21: float32[2, 6, 4, 8] = transpose(%20) {perm: [0, 2, 1, 3]}
        %22: float32[2, 4, 6, 8] = matmul(%11, %12) {transA: true}
        %23: float32[2, 6, 4, 8] = transpose(%22) {perm: [0, 2, 1, 3]}
        return %19, %21, %23"
    `);
  });
});

describe("grad", () => {
  const [x, y] = [input("x", []), input("y", [])];

  it("adds up over all uses of a value", async () => {
    const z = mul(x, x);
    expect(await at(grad(add(mul(z, z), add(z, x)), [x]), { x: 3 }, [x])).toEqual([[4 * 27 + 6 + 1]]);
  });

  it("is zero for what the loss does not depend on", async () => {
    expect(await at(grad(mul(x, 2), [x, y]), { x: 1, y: 1 }, [x, y])).toEqual([[2], [0]]);
    expect(pullback([mul(x, 2)], [x], [y])).toEqual([undefined]);
  });

  it("is 1 for the loss itself, and total for a value that another is made from", async () => {
    const z = mul(x, x);
    const loss = mul(z, 5);
    expect(await at(grad(loss, [loss, z, x]), { x: 3 }, [x])).toEqual([[1], [5], [30]]);
  });

  it("sums what broadcasting repeated", async () => {
    const v = input("v", [3]);
    expect(await at(grad(sum(mul(v, x)), [v, x]), { v: [1, 2, 4], x: 3 }, [v, x])).toEqual([[3, 3, 3], [7]]);
  });

  it("does not pass integers, comparisons and choices of index", async () => {
    const v = input("v", [3]);
    const through = add(cast(argMax(v), "float32"), sum(where(less(v, 2), v, 0)));
    expect(await at(grad(add(through, sum(cast(cast(v, "int64"), "float32"))), [v]), { v: [1, 2, 4] }, [v])).toEqual([
      [1, 0, 0],
    ]);
  });

  it("takes cotangents of some of several outputs", async () => {
    const v = input("v", [4]);
    const [left, right] = split(tanh(v), 2);
    expect(pullback([left!, right!], [undefined, undefined], [v])).toEqual([undefined]);
    const ct = input("ct", [2]);
    const [dv] = pullback([left!, right!], [undefined, ct], [v]);
    const [result] = await runGraph(
      { inputs: [v, ct], outputs: [dv!] },
      { v: hostTensor([0, 0, 0, 0], [4]), ct: hostTensor([3, 4], [2]) },
    );
    expect(numbersOf(result!)).toEqual([0, 0, 3, 4]);
  });

  it("goes through a chain of 20,000 operations", () => {
    let z: Tensor = x;
    for (let i = 0; i < 20_000; i++) z = add(z, x);
    expect(grad(z, [x])[0]!.shape).toEqual([]);
  });

  it("refuses a loss with axes", () => {
    expect(() => grad(input("v", [2, 3]), [])).toThrow("grad: the loss must be a scalar, got [2, 3]");
  });

  it("refuses an operation without a rule, naming its path, unless no gradient is asked through it", () => {
    const opaque: Primitive<1> = { name: "opaque", shape: ([a]) => a, emit: () => "", vjp: null };
    const z = withScope("head", () => bind(opaque, [x], {}));
    expect(() => grad(mul(z, y), [x])).toThrow("head.opaque: opaque has no gradient rule");
    expect(grad(mul(z, y), [y])[0]!.shape).toEqual([]);
  });

  it("traces what it adds under the path of what it differentiates", () => {
    const z = withScope("h.0", () => exp(x));
    expect(grad(z, [x])[0]!.node!.path).toBe("grad(h.0.exp).mul");
  });
});

describe("valueAndGrad", () => {
  it("returns the value and a gradient for every argument", async () => {
    const [w, b] = [input("w", [2]), input("b", [])];
    const [value, [dw, db]] = valueAndGrad((w, b) => sum(add(mul(w!, w!), b!)))(w, b);
    expect(await at([value, dw!, db!], { w: [1, 3], b: 2 }, [w, b])).toEqual([[14], [2, 6], [2]]);
  });

  it("serves a gather, whose ids carry none", async () => {
    const [table, ids] = [input("table", [3]), input("ids", [4], "int64")];
    const [, [d]] = valueAndGrad((t) => sum(sub(gather(t!, ids), 1)))(table);
    const [result] = await runGraph(
      { inputs: [table, ids], outputs: [d!] },
      { table: hostTensor([1, 2, 3], [3]), ids: hostTensor([0, 2, 2, 2], [4], "int64") },
    );
    expect(numbersOf(result!)).toEqual([1, 0, 3]);
  });
});
