import { describe, expect, it } from "vitest";
import { hostTensor } from "../core/host-tensor.js";
import { randomStream } from "../core/random-stream.js";
import type { Tensor } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { flops } from "../transforms/flops.js";
import { grad } from "../transforms/grad.js";
import { type AttentionMask, attention } from "./attention.js";
import { mul } from "./elementwise.js";
import { sum } from "./reduce.js";

/** Looked at, attention is computed whole. */
const whole = (q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask) =>
  withObserver(
    (_, value) => value,
    () => attention(q, k, v, { mask }),
  );

describe("masked attention in blocks of queries", () => {
  const random = randomStream(5);
  const values = (heads: number, d: number, t: number) =>
    hostTensor(
      Float32Array.from({ length: 2 * t * heads * d }, () => random.normal()),
      [2, t, heads, d],
    );

  it.each([
    [128, "causal"],
    [256, "causal"],
    [512, "causal"],
    [128, { window: 50 }],
    [256, { window: 2 }],
    [512, { window: 90 }],
    [512, { window: 128, unseen: "hidden once" }],
    [512, { window: 300 }],
    [256, { window: 999 }],
  ] as const)("of %i tokens, %j, is the whole's, and so are its gradients", async (t, mask) => {
    const inputs = { q: values(2, 8, t), k: values(1, 8, t), v: values(1, 4, t), weights: values(2, 4, t) };
    const results = await evaluate(nativeRuntime(), inputs, ({ q, k, v, weights }) => {
      const both = [attention(q, k, v, { mask }), whole(q, k, v, mask)];
      return Object.fromEntries(
        both.flatMap((y, i) => [
          [`y${i}`, y],
          ...grad(sum(mul(mul(y, y), weights)), [q, k, v]).map((g, j) => [`g${j}${i}`, g] as const),
        ]),
      ) as Record<string, Tensor>;
    });
    for (const name of ["y", "g0", "g1", "g2"]) {
      const [blocks, expected] = [0, 1].map((i) => results[`${name}${i}`]!.data as Float32Array);
      const scale = Math.max(...expected!.map(Math.abs));
      expect(scale).toBeGreaterThan(0.1);
      for (let i = 0; i < expected!.length; i++)
        expect(Math.abs(blocks![i]! - expected![i]!)).toBeLessThan(2e-6 * scale);
    }
  });

  it.each([
    ["causal", 128 + 256 + 384 + 512],
    [{ window: 100 }, 128 + 3 * 227],
  ] as const)("leaves out what the mask would throw away: %j", async (mask, keys) => {
    let work: readonly number[] = [];
    const x = { q: values(2, 8, 512), k: values(2, 8, 512), v: values(2, 8, 512) };
    await evaluate(nativeRuntime(), x, ({ q, k, v }) => {
      const [blocks, all] = [attention(q, k, v, { mask }), whole(q, k, v, mask)];
      work = [blocks, all].map((y) => Number(flops({ inputs: [], outputs: [y] })));
      return { blocks };
    });
    expect(work[0]! / work[1]!).toBe(keys / (4 * 512));
  });
});
