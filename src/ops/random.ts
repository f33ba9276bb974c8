import { countOf, formatShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { bind, type OnnxEmitter, type Primitive } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";

interface DropoutMaskAttributes {
  readonly shape: readonly number[];
  readonly rate: number;
  readonly site: number;
}

// ONNX's own RandomUniform and Dropout keep their state inside the session, so a resumed run could not repeat them. Integer
// arithmetic of the inputs alone can, on every machine and with any number of threads.
const dropoutMaskOp: Primitive<1, DropoutMaskAttributes> = {
  name: "dropout_mask",
  shape: ([key], { shape, rate, site }) => {
    if (key.dtype !== "int32" || key.shape.length !== 1 || key.shape[0] !== 2)
      throw new TesseraError("shape", `the key must be int32[2], got ${key.dtype}${formatShape(key.shape)}`);
    if (!(rate >= 0 && rate < 1)) throw new TesseraError("argument", `the rate must be in [0, 1), got ${rate}`);
    if (!Number.isSafeInteger(site)) throw new TesseraError("argument", `the site must be a whole number, got ${site}`);
    return { dtype: "float32", shape };
  },
  emit: (onnx, [key], { shape, rate, site }) => {
    const count = countOf(shape);
    const columns = nearSquare(count);
    const rows = count / columns;
    const words = onnx.constant("int32", [2 * (rows + columns)], counters(2 * (rows + columns), site));
    const sizes = onnx.ints([rows, rows, columns, columns]);
    const [r1, r2, c1, c2] = onnx.nodes("Split", [scramble(onnx, words, key), sizes], 4, { axis: 0 });
    const outer = (r: string, c: string) => onnx.node("Add", [onnx.node("Reshape", [r, onnx.ints([rows, 1])]), c]);
    const bits = onnx.node("Mul", [outer(r1!, c1!), outer(r2!, c2!)]); // only the upper bits of a product are good: compared
    const keep = onnx.node("LessOrEqual", [integer(onnx, Math.round(rate * 2 ** 32) - 2 ** 31), bits]);
    const mask = onnx.node("Mul", [onnx.node("Cast", [keep], { to: 1 }), onnx.scalar(1 / (1 - rate))]);
    return onnx.node("Reshape", [mask, onnx.ints(shape)]);
  },
  vjp: () => [null],
};

/** The smallest divisor not below the square root: rows and columns together are then fewest. */
function nearSquare(count: number): number {
  for (let columns = Math.ceil(Math.sqrt(count)); columns < count; columns++) if (count % columns === 0) return columns;
  return Math.max(count, 1);
}

const odd = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35] as const; // 2³²/φ, and the multipliers of MurmurHash3's finalizer (Appleby)

/** A different word for every place of every site; what the key decides is mixed in when the graph runs. */
function counters(length: number, site: number): Int32Array {
  const mix = (x: number) => {
    const y = Math.imul(x ^ (x >>> 16), odd[1]);
    return Math.imul(y ^ (y >>> 13), odd[2]) ^ (y >>> 16);
  };
  return Int32Array.from({ length }, (_, i) => mix(mix(i + 1) + Math.imul(site, odd[0])));
}

const integer = (onnx: OnnxEmitter, value: number) => onnx.constant("int32", [], Int32Array.of(value));

/** Mixes both words of the key into every element: rounds of a multiplication by an odd number and a shifted copy. */
function scramble(onnx: OnnxEmitter, words: string, key: string): string {
  const [k0, k1] = onnx.nodes("Split", [key, onnx.ints([1, 1])], 2, { axis: 0 });
  const round = (x: string, factor: number, shift: number) => {
    const y = onnx.node("Mul", [x, integer(onnx, factor)]);
    // Only unsigned integers can be shifted.
    const unsigned = onnx.node("Cast", [y], { to: 12 });
    const shifted = onnx.node("BitShift", [unsigned, onnx.constant("uint32", [], Uint32Array.of(shift))], {
      direction: "RIGHT",
    });
    return onnx.node("BitwiseXor", [y, onnx.node("Cast", [shifted], { to: 6 })]);
  };
  const first = round(onnx.node("Add", [words, k0!]), odd[0], 15);
  return round(round(onnx.node("Add", [first, k1!]), odd[1], 16), odd[2], 13);
}

/**
 * Mask of inverted dropout: 0 with probability `rate`, else `1/(1 − rate)`. Srivastava et al. 2014.
 * A pure function of its arguments: the same key, shape, rate and site give the same mask, bit for bit, on every machine.
 *
 * @param key int32 `[2]`, different for every step: for example the seed of the run and the number of the step
 * @param shape sizes of the mask
 * @param rate probability of a 0, in [0, 1)
 * @param site number of the place in the model; places with different numbers get independent masks
 * @returns float32 of `shape`
 * @throws TesseraError `argument` when the rate is outside [0, 1), `shape` when the key is not int32 `[2]`
 */
export function dropoutMask(key: Tensor, shape: readonly number[], rate: number, site: number): Tensor {
  return bind(dropoutMaskOp, [key], { shape, rate, site });
}
