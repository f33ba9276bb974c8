import * as ops from "../../../src/ops/cached-attention.js";
import { type Case, type Check, check, fixed, floats } from "../check.js";
import type { NdArray } from "../oracle.js";
import * as oracle from "../oracle.js";

interface Setting {
  readonly tokens: number;
  /** Slot of each row's last new token. */
  readonly last: readonly number[];
  readonly slots: number;
  readonly heads: number;
  readonly groups: number;
  readonly size: number;
  readonly valueSize?: number;
  readonly window?: number;
  readonly scale?: number;
  readonly bias?: readonly number[];
}

/** A row's keys or values when its new tokens are in: those before, then the new; `[1, tokens, g, d]`. */
function filled(cache: NdArray, fresh: NdArray, row: number, end: number, size: number): NdArray {
  const t = fresh.shape[1]!;
  return oracle.build([1, end + 1, fresh.shape[2]!, size], ([, slot, head, e]) => {
    const isNew = slot! > end - t;
    return isNew
      ? oracle.at(fresh, [row, slot! - (end - t + 1), head!, e!])
      : oracle.at(cache, [row, head!, slot!, e!]);
  });
}

const cached = (setting: Setting): Case => {
  const { tokens, last, slots, heads, groups, size, valueSize = size, window = Number.POSITIVE_INFINITY } = setting;
  const b = last.length;
  const wide = ops.cachedHeadSize(size, valueSize);
  const scale = setting.scale === undefined ? {} : { scale: setting.scale };
  const inputs = {
    q: floats([b, tokens, heads, size]),
    k: floats([b, tokens, groups, size]),
    v: floats([b, tokens, groups, valueSize]),
    key: floats([b, groups, slots, wide]),
    value: floats([b, groups, slots, wide]),
    last: fixed(last, [b], "int32"),
    slots: fixed([slots], [], "int32"),
    bias: floats(setting.bias ?? [1, 1, 1, 1]),
  };
  return check(inputs, {
    build: ({ q, k, v, key, value, last, slots, bias }) => {
      const options = {
        ...(Number.isFinite(window) ? { window } : {}),
        ...(setting.bias ? { bias } : {}),
        ...scale,
      };
      return ops.cachedAttention(q, k, v, { key, value, last, slots }, options).output;
    },
    oracle: ({ q, k, v, key, value, bias }) =>
      oracle.concat(
        last.map((end, row) =>
          oracle.attention(
            oracle.slice(q, 0, row, row + 1),
            filled(key, k, row, end, size),
            filled(value, v, row, end, valueSize),
            {
              sees: (i, j) => j <= i && i - j < window,
              ...(setting.bias ? { bias: biasOf(bias, row) } : {}),
              ...scale,
            },
          ),
        ),
        0,
      ),
    constants: ["q", "k", "v", "key", "value", "bias"],
    exportable: false,
    named: false,
  });
};

const biasOf = (bias: NdArray, row: number) => (bias.shape[0] === 1 ? bias : oracle.slice(bias, 0, row, row + 1));

export const cachedAttention = {
  cachedAttention: {
    "first tokens": cached({ tokens: 4, last: [3], slots: 9, heads: 2, groups: 2, size: 8 }),
    "one more token": cached({ tokens: 1, last: [5], slots: 8, heads: 2, groups: 2, size: 8 }),
    "more tokens": cached({ tokens: 3, last: [6], slots: 8, heads: 2, groups: 1, size: 8 }),
    "rows of three lengths": cached({ tokens: 1, last: [6, 0, 3], slots: 8, heads: 4, groups: 2, size: 8 }),
    "heads of an odd size": cached({ tokens: 1, last: [4, 2], slots: 6, heads: 2, groups: 1, size: 5, valueSize: 3 }),
    window: cached({ tokens: 1, last: [6, 4], slots: 8, heads: 2, groups: 2, size: 8, window: 3 }),
    "bias and scale": cached({
      tokens: 1,
      last: [3, 5],
      slots: 6,
      heads: 2,
      groups: 2,
      size: 8,
      scale: 0.3,
      bias: [2, 2, 1, 6],
    }),
    "bias over all the text": cached({
      tokens: 4,
      last: [3],
      slots: 6,
      heads: 2,
      groups: 2,
      size: 8,
      bias: [1, 2, 4, 6],
    }),
  },
} satisfies Readonly<Record<string, Check>>;
