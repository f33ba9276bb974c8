import * as ops from "../../../src/ops/index.js";
import { type Check, check, floats, ints } from "../check.js";
import * as oracle from "../oracle.js";

const reshaped = (from: readonly number[], to: readonly number[]) =>
  check(
    { x: floats(from) },
    {
      build: ({ x }) => ops.reshape(x, to),
      oracle: ({ x }) => oracle.reshape(x, to),
      torch: `x.reshape(${to.length ? to.join(", ") : "()"})`,
      named: false,
    },
  );

const transposed = (shape: readonly number[], perm: readonly number[]) =>
  check(
    { x: floats(shape) },
    {
      build: ({ x }) => ops.transpose(x, perm),
      oracle: ({ x }) => oracle.transpose(x, perm),
      torch: `x.permute(${perm.join(", ")})`,
    },
  );

const repeated = (from: readonly number[], to: readonly number[]) =>
  check(
    { x: floats(from) },
    {
      build: ({ x }) => ops.broadcastTo(x, to),
      oracle: ({ x }) => oracle.broadcastTo(x, to),
      torch: `x.expand(${to.join(", ")})`,
      named: false,
    },
  );

const part = (
  shape: readonly number[],
  axis: number,
  start: number,
  end: number | undefined,
  torch: string,
  named?: readonly number[],
) => {
  const size = shape.at(axis)!;
  const left = (i: number) => (i < 0 ? size + i : i);
  return check(
    { x: floats(shape) },
    {
      build: ({ x }) => ops.slice(x, axis, start, end),
      oracle: ({ x }) => oracle.slice(x, axis, left(start), left(end ?? size)),
      torch,
      named: named ?? false,
    },
  );
};

const padded = (
  shape: readonly number[],
  axis: number,
  before: number,
  after: number,
  torchPad: string,
  value?: number,
) =>
  check(
    { x: floats(shape) },
    {
      build: ({ x }) => ops.pad(x, axis, before, after, value),
      oracle: ({ x }) => oracle.pad(x, axis, before, after, value),
      torch: `F.pad(x, (${torchPad}), value=${value ?? 0})`,
    },
  );

const parts = (shape: readonly number[], into: number | readonly number[], axis: number, named?: readonly number[]) => {
  const size = shape.at(axis)!;
  const sizes = typeof into === "number" ? Array<number>(into).fill(size / into) : into;
  return check(
    { x: floats(shape) },
    {
      build: ({ x }) => ops.split(x, into, axis),
      oracle: ({ x }) => oracle.split(x, sizes, axis),
      torch: `torch.split(x, [${sizes.join(", ")}], ${axis})`,
      named: named ?? false,
    },
  );
};

