import { describe, expect, it } from "vitest";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./half.js";

const words = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The value of a format with `fraction` fraction bits and exponent bias `bias`, from its definition in IEEE 754. */
function definition(word: number, fraction: number, bias: number): number {
  const sign = word >= 0x8000 ? -1 : 1;
  const exponent = (word & 0x7fff) >>> fraction;
  const rest = word & (2 ** fraction - 1);
  if (exponent === 2 ** (15 - fraction) - 1) return rest === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * rest * 2 ** (1 - bias - fraction);
  return sign * (2 ** fraction + rest) * 2 ** (exponent - bias - fraction);
}

/** The float32 just above or below a positive one. */
function neighbour(value: number, step: 1 | -1): number {
  const float = new Float32Array([value]);
  new Uint32Array(float.buffer)[0]! += step;
  return float[0]!;
}

const formats = [
  { name: "float16", fraction: 10, bias: 15, widen: float16ToFloat32, narrow: float32ToFloat16, infinity: 0x7c00 },
  { name: "bfloat16", fraction: 7, bias: 127, widen: bfloat16ToFloat32, narrow: float32ToBfloat16, infinity: 0x7f80 },
];

describe.each(formats)("$name", ({ fraction, bias, widen, narrow, infinity }) => {
  const one = (value: number) => narrow(new Float32Array([value]))[0]!;

  it("widens all 65,536 words to the values of the definition", () => {
    const wide = widen(words);
    for (const word of words)
      if (!Object.is(wide[word], definition(word, fraction, bias))) expect.fail(`word ${word} became ${wide[word]}`);
  });

  it("narrows every value of its own back to the same word, NaN payloads included", () => {
    expect(narrow(widen(words))).toEqual(words);
  });

  it("rounds to nearest, ties to even, at every midpoint between neighbours and beside it", () => {
    for (let low = 0; low < infinity; low++) {
      // One above the greatest finite word lies infinity, where the value 2^(bias + 1) would be.
      const upper = low + 1 === infinity ? 2 ** (bias + 1) : definition(low + 1, fraction, bias);
      const middle = (definition(low, fraction, bias) + upper) / 2;
      const even = low % 2 === 0 ? low : low + 1;
      const got = [one(neighbour(middle, -1)), one(middle), one(neighbour(middle, 1)), one(-middle)];
      if (`${got}` !== `${[low, even, low + 1, even | 0x8000]}`) expect.fail(`around ${middle}: ${got}`);
    }
  });

  it("keeps signed zeros, infinities and NaN", () => {
    expect([one(0), one(-0), one(1 / 0), one(-1 / 0)]).toEqual([0, 0x8000, infinity, infinity | 0x8000]);
    const payloads = new Uint32Array([0x7f800001, 0xff800001, 0x7fc00000, 0xffffffff]); // the first two are empty above
    const narrowed = narrow(new Float32Array(payloads.buffer));
    expect([...widen(narrowed)]).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    expect(Array.from(narrowed, (w) => w >> 15)).toEqual([0, 1, 0, 1]);
  });

  it("writes into an array that is given, at its offset, and refuses another length", () => {
    const out = new Float32Array(4).subarray(1, 3);
    expect(widen(narrow(new Float32Array([1.5, -2])), out)).toBe(out);
    expect([...new Float32Array(out.buffer)]).toEqual([0, 1.5, -2, 0]);
    expect(() => widen(words, out)).toThrow("half: out has another length than the source (2 vs 65536)");
    expect(() => narrow(out, new Uint16Array(3))).toThrow("(3 vs 2)");
  });
});

it("narrows values as recorded from Python's struct (format e)", () => {
  const values = [
    0.1,
    65504,
    65519.99609375,
    65520,
    2 ** -24,
    2 ** -25,
    2 ** -25 + 2 ** -48,
    5.9e-8,
    6.1e-5,
    3.75,
    -1 / 3,
  ];
  const recorded = [0x2e66, 0x7bff, 0x7bff, 0x7c00, 0x0001, 0x0000, 0x0001, 0x0001, 0x03ff, 0x4380, 0xb555];
  expect([...float32ToFloat16(new Float32Array(values))]).toEqual(recorded);
});
