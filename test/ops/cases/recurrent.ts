import * as ops from "../../../src/ops/index.js";
import { type Check, check, floats } from "../check.js";
import type { NdArray } from "../oracle.js";
import * as oracle from "../oracle.js";

const step = (x: NdArray, axis: number, i: number) => {
  const part = oracle.slice(x, axis, i, i + 1);
  return oracle.reshape(
    part,
    part.shape.filter((_, a) => a !== axis),
  );
};
const stack = (xs: readonly NdArray[], axis: number) =>
  oracle.concat(
    xs.map((x) => oracle.reshape(x, x.shape.toSpliced(axis, 0, 1))),
    axis,
  );
const plus = (a: NdArray, b: NdArray) => oracle.map2(a, b, (x, y) => x + y);
const times = (a: NdArray, b: NdArray) => oracle.map2(a, b, (x, y) => x * y);

/** `h = tanh(x w + h u + b)`: weights from outside, each used by products and sums only. */
const elman = (reverse: boolean) =>
  check(
    { x: floats([2, 4, 3]), h: floats([2, 5]), w: floats([3, 5]), u: floats([5, 5], -0.5, 0.5), b: floats([5]) },
    {
      build: ({ x, h, w, u, b }) => {
        const { carries, ys } = ops.scan(
          ([before], [now]) => {
            const after = ops.tanh(ops.add(ops.add(ops.matmul(now!, w), ops.matmul(before!, u)), b));
            return { carries: [after], ys: [after] };
          },
          [h],
          [x],
          { reverse },
        );
        return [...ys, ...carries];
      },
      oracle: ({ x, h, w, u, b }) => {
        const ys: NdArray[] = [];
        let state = h;
        for (let k = 0; k < 4; k++) {
          const i = reverse ? 3 - k : k;
          const sum = plus(plus(oracle.matmul(step(x, 1, i), w), oracle.matmul(state, u)), b);
          ys[i] = state = oracle.map(sum, Math.tanh);
        }
        return [stack(ys, 1), state];
      },
      torch: reverse
        ? "(lambda ys: (torch.stack(ys[::-1], 1), ys[-1]))(list(itertools.accumulate(x.flip(1).unbind(1), lambda s, e: torch.tanh(e @ w + s @ u + b), initial=h))[1:])"
        : "(lambda ys: (torch.stack(ys, 1), ys[-1]))(list(itertools.accumulate(x.unbind(1), lambda s, e: torch.tanh(e @ w + s @ u + b), initial=h))[1:])",
      named: [2, 4],
    },
  );

export const recurrent = {
  scan: {
    elman: elman(false),
    "elman, reversed": elman(true),
    "running sums along the first axis": check(
      { x: floats([5, 2]), s: floats([2]) },
      {
        build: ({ x, s }) => {
          const body: Parameters<typeof ops.scan>[0] = ([before], [now]) => {
            const after = ops.add(before!, now!);
            return { carries: [after], ys: [after] };
          };
          return [...ops.scan(body, [s], [x], { axis: 0 }).ys];
        },
        oracle: ({ x, s }) => {
          const sums: NdArray[] = [];
          for (let i = 0; i < 5; i++) sums.push(plus(sums[i - 1] ?? s, step(x, 0, i)));
          return stack(sums, 0);
        },
        torch: "s + torch.cumsum(x, 0)",
      },
    ),
    "two carries, two stacks, a weight used in a curve": check(
      { x: floats([2, 3, 4]), y: floats([2, 3, 4]), a: floats([2, 4]), c: floats([2, 4]), w: floats([4]) },
      {
        build: ({ x, y, a, c, w }) => {
          const { carries, ys } = ops.scan(
            ([p, q], [u, v]) => {
              const gate = ops.sigmoid(ops.mul(ops.tanh(w), ops.add(u!, p!)));
              const next = ops.add(ops.mul(q!, gate), v!);
              return { carries: [ops.tanh(next), next], ys: [ops.mul(gate, v!), ops.sum(next, { axes: [-1] })] };
            },
            [a, c],
            [x, y],
          );
          return [...carries, ...ys];
        },
        oracle: ({ x, y, a, c, w }) => {
          let [p, q] = [a, c];
          const gates: NdArray[] = [];
          const sums: NdArray[] = [];
          for (let i = 0; i < 3; i++) {
            const v = step(y, 1, i);
            const gate = oracle.map(times(oracle.map(w, Math.tanh), plus(step(x, 1, i), p)), oracle.sigmoid);
            q = plus(times(q, gate), v);
            p = oracle.map(q, Math.tanh);
            gates.push(times(gate, v));
            sums.push(oracle.reduce(q, oracle.total, [-1]));
          }
          return [p, q, stack(gates, 1), stack(sums, 1)];
        },
        named: [2, 3],
      },
    ),
    "one step, no results": check(
      { x: floats([3, 1]), s: floats([3]) },
      {
        build: ({ x, s }) => [...ops.scan(([p], [u]) => ({ carries: [ops.mul(p!, u!)] }), [s], [x]).carries],
        oracle: ({ x, s }) => times(s, oracle.reshape(x, [3])),
      },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
