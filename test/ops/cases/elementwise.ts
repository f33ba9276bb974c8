import * as ops from "../../../src/ops/index.js";
import { bools, type Check, check, fixed, floats, ints } from "../check.js";
import * as oracle from "../oracle.js";

type Binary = (a: ops.Operand, b: ops.Operand) => ReturnType<typeof ops.add>;

/** Two operands of one shape, of shapes that broadcast both ways, a scalar, higher and single-element ranks, plain numbers. */
function binary(op: Binary, f: (a: number, b: number) => number, torch: string, low = -2): Check {
  const high = 2.5;
  const of = (a: readonly number[], b: readonly number[]) =>
    check(
      { a: floats(a, low, high), b: floats(b, low, high) },
      { build: ({ a, b }) => op(a, b), oracle: ({ a, b }) => oracle.map2(a, b, f), torch },
    );
  return {
    same: of([3, 5], [3, 5]),
    "row and column": of([7, 1], [1, 3]),
    "lower rank": of([2, 3, 4], [4]),
    "lower rank first": of([1, 5], [3, 2, 5]),
    "both sides, high rank": of([2, 1, 3, 1, 2], [1, 4, 1, 3, 2]),
    scalars: of([], [3]),
    "one element": of([1, 1], [1]),
    "with a number": check(
      { a: floats([5], low, high) },
      { build: ({ a }) => op(a, 1.5), oracle: ({ a }) => oracle.map(a, (x) => f(x, 1.5)) },
    ),
    "number first": check(
      { a: floats([5], low, high) },
      { build: ({ a }) => op(0.75, a), oracle: ({ a }) => oracle.map(a, (x) => f(0.75, x)) },
    ),
    itself: check(
      { a: floats([2, 3], low, high) },
      { build: ({ a }) => op(a, a), oracle: ({ a }) => oracle.map(a, (x) => f(x, x)), named: false },
    ),
  };
}

/** One operand: a plain shape, no axes, many axes. */
export function unary(
  op: (x: ReturnType<typeof ops.add>) => ReturnType<typeof ops.add>,
  f: (x: number) => number,
  torch: string,
  low = -3,
  high = 3,
): Check {
  const of = (shape: readonly number[]) =>
    check({ x: floats(shape, low, high) }, { build: ({ x }) => op(x), oracle: ({ x }) => oracle.map(x, f), torch });
  return { matrix: of([5, 7]), scalar: of([]), "high rank": of([2, 1, 3, 2, 1]), "one element": of([1]) };
}

const integers = (op: Binary, f: (a: number, b: number) => number): Check => ({
  integers: check(
    { a: ints([4, 3], 40, "int32"), b: fixed([3, 5, 7], [3], "int32") },
    { build: ({ a, b }) => op(ops.sub(a, 20), b), oracle: ({ a, b }) => oracle.map2(a, b, (x, y) => f(x - 20, y)) },
  ),
  "long integers": check(
    { a: ints([2, 3], 2 ** 40, "int64") },
    { build: ({ a }) => op(a, 3), oracle: ({ a }) => oracle.map(a, (x) => f(x, 3)) },
  ),
});

const compare = (op: Binary, f: (a: number, b: number) => boolean, torch: string): Check => {
  const g = (a: number, b: number) => Number(f(a, b));
  return {
    floats: check(
      { a: floats([3, 4]), b: floats([4]) },
      { build: ({ a, b }) => op(a, b), oracle: ({ a, b }) => oracle.map2(a, b, g), torch },
    ),
    ties: check(
      { a: ints([4, 1], 3), b: ints([1, 5], 3) },
      { build: ({ a, b }) => op(a, b), oracle: ({ a, b }) => oracle.map2(a, b, g), torch },
    ),
    "with a number": check(
      { a: ints([6], 4, "int32") },
      { build: ({ a }) => op(a, 2), oracle: ({ a }) => oracle.map(a, (x) => g(x, 2)), torch: torch.replace("b", "2") },
    ),
  };
};

const conditional = (c: readonly number[], a: readonly number[], b: readonly number[]) =>
  check(
    { c: bools(c), a: floats(a), b: floats(b) },
    {
      build: ({ c, a, b }) => ops.where(c, a, b),
      oracle: ({ c, a, b }) => oracle.where(c, a, b),
      torch: "torch.where(c, a, b)",
    },
  );

const power = (exponent: number, low = 0.2) =>
  check(
    { x: floats([3, 4], low, 3) },
    {
      build: ({ x }) => ops.pow(x, exponent),
      oracle: ({ x }) => oracle.map(x, (v) => v ** exponent),
      torch: `x ** ${exponent}`,
    },
  );