export const shape = {
  reshape: {
    flatten: reshaped([2, 3, 4], [24]),
    regroup: reshaped([4, 6], [3, 2, 4]),
    "to a scalar": reshaped([1, 1], []),
    "from a scalar": reshaped([], [1, 1, 1]),
    empty: check(
      { x: floats([0, 3]) },
      { build: ({ x }) => ops.reshape(x, [3, 0, 2]), oracle: () => ({ shape: [3, 0, 2], data: [] }) },
    ),
    "split the last, named sizes": check(
      { x: floats([2, 3, 8]) },
      {
        build: ({ x }) => ops.reshape(x, [x.shape[0]!, x.shape[1]!, 4, 2]),
        oracle: ({ x }) => oracle.reshape(x, [2, 3, 4, 2]),
        named: [2, 3],
      },
    ),
    "merge named sizes": check(
      { x: floats([2, 3, 5]) },
      {
        build: ({ x }) => ops.reshape(x, ["n2", "n3"].every((n, i) => x.shape[i] === n) ? ["n2*n3", 5] : [6, 5]),
        oracle: ({ x }) => oracle.reshape(x, [6, 5]),
        named: [2, 3],
      },
    ),
    "named sizes in new places": check(
      { x: floats([2, 3, 5, 7]) },
      {
        build: ({ x }) => {
          const [a, b, c, d] = x.shape as [number, number, number, number];
          return ops.reshape(x, [b, a, d, c]);
        },
        oracle: ({ x }) => oracle.reshape(x, [3, 2, 7, 5]),
      },
    ),
  },
  transpose: {
    default: check(
      { x: floats([2, 3, 4]) },
      {
        build: ({ x }) => ops.transpose(x),
        oracle: ({ x }) => oracle.transpose(x, [0, 2, 1]),
        torch: "x.transpose(-1, -2)",
      },
    ),
    matrix: transposed([3, 5], [1, 0]),
    heads: transposed([2, 3, 4, 5], [0, 2, 1, 3]),
    cycle: transposed([2, 3, 4], [2, 0, 1]),
    "high rank": transposed([2, 1, 3, 2, 2], [4, 2, 0, 3, 1]),
    "axes of size 1": transposed([1, 3, 1], [2, 1, 0]),
  },
  broadcastTo: {
    "new axes": repeated([3], [2, 4, 3]),
    "axes of size 1": repeated([2, 1, 3, 1], [2, 4, 3, 2]),
    scalar: repeated([], [2, 2]),
    "one element": repeated([1], [5]),
    "named size": check(
      { x: floats([3]), like: floats([2, 3]) },
      { build: ({ x, like }) => ops.broadcastTo(x, like.shape), oracle: ({ x }) => oracle.broadcastTo(x, [2, 3]) },
    ),
  },
  slice: {
    first: part([5, 3], 0, 0, 2, "x[0:2]", [3]),
    inner: part([2, 6], 1, 2, 5, "x[:, 2:5]", [2]),
    "from the right": part([2, 6], -1, -3, -1, "x[:, -3:-1]"),
    "to the end": part([2, 4, 3], 1, 1, undefined, "x[:, 1:]", [2, 3]),
    "one element": part([2, 4], 1, 3, 4, "x[:, 3:4]", [2]),
    everything: part([2, 4], 1, 0, 4, "x[:, 0:4]", [2]),
    nothing: part([2, 4], 1, 2, 2, "x[:, 2:2]", [2]),
    "high rank": part([2, 1, 5, 2, 3], 2, 1, 4, "x[:, :, 1:4]"),
    "named bounds": check(
      { x: floats([5, 3]), y: floats([2]) },
      {
        build: ({ x, y }) => [
          ops.slice(x, 0, y.shape[0]!),
          ops.slice(x, 0, 0, y.shape[0]),
          ops.slice(x, 0, -2),
          ops.slice(x, 0, 1, -1),
        ],
        oracle: ({ x }) => [
          oracle.slice(x, 0, 2, 5),
          oracle.slice(x, 0, 0, 2),
          oracle.slice(x, 0, 3, 5),
          oracle.slice(x, 0, 1, 4),
        ],
      },
    ),
    integers: check(
      { x: ints([6], 9) },
      { build: ({ x }) => ops.slice(x, 0, 4), oracle: ({ x }) => oracle.slice(x, 0, 4, 6) },
    ),
  },
  pad: {
    both: padded([2, 3], 1, 1, 2, "1, 2"),
    before: padded([2, 3], 0, 2, 0, "0, 0, 2, 0"),
    "with a value": padded([2, 3], -1, 0, 2, "0, 2", -1.5),
    "high rank": padded([2, 1, 3, 2], 2, 1, 1, "0, 0, 1, 1"),
    nothing: padded([2, 3], 1, 0, 0, "0, 0"),
    integers: check(
      { x: ints([3], 9) },
      { build: ({ x }) => ops.pad(x, 0, 1, 1, 7), oracle: ({ x }) => oracle.pad(x, 0, 1, 1, 7) },
    ),
    "named amount": check(
      { x: floats([2, 3]), y: floats([4]) },
      { build: ({ x, y }) => ops.pad(x, 0, y.shape[0]!, 1), oracle: ({ x }) => oracle.pad(x, 0, 4, 1) },
    ),
  },
  concat: {
    last: check(
      { a: floats([2, 3]), b: floats([2, 1]), c: floats([2, 4]) },
      {
        build: ({ a, b, c }) => ops.concat([a, b, c]),
        oracle: ({ a, b, c }) => oracle.concat([a, b, c], -1),
        torch: "torch.cat([a, b, c], -1)",
      },
    ),
    first: check(
      { a: floats([1, 2, 3]), b: floats([4, 2, 3]) },
      {
        build: ({ a, b }) => ops.concat([a, b], 0),
        oracle: ({ a, b }) => oracle.concat([a, b], 0),
        torch: "torch.cat([a, b], 0)",
      },
    ),
    "with nothing": check(
      { a: floats([2, 0, 3]), b: floats([2, 5, 3]) },
      { build: ({ a, b }) => ops.concat([a, b], 1), oracle: ({ b }) => b, named: [2] },
    ),
    "one part": check({ a: floats([2, 3]) }, { build: ({ a }) => ops.concat([a]), oracle: ({ a }) => a }),
    "twice the same": check(
      { a: floats([2, 3]) },
      {
        build: ({ a }) => ops.concat([a, a], 0),
        oracle: ({ a }) => oracle.concat([a, a], 0),
        torch: "torch.cat([a, a], 0)",
      },
    ),
    integers: check(
      { a: ints([2], 9), b: ints([3], 9) },
      { build: ({ a, b }) => ops.concat([a, b]), oracle: ({ a, b }) => oracle.concat([a, b], 0) },
    ),
  },
  split: {
    "equal parts": parts([2, 6], 3, -1, [2]),
    "unequal parts": parts([2, 6], [1, 3, 2], 1, [2]),
    "first axis": parts([4, 3], 2, 0, [3]),
    "one part": parts([2, 3], 1, 1, [2]),
    "middle axis": parts([2, 4, 3], [3, 1], 1),
    "one part used": check(
      { x: floats([2, 6]) },
      { build: ({ x }) => ops.split(x, 3)[1]!, oracle: ({ x }) => oracle.split(x, [2, 2, 2], 1)[1]!, named: false },
    ),
  },
  expandDims: {
    first: check(
      { x: floats([2, 3]) },
      {
        build: ({ x }) => ops.expandDims(x, 0),
        oracle: ({ x }) => oracle.reshape(x, [1, 2, 3]),
        torch: "x.unsqueeze(0)",
      },
    ),
    last: check(
      { x: floats([2, 3]) },
      {
        build: ({ x }) => ops.expandDims(x, -1),
        oracle: ({ x }) => oracle.reshape(x, [2, 3, 1]),
        torch: "x.unsqueeze(-1)",
      },
    ),
    middle: check(
      { x: floats([2, 3]) },
      {
        build: ({ x }) => ops.expandDims(x, -2),
        oracle: ({ x }) => oracle.reshape(x, [2, 1, 3]),
        torch: "x.unsqueeze(-2)",
      },
    ),
    scalar: check(
      { x: floats([]) },
      { build: ({ x }) => ops.expandDims(x, 0), oracle: ({ x }) => oracle.reshape(x, [1]) },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
