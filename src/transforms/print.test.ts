import { expect, it } from "vitest";
import { input } from "../core/index.js";
import { add, constant, gelu, matmul, mul, scan, split, sum } from "../ops/index.js";
import { print } from "./print.js";

it("prints one node a line with names, types and attributes", () => {
  const [x, w, b] = [input("x", ["b", "t", 8]), input("fc.weight", [16, 8]), input("fc.bias", [16])];
  const h = gelu(add(matmul(x, w, { transB: true }), b), "tanh");
  const [left, right] = split(h, 2);
  const y = sum(mul(left!, matmul(right!, constant(Array(64).fill(0.5), [8, 8]), { scale: 0.25 })), { axes: [-1] });
  expect(print({ inputs: [x, w, b], outputs: [y, x] })).toMatchInlineSnapshot(`
    "graph(x: float32[b, t, 8], fc.weight: float32[16, 8], fc.bias: float32[16])
      %0: float32[b, t, 16] = matmul(x, fc.weight) {transB: true}
      %1: float32[b, t, 16] = add(%0, fc.bias)
      %2: float32[b, t, 16] = gelu_tanh(%1)
      %3: float32[b, t, 8], %4: float32[b, t, 8] = split(%2) {sizes: [8, 8], axis: 2}
      %5: float32[8, 8] = constant() {data: [0.5, 0.5, 0.5, 0.5, … 64]}
      %6: float32[b, t, 8] = matmul(%4, %5) {scale: 0.25}
      %7: float32[b, t, 8] = mul(%3, %6)
      %8: float32[b, t] = sum(%7) {axes: [2]}
      return %8, x"
  `);
});

it("prints what a node holds inside it", () => {
  const [s, x] = [input("s", [2]), input("x", [2, 5])];
  const { carries } = scan(([before], [now]) => ({ carries: [add(before!, now!)] }), [s], [x]);
  expect(print({ inputs: [s, x], outputs: carries })).toMatchInlineSnapshot(`
    "graph(s: float32[2], x: float32[2, 5])
      %0: float32[5, 2] = transpose(x) {perm: [1, 0]}
      %1: float32[2], %2: float32[5, 2], %3: float32[5, 2] = scan(s, %0) {body: graph(carry0: float32[2], x0: float32[2])
          %0: float32[2] = add(carry0, x0)
          return %0, carries: 1, xs: 1}
      return %1"
  `);
});

it("marks a value that is no input of the graph", () => {
  const x = input("x", [2]);
  expect(print({ inputs: [x], outputs: [add(x, input("y", [2]))] })).toContain("add(x, ?y)");
});

it("is equal for equal graphs and no others", () => {
  const graph = (factor: number) => {
    const x = input("x", [3]);
    return print({ inputs: [x], outputs: [mul(x, factor)] });
  };
  expect(graph(2)).toBe(graph(2));
  expect(graph(2)).not.toBe(graph(3));
});
