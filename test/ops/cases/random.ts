import * as ops from "../../../src/ops/index.js";
import { type Check, check, fixed } from "../check.js";
import * as oracle from "../oracle.js";

const mask = (shape: readonly number[], rate: number, site: number, key = [123456789, -42]) =>
  check(
    { key: fixed(key, [2], "int32") },
    {
      build: ({ key }) => ops.dropoutMask(key, shape, rate, site),
      oracle: ({ key }) => oracle.dropoutMask(key, shape, rate, site),
      named: false,
      tolerance: 1e-7,
    },
  );

export const random = {
  dropoutMask: {
    matrix: mask([24, 36], 0.1, 0),
    "high rank": mask([2, 3, 5, 7], 0.5, 1),
    "prime count": mask([37], 0.3, 2),
    "one element": mask([1], 0.5, 3),
    scalar: mask([], 0.5, 4),
    empty: mask([0, 3], 0.5, 5),
    "keeps all": mask([5, 5], 0, 6),
    "keeps hardly any": mask([40, 40], 0.99, 7),
    "largest key": mask([8, 8], 0.5, 2 ** 31, [-(2 ** 31), 2 ** 31 - 1]),
    "key of zeros": mask([16, 16], 0.5, 0, [0, 0]),
  },
} satisfies Readonly<Record<string, Check>>;
