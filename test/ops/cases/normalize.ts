import * as ops from "../../../src/ops/index.js";
import { type Check, check, fixed, floats } from "../check.js";
import * as oracle from "../oracle.js";

const rowwise = (op: typeof ops.softmax, f: typeof oracle.softmax, torch: string): Check => {
  const of = (shape: readonly number[], low = -3, high = 3) =>
    check({ x: floats(shape, low, high) }, { build: ({ x }) => op(x), oracle: ({ x }) => f(x), torch });
  return {
    matrix: of([4, 7]),
    vector: of([5]),
    "high rank": of([2, 1, 3, 4]),
    "one element rows": of([3, 1]),
    "large values": of([2, 5], 200, 220),
    "values far apart": check(
      { x: fixed([0, -1000, 3, 80, 0, -80], [2, 3]) },
      { build: ({ x }) => op(x), oracle: ({ x }) => f(x), torch },
    ),
  };
};

// The sizes of rows are not named: gradients divide by them.
const layer = (
  shape: readonly number[],
  eps: number,
  named: readonly number[] | false = shape.slice(0, -1).filter((d) => d > 1),
) =>
  check(
    { x: floats(shape), weight: floats(shape.slice(-1), 0.5, 1.5), bias: floats(shape.slice(-1)) },
    {
      build: ({ x, weight, bias }) => ops.layerNormalize(x, weight, bias, eps),
      oracle: ({ x, weight, bias }) => oracle.layerNormalize(x, weight, bias, eps),
      torch: `F.layer_norm(x, x.shape[-1:], weight, bias, ${eps})`,
      named,
      tolerance: 2e-5,
    },
  );

const rms = (
  shape: readonly number[],
  eps: number,
  named: readonly number[] | false = shape.slice(0, -1).filter((d) => d > 1),
) =>
  check(
    { x: floats(shape), weight: floats(shape.slice(-1), 0.5, 1.5) },
    {
      build: ({ x, weight }) => ops.rmsNormalize(x, weight, eps),
      oracle: ({ x, weight }) => oracle.rmsNormalize(x, weight, eps),
      torch: `x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + ${eps}) * weight`,
      named,
      tolerance: 2e-5,
    },
  );

export const normalize = {
  softmax: rowwise(ops.softmax, oracle.softmax, "torch.softmax(x, -1)"),
  logSoftmax: rowwise(ops.logSoftmax, oracle.logSoftmax, "torch.log_softmax(x, -1)"),
  layerNormalize: {
    plain: layer([3, 8], 1e-5),
    "three axes": layer([2, 3, 5], 1e-5),
    vector: layer([6], 1e-5),
    "large epsilon": layer([4, 7], 0.3),
    "default epsilon": check(
      { x: floats([2, 4]), weight: floats([4]), bias: floats([4]) },
      {
        build: ({ x, weight, bias }) => ops.layerNormalize(x, weight, bias),
        oracle: ({ x, weight, bias }) => oracle.layerNormalize(x, weight, bias, 1e-5),
        named: [2],
        tolerance: 2e-5,
      },
    ),
    "one scale for two": check(
      { x: floats([3, 4]), weight: floats([4]) },
      {
        build: ({ x, weight }) => ops.layerNormalize(ops.layerNormalize(x, weight, weight, 0.1), weight, weight, 0.1),
        oracle: ({ x, weight }) =>
          oracle.layerNormalize(oracle.layerNormalize(x, weight, weight, 0.1), weight, weight, 0.1),
        named: [3],
        tolerance: 2e-5,
      },
    ),
  },
  rmsNormalize: {
    plain: rms([3, 8], 1e-6),
    "three axes": rms([2, 3, 5], 1e-6),
    vector: rms([6], 1e-5),
    "large epsilon": rms([4, 7], 0.3),
  },
} satisfies Readonly<Record<string, Check>>;
