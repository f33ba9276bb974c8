import { expect, it } from "vitest";
import { lossCurve } from "./loss-curve.js";
import type { LogRecord } from "./training-log.js";

const evaluation = (step: number, loss: number): LogRecord => ({
  type: "evaluation",
  step,
  loss,
  perplexity: Math.exp(loss),
  seconds: 0,
});
const trained = (step: number, loss: number): LogRecord => ({
  ...{ type: "train", step, loss, learning_rate: 1, gradient_norm: 1, tokens: 1, tokens_per_second: 1, seconds: 0 },
});

/** Text of the elements, after checking that tags are closed in order. */
function texts(svg: string): string[] {
  const open: string[] = [];
  for (const [, close, name, self] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (close) expect(open.pop()).toBe(name);
    else if (!self) open.push(name!);
  }
  expect(open).toEqual([]);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  return [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map((match) => match[1]!);
}

it("has axes, round ticks, and a legend with the last and the best values", () => {
  const records = [
    trained(10, 4.2),
    evaluation(10, 4),
    trained(20, 3.1),
    evaluation(20, 3.25),
    trained(30, 2.9),
    evaluation(30, 3.5),
  ];
  const shown = texts(lossCurve(records, "a < b & c"));
  expect(shown).toEqual(
    expect.arrayContaining(["a &lt; b &amp; c", "step", "loss (nats per token)", "perplexity", "0", "10", "20", "30"]),
  );
  expect(shown).toEqual(
    expect.arrayContaining(["3.0", "3.5", "4.0", "training 2.900", "validation 3.500, best 3.250 at step 20"]),
  );
  expect(shown).toContain("20.1"); // e³
});

it("draws a curve of any length in few points, inside the frame", () => {
  const records = Array.from({ length: 50_000 }, (_, i) => trained(i + 1, 3 + Math.sin(i / 1000)));
  const svg = lossCurve(records, "long");
  texts(svg);
  expect(svg.length).toBeLessThan(50_000);
  for (const [, x, y] of svg.matchAll(/[ML]([\d.]+) ([\d.]+)/g)) {
    expect(Number(x)).toBeGreaterThanOrEqual(72);
    expect(Number(x)).toBeLessThanOrEqual(724);
    expect(Number(y)).toBeGreaterThanOrEqual(44);
    expect(Number(y)).toBeLessThanOrEqual(392);
  }
});

it.each([
  [[]],
  [[trained(1, 2)]],
  [[trained(1, 2), trained(2, 2)]],
  [[evaluation(5, 0)]],
  [[trained(1, 1e9), trained(2, Number.NaN), trained(3, 1)]],
])("stands what is unusual (%#)", (records) => {
  texts(lossCurve(records, "unusual"));
});