export const elementwise = {
  add: { ...binary(ops.add, (a, b) => a + b, "a + b"), ...integers(ops.add, (a, b) => a + b) },
  sub: { ...binary(ops.sub, (a, b) => a - b, "a - b"), ...integers(ops.sub, (a, b) => a - b) },
  mul: { ...binary(ops.mul, (a, b) => a * b, "a * b"), ...integers(ops.mul, (a, b) => a * b) },
  div: { ...binary(ops.div, (a, b) => a / b, "a / b", 0.5), ...integers(ops.div, (a, b) => Math.trunc(a / b)) },
  maximum: { ...binary(ops.maximum, Math.max, "torch.maximum(a, b)"), ...integers(ops.maximum, Math.max) },
  minimum: { ...binary(ops.minimum, Math.min, "torch.minimum(a, b)"), ...integers(ops.minimum, Math.min) },
  pow: {
    square: power(2, -3),
    cube: power(3, -3),
    root: power(0.5),
    inverse: power(-1),
    "inverse root": power(-0.5),
    itself: power(1, -3),
    "odd exponent": power(1.7),
    nothing: check(
      { x: fixed([-1, 0, 2]) },
      { build: ({ x }) => ops.pow(x, 0), oracle: ({ x }) => oracle.map(x, () => 1), torch: "x ** 0" },
    ),
  },
  neg: {
    ...unary(ops.neg, (x) => -x, "-x"),
    integers: check(
      { x: ints([5], 9, "int32") },
      { build: ({ x }) => ops.neg(x), oracle: ({ x }) => oracle.map(x, (v) => 0 - v) },
    ),
  },
  exp: unary(ops.exp, Math.exp, "torch.exp(x)"),
  log: unary(ops.log, Math.log, "torch.log(x)", 0.1, 9),
  sqrt: unary(ops.sqrt, Math.sqrt, "torch.sqrt(x)", 0.2, 9),
  abs: {
    ...unary(ops.abs, Math.abs, "torch.abs(x)"),
    integers: check(
      { x: fixed([-4, 0, 3], [3], "int32") },
      { build: ({ x }) => ops.abs(x), oracle: ({ x }) => oracle.map(x, Math.abs) },
    ),
    "at zero": check(
      { x: fixed([-1, 0, 2]) },
      { build: ({ x }) => ops.abs(x), oracle: ({ x }) => oracle.map(x, Math.abs), torch: "torch.abs(x)" },
    ),
  },
  sin: unary(ops.sin, Math.sin, "torch.sin(x)", -9, 9),
  cos: unary(ops.cos, Math.cos, "torch.cos(x)", -9, 9),
  erf: unary(ops.erf, oracle.erf, "torch.erf(x)"),
  cast: {
    "float to double": check(
      { x: floats([2, 3]) },
      {
        build: ({ x }) => ops.cast(ops.mul(ops.cast(x, "float64"), 0.1), "float32"),
        oracle: ({ x }) => oracle.map(x, (v) => v * 0.1),
      },
    ),
    "float to integer": check(
      { x: floats([3, 4], -9, 9) },
      {
        build: ({ x }) => ops.cast(x, "int64"),
        oracle: ({ x }) => oracle.map(x, (v) => Math.trunc(v) + 0),
        torch: "x.long()",
      },
    ),
    "integer to float": check(
      { x: ints([3, 4], 100) },
      { build: ({ x }) => ops.cast(x, "float32"), oracle: ({ x }) => x, torch: "x.float()" },
    ),
    "bool to float": check({ x: bools([7]) }, { build: ({ x }) => ops.cast(x, "float32"), oracle: ({ x }) => x }),
    "float to bool": check(
      { x: fixed([0, -1, 0.5]) },
      { build: ({ x }) => ops.cast(x, "bool"), oracle: ({ x }) => oracle.map(x, (v) => Number(v !== 0)) },
    ),
  },
  less: compare(ops.less, (a, b) => a < b, "a < b"),
  lessOrEqual: compare(ops.lessOrEqual, (a, b) => a <= b, "a <= b"),
  equal: compare(ops.equal, (a, b) => a === b, "a == b"),
  and: {
    broadcast: check(
      { a: bools([4, 1]), b: bools([3]) },
      { build: ({ a, b }) => ops.and(a, b), oracle: ({ a, b }) => oracle.map2(a, b, (x, y) => x && y), torch: "a & b" },
    ),
  },
  not: {
    plain: check(
      { x: bools([2, 5]) },
      { build: ({ x }) => ops.not(x), oracle: ({ x }) => oracle.map(x, (v) => 1 - v), torch: "~x" },
    ),
  },
  where: {
    same: conditional([3, 4], [3, 4], [3, 4]),
    "condition broadcasts": conditional([4, 1], [2, 4, 3], [3]),
    "choices broadcast": conditional([2, 3, 4], [4], []),
    "with numbers": check(
      { c: bools([5]), a: floats([3, 5]) },
      { build: ({ c, a }) => ops.where(c, a, -7), oracle: ({ c, a }) => oracle.where(c, a, { shape: [], data: [-7] }) },
    ),
  },
} satisfies Readonly<Record<string, Check>>;
