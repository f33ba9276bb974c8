import * as ops from "../../../src/ops/index.js";
import { type Check, check, fixed, floats, ints } from "../check.js";
import * as oracle from "../oracle.js";

type Sizes = readonly [b: number, t: number, s: number, h: number, g: number, d: number, width: number];

const qkv = ([b, t, s, h, g, d, width]: Sizes) => ({
  q: floats([b, t, h, d]),
  k: floats([b, s, g, d]),
  v: floats([b, s, g, width]),
});

const scores = "torch.einsum('bthd,bshd->bhts', q, k)";
const after = (weights: string) => `torch.einsum('bhts,bshd->bthd', torch.softmax(${weights}, -1), v)`;
const hidden = (offset: number) => `torch.ones(q.shape[1], k.shape[1]).triu(${offset} + 1).bool()`;

// Gradients need the number of tokens of neither side, so sizes may be named; queries and keys of two lengths may not.
const named = ([b, t, s]: Sizes) => (t === s ? [b, t] : [b]).filter((size) => size > 1);

export const attention = {
  attentionWeights: {
    plain: check(
      { q: floats([2, 3, 4, 5]), k: floats([2, 3, 6, 5]) },
      {
        build: ({ q, k }) => ops.attentionWeights(q, k, undefined, 0.4),
        oracle: ({ q, k }) => oracle.attentionWeights(q, k, undefined, 0.4),
        torch: "torch.softmax(0.4 * q @ k.transpose(-1, -2), -1)",
        named: [2, 4, 6],
      },
    ),
    "bias of a head": check(
      { q: floats([2, 3, 4, 5]), k: floats([2, 3, 6, 5]), bias: floats([3, 1, 6]) },
      {
        build: ({ q, k, bias }) => ops.attentionWeights(q, k, bias, 1),
        oracle: ({ q, k, bias }) => oracle.attentionWeights(q, k, bias, 1),
        torch: "torch.softmax(q @ k.transpose(-1, -2) + bias, -1)",
      },
    ),
    "one key": check(
      { q: floats([1, 2, 3, 4]), k: floats([1, 2, 1, 4]), bias: floats([1, 2, 3, 1]) },
      {
        build: ({ q, k, bias }) => ops.attentionWeights(q, k, bias, 2),
        oracle: ({ q, k, bias }) => oracle.attentionWeights(q, k, bias, 2),
      },
    ),
  },
  attention: {
    plain: check(qkv([2, 3, 5, 2, 2, 4, 4]), {
      build: ({ q, k, v }) => ops.attention(q, k, v),
      oracle: ({ q, k, v }) => oracle.attention(q, k, v),
      torch: after(`${scores} / q.shape[-1] ** 0.5`),
      named: named([2, 3, 5, 2, 2, 4, 4]),
    }),
    causal: check(qkv([2, 5, 5, 3, 3, 4, 2]), {
      build: ({ q, k, v }) => ops.attention(q, k, v, { mask: "causal" }),
      oracle: ({ q, k, v }) => oracle.attention(q, k, v, { sees: (i, j) => j <= i }),
      torch: after(`(${scores} / q.shape[-1] ** 0.5).masked_fill(${hidden(0)}, -torch.inf)`),
      named: [5],
    }),
    "causal, keys from before": check(qkv([1, 2, 6, 2, 2, 3, 3]), {
      build: ({ q, k, v }) => ops.attention(q, k, v, { mask: "causal", scale: 0.7 }),
      oracle: ({ q, k, v }) => oracle.attention(q, k, v, { sees: (i, j) => j <= i, scale: 0.7 }),
      torch: after(`(${scores} * 0.7).masked_fill(${hidden(4)}, -torch.inf)`),
      named: false,
    }),
    banded: check(qkv([2, 7, 7, 1, 1, 3, 3]), {
      build: ({ q, k, v }) => ops.attention(q, k, v, { mask: { window: 3 } }),
      oracle: ({ q, k, v }) => oracle.attention(q, k, v, { sees: (i, j) => j <= i && i - j < 3 }),
      torch: after(
        `(${scores} / q.shape[-1] ** 0.5).masked_fill(${hidden(0)} | torch.ones(7, 7).tril(-3).bool(), -torch.inf)`,
      ),
      named: [7],
    }),
    "grouped queries, with a bias": check(
      { ...qkv([2, 3, 3, 4, 2, 5, 5]), bias: floats([4, 3, 3]) },
      {
        build: ({ q, k, v, bias }) => ops.attention(q, k, v, { mask: "causal", bias }),
        oracle: ({ q, k, v, bias }) => oracle.attention(q, k, v, { sees: (i, j) => j <= i, bias }),
        named: [3],
      },
    ),
    "one key-value head": check(qkv([1, 4, 4, 6, 1, 2, 2]), {
      build: ({ q, k, v }) => ops.attention(q, k, v),
      oracle: ({ q, k, v }) => oracle.attention(q, k, v),
      named: [4],
    }),
    "weights replaced": check(
      { ...qkv([1, 3, 4, 2, 2, 3, 3]), keep: floats([1, 2, 3, 4], 0, 2) },
      {
        build: ({ q, k, v, keep }) => ops.attention(q, k, v, { onWeights: (w) => ops.mul(w, keep) }),
        oracle: ({ q, k, v, keep }) => oracle.attention(q, k, v, { weights: keep }),
        named: false,
      },
    ),
  },
  visible: {
    causal: check(
      {},
      {
        build: () => [ops.visible("causal", 4), ops.visible("causal", 2, 5)],
        oracle: () => [
          oracle.build([4, 4], ([i, j]) => Number(j! <= i!)),
          oracle.build([2, 5], ([i, j]) => Number(j! <= i! + 3)),
        ],
      },
    ),
    banded: check(
      {},
      {
        build: () => ops.visible({ window: 2 }, 3, 4),
        oracle: () => oracle.build([3, 4], ([i, j]) => Number(j! <= i! + 1 && i! + 1 - j! < 2)),
      },
    ),
  },
  maskBias: {
    causal: check(
      {},
      {
        build: () => ops.maskBias("causal", 3),
        oracle: () => oracle.build([3, 3], ([i, j]) => (j! <= i! ? 0 : ops.MASKED)),
        tolerance: 0,
      },
    ),
  },
  repeatHeads: {
    twice: check(
      { x: floats([2, 3, 2, 4]) },
      {
        build: ({ x }) => ops.repeatHeads(x, 6),
        oracle: ({ x }) => oracle.build([2, 3, 6, 4], ([b, s, h, d]) => oracle.at(x, [b!, s!, Math.floor(h! / 3), d!])),
        torch: "x.repeat_interleave(3, dim=2)",
        named: [3],
      },
    ),
    once: check(
      { x: floats([1, 2, 3, 4]) },
      { build: ({ x }) => ops.repeatHeads(x, 3), oracle: ({ x }) => x, named: [2] },
    ),
  },
} satisfies Readonly<Record<string, Check>>;

