import { TesseraError } from "../core/errors.js";

// All four work on bit patterns: a float32 is 1 sign, 8 exponent and 23 fraction bits (bias 127), a float16 is 1 + 5 + 10 (bias 15),
// a bfloat16 is the upper half of a float32.

function checkLength(out: { length: number }, length: number): void {
  if (out.length !== length)
    throw new TesseraError("argument", `half: out has another length than the source (${out.length} vs ${length})`);
}

let float16Table: Uint32Array | undefined;

/** The float32 bits of every float16. */
function buildFloat16Table(): Uint32Array {
  const table = new Uint32Array(65536);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let h = 0; h < 32768; h++) {
    const exponent = h >>> 10;
    const fraction = h & 0x3ff;
    if (exponent === 31) bits[0] = 0x7f800000 | (fraction << 13);
    else value[0] = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    table[h] = bits[0]!;
    table[h + 32768] = bits[0]! | 0x80000000;
  }
  return table;
}

/**
 * Widens IEEE 754 half precision to single precision, exactly; NaN keeps its payload.
 *
 * @param halves raw 16-bit words
 * @param out where the result goes; default a new array
 * @throws TesseraError `argument` when `out` has another length
 */
export function float16ToFloat32(
  halves: Uint16Array,
  out: Float32Array = new Float32Array(halves.length),
): Float32Array {
  float16Table ??= buildFloat16Table();
  const table = float16Table;
  const { length } = halves;
  checkLength(out, length);
  const bits = new Uint32Array(out.buffer, out.byteOffset, length);
  for (let i = 0; i < length; i++) bits[i] = table[halves[i]!]!;
  return out;
}

/**
 * Narrows single precision to IEEE 754 half precision, rounding to nearest, ties to even: from 65,520 on it becomes infinity,
 * below 2⁻¹⁴ subnormal. NaN stays NaN.
 *
 * @param out where the raw 16-bit words go; default a new array
 * @throws TesseraError `argument` when `out` has another length
 */
export function float32ToFloat16(values: Float32Array, out: Uint16Array = new Uint16Array(values.length)): Uint16Array {
  const { length } = values;
  checkLength(out, length);
  const bits = new Int32Array(values.buffer, values.byteOffset, length);
  for (let i = 0; i < length; i++) {
    const x = bits[i]!;
    const sign = (x >>> 16) & 0x8000;
    const a = x & 0x7fffffff;
    if (a >= 0x47800000) {
      // 2^16 and beyond, infinity, NaN; a NaN whose upper payload is empty must not turn into infinity
      out[i] = sign | 0x7c00 | (a > 0x7f800000 ? (a >>> 13) & 0x3ff || 0x200 : 0);
    } else if (a >= 0x38800000) {
      // 2^-14 and beyond: move the bias from 127 to 15, round on the 13 bits that go; a carry moves into the exponent, rightly
      out[i] = sign | ((a - 0x38000000 + 0xfff + ((a >>> 13) & 1)) >>> 13);
    } else {
      // a multiple of 2^-24: adding 2^52 to a double leaves no room for a fraction, so the processor rounds it to even
      out[i] = sign | (Math.abs(values[i]!) * 2 ** 24 + 2 ** 52 - 2 ** 52);
    }
  }
  return out;
}

/**
 * Widens bfloat16 to single precision, exactly.
 *
 * @param words raw 16-bit words
 * @param out where the result goes; default a new array
 * @throws TesseraError `argument` when `out` has another length
 */
export function bfloat16ToFloat32(
  words: Uint16Array,
  out: Float32Array = new Float32Array(words.length),
): Float32Array {
  const { length } = words;
  checkLength(out, length);
  const bits = new Int32Array(out.buffer, out.byteOffset, length);
  for (let i = 0; i < length; i++) bits[i] = words[i]! << 16;
  return out;
}

/**
 * Narrows single precision to bfloat16, rounding to nearest, ties to even. NaN stays NaN.
 *
 * @param out where the raw 16-bit words go; default a new array
 * @throws TesseraError `argument` when `out` has another length
 */
export function float32ToBfloat16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  const { length } = values;
  checkLength(out, length);
  const bits = new Int32Array(values.buffer, values.byteOffset, length);
  for (let i = 0; i < length; i++) {
    const x = bits[i]!;
    if ((x & 0x7fffffff) > 0x7f800000) out[i] = (x >>> 16) & 0x7f ? x >>> 16 : (x >>> 16) | 0x40;
    else out[i] = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return out;
}
