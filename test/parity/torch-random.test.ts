import { describe, expect, it } from "vitest";
import { torchNormals } from "./torch-random.js";

/** What stands at `places` of the next `count` normals. */
const at = (draw: ReturnType<typeof torchNormals>, count: number, places: readonly number[]) => {
  const drawn = draw(count)!;
  expect(drawn.length).toBe(count);
  return places.map((i) => drawn[i]!);
};
const close = (got: readonly number[], expected: readonly number[]) =>
  expect(Math.max(...got.map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThan(2e-6);

describe("torch's normals, as PyTorch 1.13 draws them on the CPU", () => {
  it("in order, past the generator's 624 words, with an end that is no block of 16", () => {
    const draw = torchNormals(1234);
    close(
      at(draw, 100, [0, 1, 7, 8, 15, 16, 83, 84, 91, 92, 99]), // torch.manual_seed(1234); torch.randn(5, 20).flatten()
      [
        -0.111719, -0.49659, -0.467498, -0.215253, -1.021858, 0.798833, -0.729549, 1.320447, 0.802138, 0.572177,
        -0.132538,
      ],
    );
    close(at(draw, 700, [0, 8, 523, 699]), [-0.855493, 0.689686, 0.802753, 0.871744]); // then torch.randn(700)
  });

  it("from the largest seed", () =>
    close(at(torchNormals(2 ** 32 - 1), 16, [0, 4, 8, 15]), [-2.664298, 1.898618, -1.751495, 0.14091]));

  it("not for less than 16", () => expect(torchNormals(1234)(15)).toBeUndefined());
});
