import * as ops from "../../../src/ops/index.js";
import { type Check, check, floats } from "../check.js";
import * as oracle from "../oracle.js";

export const constants = {
  constant: {
    floats: check(
      {},
      {
        build: () => ops.constant([1.5, -2, 0.1], [3, 1]),
        oracle: () => ({ shape: [3, 1], data: [1.5, -2, Math.fround(0.1)] }),
      },
    ),
    "default shape, integers": check(
      {},
      { build: () => ops.constant([4, -5], undefined, "int64"), oracle: () => ({ shape: [2], data: [4, -5] }) },
    ),
    "typed array": check(
      {},
      {
        build: () => ops.constant(Uint8Array.of(1, 0, 1), [3], "bool"),
        oracle: () => ({ shape: [3], data: [1, 0, 1] }),
      },
    ),
    large: check(
      {},
      {
        build: () =>
          ops.constant(
            Float32Array.from({ length: 2000 }, (_, i) => i),
            [50, 40],
          ),
        oracle: () => oracle.build([50, 40], ([i, j]) => 40 * i! + j!),
      },
    ),
    "in a sum": check(
      { x: floats([2, 3]) },
      {
        build: ({ x }) => ops.add(x, ops.constant([1, 2, 3])),
        oracle: ({ x }) => oracle.map2(x, { shape: [3], data: [1, 2, 3] }, (a, b) => a + b),
        named: [2],
      },
    ),
  },
  scalar: {
    float: check({}, { build: () => ops.scalar(-0.25), oracle: () => ({ shape: [], data: [-0.25] }) }),
    integer: check({}, { build: () => ops.scalar(7, "int32"), oracle: () => ({ shape: [], data: [7] }) }),
  },
  asTensor: {
    number: check(
      {},
      {
        build: () => [ops.asTensor(3, "int64"), ops.asTensor(0.5)],
        oracle: () => [
          { shape: [], data: [3] },
          { shape: [], data: [0.5] },
        ],
      },
    ),
    tensor: check({ x: floats([2]) }, { build: ({ x }) => ops.asTensor(x), oracle: ({ x }) => x }),
  },
  full: {
    matrix: check({}, { build: () => ops.full([2, 3], 1.5), oracle: () => oracle.build([2, 3], () => 1.5) }),
    scalar: check({}, { build: () => ops.full([], -1, "int64"), oracle: () => ({ shape: [], data: [-1] }) }),
    empty: check({}, { build: () => ops.full([0, 3], 1), oracle: () => ({ shape: [0, 3], data: [] }) }),
    "like another": check(
      { x: floats([2, 3]) },
      { build: ({ x }) => ops.mul(x, ops.full(x.shape, 3)), oracle: ({ x }) => oracle.map(x, (v) => 3 * v) },
    ),
  },
  range: {
    plain: check({}, { build: () => ops.range(5), oracle: () => ({ shape: [5], data: [0, 1, 2, 3, 4] }) }),
    empty: check({}, { build: () => ops.range(0), oracle: () => ({ shape: [0], data: [] }) }),
    "of a size": check(
      { x: floats([4, 3]) },
      {
        build: ({ x }) => ops.mul(x, ops.cast(ops.range(x.shape[1]!), "float32")),
        oracle: ({ x }) => oracle.map2(x, { shape: [3], data: [0, 1, 2] }, (a, b) => a * b),
      },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
