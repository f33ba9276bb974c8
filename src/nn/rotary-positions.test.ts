import { expect, test } from "vitest";
import { numbersOf, runGraph } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { input } from "../core/tensor.js";
import { type RotaryOptions, rotaryPositions } from "./rotary-positions.js";

/** Angles, by pair, that a head of `size` is turned by at each position: read off vectors whose every pair is (1, 0). */
async function angles(d: number, positions: readonly (readonly number[])[], options: RotaryOptions = {}, size = d) {
  const { interleaved = false } = options;
  const [rows, t, pairs] = [positions.length, positions[0]!.length, Math.ceil(d / 2)];
  const [x, at] = [input("x", ["b", "t", 1, size]), input("at", ["b", "t"], "int64")];
  const isFirst = (e: number) => (interleaved ? e % 2 === 0 : e < pairs);
  const head = Array.from({ length: size }, (_, e) => (e >= 2 * pairs ? 7 : isFirst(e) ? 1 : 0));
  const [y] = await runGraph(
    { inputs: [x, at], outputs: [rotaryPositions(d, options)(x, { positions: at })] },
    {
      x: hostTensor(Array.from({ length: rows * t }, () => head).flat(), [rows, t, 1, size]),
      at: hostTensor(positions.flat(), [rows, t], "int64"),
    },
  );
  const flat = numbersOf(y!);
  return Array.from({ length: rows * t }, (_, i) => {
    const turned = flat.slice(i * size, (i + 1) * size);
    expect(turned.slice(2 * pairs)).toEqual(head.slice(2 * pairs)); // the rest of the head stays
    return Array.from({ length: pairs }, (_, j) =>
      interleaved ? Math.atan2(turned[2 * j + 1]!, turned[2 * j]!) : Math.atan2(turned[j + pairs]!, turned[j]!),
    );
  });
}

const close = (expected: readonly (readonly number[])[], digits = 5) =>
  expected.map((row) => row.map((x) => expect.closeTo(x, digits)));

test.each([false, true])(
  "each pair turns by its angle, in each row by its own position (neighbours: %s)",
  async (interleaved) => {
    const turn = (position: number) => [position, position / 10];
    const got = await angles(
      4,
      [
        [0, 1, 2],
        [2, 3, 1],
      ],
      { base: 100, interleaved },
      6,
    );
    expect(got).toEqual(close([0, 1, 2, 2, 3, 1].map(turn)));
  },
);

test("a turn at position 131,071 is as exact as float32 angles are", async () => {
  const [turned] = await angles(4, [[131071]], { base: 100 });
  for (const [j, angle] of [131071, Math.fround(131071 * Math.fround(0.1))].entries()) {
    expect(Math.cos(turned![j]!)).toBeCloseTo(Math.cos(angle), 5);
    expect(Math.sin(turned![j]!)).toBeCloseTo(Math.sin(angle), 5);
  }
});

test("a longer text grows the base of dynamic positions, in its row alone", async () => {
  const scaling = { type: "dynamic", factor: 2, length: 8 } as const;
  // By transformers' formula in PyTorch 1.13: heads of 8, base 100, texts of 8, 12 and 30 tokens.
  const recorded = {
    7: [1, 0.31622776, 0.1, 0.031622779],
    11: [1, 0.25099015, 0.062996052, 0.015811387],
    29: [1, 0.16944504, 0.028711624, 0.0048650424],
  };
  for (const [last, frequencies] of Object.entries(recorded))
    expect(await angles(8, [[1, Number(last)]], { base: 100, scaling })).toEqual([
      close([frequencies], 6)[0],
      expect.anything(),
    ]);
  const [short, , long] = await angles(
    8,
    [
      [1, 2],
      [1, 29],
    ],
    { base: 100, scaling },
  );
  expect([short, long]).toEqual(close([recorded[7], recorded[29]], 6));
});
