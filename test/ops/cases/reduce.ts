import * as ops from "../../../src/ops/index.js";
import { type Check, check, fixed, floats, ints } from "../check.js";
import * as oracle from "../oracle.js";

const everyShape: readonly [
  name: string,
  shape: readonly number[],
  options: ops.ReduceOptions,
  torchArguments: string,
][] = [
  ["all axes", [3, 4], {}, "dim=(0, 1)"],
  ["last axis", [3, 4], { axes: [-1] }, "dim=-1"],
  ["first axis", [5, 2, 3], { axes: [0] }, "dim=0"],
  ["two axes, kept", [2, 3, 4], { axes: [-1, 0], keepDims: true }, "dim=(0, 2), keepdim=True"],
  ["middle axis, kept", [2, 3, 4], { axes: [1], keepDims: true }, "dim=1, keepdim=True"],
  ["axes of size 1", [1, 3, 1], { axes: [0, 2] }, "dim=(0, 2)"],
  ["high rank", [2, 1, 3, 2, 2], { axes: [1, 2, -1] }, "dim=(1, 2, 4)"],
];

function reduction(
  op: (x: ReturnType<typeof ops.sum>, options: ops.ReduceOptions) => ReturnType<typeof ops.sum>,
  f: (values: readonly number[]) => number,
  torch: string,
  named?: false,
): Check {
  return {
    ...Object.fromEntries(
      everyShape.map(([name, shape, options, torchArguments]) => [
        name,
        check(
          { x: floats(shape) },
          {
            build: ({ x }) => op(x, options),
            oracle: ({ x }) => oracle.reduce(x, f, options.axes, options.keepDims),
            torch: `torch.${torch}(x, ${torchArguments})`,
            ...(named === false ? { named } : {}),
          },
        ),
      ]),
    ),
    "no axes": check({ x: floats([2, 3]) }, { build: ({ x }) => op(x, { axes: [] }), oracle: ({ x }) => x }),
    scalar: check({ x: floats([]) }, { build: ({ x }) => op(x, {}), oracle: ({ x }) => x }),
  };
}

const namedMean = (axes: readonly number[]) =>
  check(
    { x: floats([5, 3]) },
    { build: ({ x }) => ops.mean(x, { axes }), oracle: ({ x }) => oracle.reduce(x, oracle.average, axes), named: [5] },
  );

export const reduce = {
  sum: {
    ...reduction(ops.sum, oracle.total, "sum"),
    integers: check(
      { x: ints([4, 5], 100) },
      { build: ({ x }) => ops.sum(x, { axes: [1] }), oracle: ({ x }) => oracle.reduce(x, oracle.total, [1]) },
    ),
  },
  // The gradient of a mean over sizes that are names is refused, so only sizes beside the axis are named.
  mean: { ...reduction(ops.mean, oracle.average, "mean", false), "named size beside the axis": namedMean([1]) },
  max: {
    ...reduction(ops.max, oracle.largest, "amax"),
    integers: check(
      { x: ints([4, 5], 100, "int32") },
      { build: ({ x }) => ops.max(x, { axes: [0] }), oracle: ({ x }) => oracle.reduce(x, oracle.largest, [0]) },
    ),
  },
  argMax: {
    last: check(
      { x: floats([3, 7]) },
      {
        build: ({ x }) => ops.argMax(x),
        oracle: ({ x }) => oracle.reduce(x, (row) => row.indexOf(oracle.largest(row)), [-1]),
        torch: "torch.argmax(x, -1)",
      },
    ),
    first: check(
      { x: floats([3, 2, 4]) },
      {
        build: ({ x }) => ops.argMax(x, 0),
        oracle: ({ x }) => oracle.reduce(x, (row) => row.indexOf(oracle.largest(row)), [0]),
        torch: "torch.argmax(x, 0)",
      },
    ),
    "first of equals": check(
      { x: fixed([1, 5, 5, 2, 2, 2], [2, 3]) },
      { build: ({ x }) => ops.argMax(x), oracle: () => ({ shape: [2], data: [1, 0] }) },
    ),
  },
  cumulativeSum: {
    last: check(
      { x: floats([2, 3, 5]) },
      { build: ({ x }) => ops.cumulativeSum(x), oracle: ({ x }) => oracle.cumulativeSum(x, 2) },
    ),
    "first, from the end": check(
      { x: floats([4, 3]) },
      {
        build: ({ x }) => ops.cumulativeSum(x, 0, { reverse: true }),
        oracle: ({ x }) => oracle.cumulativeSum(x, 0, true),
      },
    ),
    integers: check(
      { x: ints([3, 6], 100) },
      { build: ({ x }) => ops.cumulativeSum(x, 1), oracle: ({ x }) => oracle.cumulativeSum(x, 1) },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
