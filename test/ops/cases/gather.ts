import * as ops from "../../../src/ops/index.js";
import { type Check, check, fixed, floats, ints } from "../check.js";
import * as oracle from "../oracle.js";

const table = (rows: readonly number[], ids: readonly number[], named?: false, dtype: "int64" | "int32" = "int64") =>
  check(
    { x: floats(rows), ids: ints(ids, rows[0]!, dtype) },
    {
      build: ({ x, ids }) => ops.gather(x, ids),
      oracle: ({ x, ids }) => oracle.gather(x, ids),
      torch: "x[ids.long()]",
      ...(named === false ? { named } : {}),
    },
  );

const scatter = (ids: readonly number[], row: readonly number[], rows: number) =>
  check(
    { ids: ints(ids, rows), y: floats([...ids, ...row]) },
    {
      build: ({ ids, y }) => ops.scatterAdd(ids, y, rows),
      oracle: ({ ids, y }) => oracle.scatterAdd(ids, y, rows),
      torch: `torch.zeros(${[rows, ...row].join(", ")}, dtype=y.dtype).index_add(0, ids.flatten(), y.reshape(${[-1, ...row].join(", ")}))`,
    },
  );

const along = (x: readonly number[], ids: readonly number[], axis: number) =>
  check(
    { x: floats(x), ids: ints(ids, x.at(axis)!) },
    {
      build: ({ x, ids }) => ops.takeAlong(x, ids, axis),
      oracle: ({ x, ids }) => oracle.takeAlong(x, ids, axis),
      torch: `torch.gather(x, ${axis}, ids)`,
    },
  );

const put = (x: readonly number[], ids: readonly number[], axis: number) =>
  check(
    { x: floats(x), ids: ints(ids, x.at(axis)!), y: floats(ids) },
    {
      build: ({ x, ids, y }) => ops.putAlong(x, ids, y, axis),
      oracle: ({ x, ids, y }) => oracle.putAlong(x, ids, y, axis),
      torch: `x.scatter_add(${axis}, ids, y)`,
    },
  );

export const gather = {
  gather: {
    "embedding, ids repeat": table([5, 3], [2, 7]),
    "one axis": table([9], [4]),
    "rows of higher rank": table([4, 2, 3], [5]),
    "scalar id": table([4, 3], []),
    "short integers": table([4, 3], [2, 2], undefined, "int32"),
    "no ids": check(
      { x: floats([4, 3]), ids: ints([0], 4) },
      { build: ({ x, ids }) => ops.gather(x, ids), oracle: () => ({ shape: [0, 3], data: [] }) },
    ),
    "integer table": check(
      { x: ints([5, 2], 99), ids: ints([3], 5) },
      { build: ({ x, ids }) => ops.gather(x, ids), oracle: ({ x, ids }) => oracle.gather(x, ids) },
    ),
  },
  scatterAdd: {
    "ids repeat": scatter([2, 7], [3], 5),
    numbers: scatter([6], [], 4),
    "rows of higher rank": scatter([4], [2, 3], 3),
    "scalar id": scatter([], [4], 3),
    "rows nobody names": check(
      { ids: fixed([1, 1], [2], "int64"), y: floats([2, 3]) },
      { build: ({ ids, y }) => ops.scatterAdd(ids, y, 4), oracle: ({ ids, y }) => oracle.scatterAdd(ids, y, 4) },
    ),
  },
  takeAlong: {
    "one of each row": along([4, 6], [4, 1], -1),
    "some of each row": along([2, 3, 5], [2, 3, 4], -1),
    "first axis": along([5, 3], [2, 3], 0),
    "middle axis": along([2, 5, 3], [2, 7, 3], 1),
    integers: check(
      { x: ints([3, 4], 50), ids: ints([3, 2], 4) },
      { build: ({ x, ids }) => ops.takeAlong(x, ids), oracle: ({ x, ids }) => oracle.takeAlong(x, ids, -1) },
    ),
  },
  putAlong: {
    "one in each row": put([4, 6], [4, 1], -1),
    "repeated ids": put([2, 3], [2, 8], -1),
    "first axis": put([5, 3], [2, 3], 0),
    "middle axis": put([2, 5, 3], [2, 4, 3], 1),
  },
} satisfies Readonly<Record<string, Check>>;