const turned = (shape: readonly number[], half: number, interleaved: boolean, positions: readonly number[]) =>
  check(
    { x: floats(shape), cos: floats([9, half], -1, 1), sin: floats([9, half], -1, 1), positions: ints(positions, 9) },
    {
      build: ({ x, cos, sin, positions }) => ops.rotate(x, cos, sin, positions, { interleaved }),
      oracle: ({ x, cos, sin, positions }) => oracle.rotate(x, cos, sin, positions, interleaved),
      constants: ["cos", "sin"],
      named: shape.slice(0, 2).filter((size) => size > 1),
    },
  );

/** Real tables, and the definition in complex numbers: a pair (a, b) becomes (a + ib)·e^(i·angle). */
const complex = (interleaved: boolean) =>
  check(
    { x: floats([2, 3, 2, 6]), positions: fixed([0, 1, 2, 5, 6, 7], [2, 3], "int64") },
    {
      build: ({ x, positions }) => {
        const table = (f: (angle: number) => number) =>
          ops.constant(
            Array.from({ length: 24 }, (_, i) => f(Math.floor(i / 3) / 100 ** ((i % 3) / 3))),
            [8, 3],
          );
        return ops.rotate(x, table(Math.cos), table(Math.sin), positions, { interleaved });
      },
      oracle: ({ x, positions }) =>
        oracle.build(x.shape, (index) => {
          const [n, t, h, e] = index as [number, number, number, number];
          const pair = interleaved ? Math.floor(e / 2) : e % 3;
          const [first, second] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + 3];
          const [a, b] = [oracle.at(x, [n, t, h, first]), oracle.at(x, [n, t, h, second])];
          const angle = Math.atan2(b, a) + oracle.at(positions, [n, t]) / 100 ** (pair / 3);
          return Math.hypot(a, b) * (e === first ? Math.cos(angle) : Math.sin(angle));
        }),
      torch: interleaved
        ? "torch.view_as_real(torch.view_as_complex(x.reshape(2, 3, 2, 3, 2)) * torch.polar(torch.ones(1, dtype=x.dtype), positions[:, :, None, None] / 100 ** (torch.arange(3, dtype=x.dtype) / 3))).reshape(x.shape)"
        : "torch.view_as_real(torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones(1, dtype=x.dtype), positions[:, :, None, None] / 100 ** (torch.arange(3, dtype=x.dtype) / 3))).transpose(-1, -2).reshape(x.shape)",
      named: false,
    },
  );

export const rotary = {
  rotate: {
    halves: complex(false),
    neighbours: complex(true),
    "part of a head": turned([2, 5, 4, 10], 3, false, [2, 5]),
    "part of a head, neighbours": turned([2, 5, 4, 10], 3, true, [2, 5]),
    "one row of positions": turned([3, 5, 1, 4], 2, false, [1, 5]),
    "one token": turned([5, 1, 3, 4], 2, true, [5, 1]),
  },
} satisfies Readonly<Record<string, Check>>;
