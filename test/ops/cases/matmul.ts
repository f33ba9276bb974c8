import * as ops from "../../../src/ops/index.js";
import { type Check, check, floats } from "../check.js";
import * as oracle from "../oracle.js";

function product(a: readonly number[], b: readonly number[], options: ops.MatmulOptions = {}) {
  const { transA = false, transB = false, scale = 1 } = options;
  const factor = (name: string, transposed: boolean) => (transposed ? `${name}.transpose(-1, -2)` : name);
  const torch = `${factor("a", transA)} @ ${factor("b", transB)}`;
  return check(
    { a: floats(a), b: floats(b) },
    {
      build: ({ a, b }) => ops.matmul(a, b, options),
      oracle: ({ a, b }) => oracle.matmul(a, b, options),
      torch: scale === 1 ? torch : `${scale} * (${torch})`,
    },
  );
}

/** `total` plus a product, or plus anything else. */
function sum(a: readonly number[], b: readonly number[], total: readonly number[], options: ops.MatmulOptions = {}) {
  return check(
    { a: floats(a), b: floats(b), total: floats(total) },
    {
      build: ({ a, b, total }) => ops.accumulate(total, ops.matmul(a, b, options)),
      oracle: ({ a, b, total }) => oracle.map2(total, oracle.matmul(a, b, options), (x, y) => x + y),
    },
  );
}

export const matmul = {
  accumulate: {
    plain: sum([3, 5], [5, 2], [3, 2]),
    "a transposed": sum([5, 3], [5, 2], [3, 2], { transA: true }),
    "both transposed and scaled": sum([5, 3], [2, 5], [3, 2], { transA: true, transB: true, scale: -0.5 }),
    "a batch of products": sum([2, 3, 5], [5, 2], [2, 3, 2]),
    "not a product": check(
      { x: floats([3, 2]), total: floats([3, 2]) },
      {
        build: ({ x, total }) => ops.accumulate(total, ops.mul(x, x)),
        oracle: ({ x, total }) => oracle.map2(total, x, (s, y) => s + y * y),
      },
    ),
  },
  matmul: {
    plain: product([3, 5], [5, 2]),
    "a transposed": product([5, 3], [5, 2], { transA: true }),
    "b transposed": product([3, 5], [2, 5], { transB: true }),
    "both transposed": product([5, 3], [2, 5], { transA: true, transB: true }),
    scaled: product([3, 5], [5, 2], { scale: 0.3 }),
    "one row": product([1, 7], [7, 3]),
    "one column": product([4, 7], [7, 1]),
    "inner size 1": product([4, 1], [1, 3]),
    batch: product([2, 3, 4, 5], [2, 3, 5, 2]),
    "batch, transposed and scaled": product([2, 3, 5, 4], [2, 3, 2, 5], { transA: true, transB: true, scale: -2 }),
    "batch, b transposed": product([2, 3, 4, 5], [2, 3, 2, 5], { transB: true, scale: 0.5 }),
    "batch broadcasts": product([2, 1, 4, 3], [3, 3, 2]),
    "batch broadcasts, a transposed": product([2, 1, 3, 4], [3, 3, 2], { transA: true }),
    "shared right factor": product([2, 3, 4], [4, 5]),
    "shared right factor, transposed": product([2, 3, 4], [5, 4], { transB: true }),
    "shared right factor, a transposed": product([2, 4, 3], [4, 5], { transA: true }),
    "shared right factor, both transposed": product([2, 4, 3], [5, 4], { transA: true, transB: true }),
    "shared right factor, high rank": product([2, 2, 3, 4], [4, 5]),
    "shared left factor": product([3, 4], [2, 4, 5]),
    "shared left factor, transposed": product([4, 3], [2, 5, 4], { transA: true, transB: true }),
    "batch of 1": product([1, 3, 4], [1, 4, 2]),
    "with itself": check(
      { a: floats([3, 4]) },
      {
        build: ({ a }) => ops.matmul(a, a, { transB: true }),
        oracle: ({ a }) => oracle.matmul(a, a, { transB: true }),
      },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
