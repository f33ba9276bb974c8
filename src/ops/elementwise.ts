import { broadcastShapes, sameShape } from "../core/dim.js";
import { type DType, isFloating, onnxTypeCode } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { asTensor, full, type Operand, scalar, uniform, uniformValue } from "./constant.js";

/** Same type out as in; refuses integers. */
export function floating(x: Aval): Aval {
  if (!isFloating(x.dtype)) throw new TesseraError("dtype", `needs a floating type, got ${x.dtype}`);
  return { dtype: x.dtype, shape: x.shape };
}

function broadcast(a: Aval, b: Aval): Aval {
  if (a.dtype !== b.dtype) throw new TesseraError("dtype", `element types differ (${a.dtype} vs ${b.dtype})`);
  return { dtype: a.dtype, shape: broadcastShapes(a.shape, b.shape) };
}

const compare = ([a, b]: readonly [Aval, Aval]): Aval => ({ dtype: "bool", shape: broadcast(a, b).shape });

function binary(op: Primitive<2>, a: Operand, b: Operand): Tensor {
  const like: DType = typeof a === "number" ? (typeof b === "number" ? "float32" : b.dtype) : a.dtype;
  return bind(op, [asTensor(a, like), asTensor(b, like)], {});
}

// ---- what expressions simplify to ---------------------------------------------------------------------------------

/** Whether `x` has the shape that it and `other` broadcast to. */
const covers = (x: Aval, other: Aval) => sameShape(broadcastShapes(x.shape, other.shape), x.shape);

/** `x` where `c` is the constant `value` and changes nothing. */
const unlessNeutral = (x: Tensor, c: Tensor, value: number) =>
  uniformValue(c) === value && covers(x, c) ? x : undefined;

function folded(a: Tensor, b: Tensor, f: (a: number, b: number) => number): Tensor | undefined {
  const [x, y] = [uniformValue(a), uniformValue(b)];
  if (x === undefined || y === undefined || !isFloating(a.dtype)) return undefined;
  return uniform(broadcastShapes(a.shape, b.shape), f(x, y), a.dtype);
}

/** A constant of one number beside a tensor that covers it needs no axes. */
function withScalar(op: (a: Tensor, b: Tensor) => Tensor, a: Tensor, b: Tensor): Tensor | undefined {
  const [x, y] = [uniformValue(a), uniformValue(b)];
  if (y !== undefined && b.rank > 0 && covers(a, b)) return op(a, scalar(y, b.dtype));
  return x !== undefined && a.rank > 0 && covers(b, a) ? op(scalar(x, a.dtype), b) : undefined;
}

const negated = (x: Tensor): Tensor | undefined => (x.node?.op === negOp ? x.node.inputs[0] : undefined);

/** What `x` is a multiple of, and the factor: `3` and `y` for `y · 3`; undefined for anything but such products and negations. */
export function multiple(x: Tensor): readonly [Tensor, number] | undefined {
  const { op, inputs = [] } = x.node ?? {};
  const [a, b] = inputs as readonly [Tensor, Tensor];
  if (op === negOp) return [a, -1];
  if (op !== mulOp || !isFloating(x.dtype)) return undefined;
  const [f, g] = [uniformValue(a), uniformValue(b)];
  if (g !== undefined && b.rank === 0) return [a, g];
  return f !== undefined && a.rank === 0 ? [b, f] : undefined;
}

function times(x: Tensor, factor: number): Tensor {
  if (factor === 1) return x;
  return factor === -1 ? neg(x) : mul(x, factor);
}

/** `x · factor` with the factor that `x` has already. */
function scaled(x: Tensor, factor: number): Tensor | undefined {
  const inner = isFloating(x.dtype) ? multiple(x) : undefined;
  return inner && times(inner[0], inner[1] * factor);
}

// ---- two operands, broadcast -------------------------------------------------------------------------------------

const addOp: Primitive<2> = {
  name: "add",
  stackable: true,
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Add", inputs),
  vjp: (_, { ct }) => [ct, ct],
  rewrite: (_, [a, b]) => {
    const [minusA, minusB] = [negated(a), negated(b)];
    if (minusB) return sub(a, minusB);
    if (minusA) return sub(b, minusA);
    return unlessNeutral(a, b, 0) ?? unlessNeutral(b, a, 0) ?? folded(a, b, (x, y) => x + y) ?? withScalar(add, a, b);
  },
};

/** `a + b`, element-wise with broadcasting. `a: [...]`, `b: [...]` → the shape both broadcast to. */
export function add(a: Operand, b: Operand): Tensor {
  return binary(addOp, a, b);
}

const subOp: Primitive<2> = {
  name: "sub",
  stackable: true,
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Sub", inputs),
  vjp: (o, { ct, wanted }) => [ct, wanted[1] ? o.neg(ct) : null],
  rewrite: (_, [a, b]) => {
    const minusB = negated(b);
    if (minusB) return add(a, minusB);
    if (uniformValue(a) === 0 && covers(b, a)) return neg(b);
    return unlessNeutral(a, b, 0) ?? folded(a, b, (x, y) => x - y) ?? withScalar(sub, a, b);
  },
};

/** `a − b`, element-wise with broadcasting. */
export function sub(a: Operand, b: Operand): Tensor {
  return binary(subOp, a, b);
}

const mulOp: Primitive<2> = {
  name: "mul",
  stackable: true,
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Mul", inputs),
  vjp: (o, { inputs: [a, b], ct, wanted }) => [wanted[0] ? o.mul(ct, b) : null, wanted[1] ? o.mul(ct, a) : null],
  rewrite: (_, [a, b]) => {
    const [f, g] = [uniformValue(a), uniformValue(b)];
    const plain =
      unlessNeutral(a, b, 1) ?? unlessNeutral(b, a, 1) ?? folded(a, b, (x, y) => x * y) ?? withScalar(mul, a, b);
    if (plain) return plain;
    if (g !== undefined && b.rank === 0) return scaled(a, g) ?? (g === -1 ? neg(a) : undefined);
    return f !== undefined && a.rank === 0 ? (scaled(b, f) ?? (f === -1 ? neg(b) : undefined)) : undefined;
  },
};

/** `a · b`, element-wise with broadcasting. */
export function mul(a: Operand, b: Operand): Tensor {
  return binary(mulOp, a, b);
}

const divOp: Primitive<2> = {
  name: "div",
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Div", inputs),
  vjp: (o, { inputs: [, b], output: y, ct, wanted }) => {
    const da = o.div(ct, b);
    return [da, wanted[1] ? o.neg(o.mul(da, y)) : null]; // d(a/b)/db = −(a/b)/b
  },
  rewrite: (_, [a, b]) => unlessNeutral(a, b, 1) ?? folded(a, b, (x, y) => x / y) ?? withScalar(div, a, b),
};

/** `a / b`, element-wise with broadcasting; integers divide towards zero. */
export function div(a: Operand, b: Operand): Tensor {
  return binary(divOp, a, b);
}

const maximumOp: Primitive<2> = {
  name: "maximum",
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Max", inputs),
  vjp: (o, { inputs: [a, b], ct }) => [o.where(o.less(a, b), 0, ct), o.where(o.less(a, b), ct, 0)],
};

/** The larger of `a` and `b`, element-wise with broadcasting. Where they are equal the gradient goes to `a`. */
export function maximum(a: Operand, b: Operand): Tensor {
  return binary(maximumOp, a, b);
}

const minimumOp: Primitive<2> = {
  name: "minimum",
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Min", inputs),
  vjp: (o, { inputs: [a, b], ct }) => [o.where(o.less(b, a), 0, ct), o.where(o.less(b, a), ct, 0)],
};

/** The smaller of `a` and `b`, element-wise with broadcasting. Where they are equal the gradient goes to `a`. */
export function minimum(a: Operand, b: Operand): Tensor {
  return binary(minimumOp, a, b);
}

const powOp: Primitive<1, { exponent: number }> = {
  name: "pow",
  shape: ([x]) => floating(x),
  emit: (onnx, [x], { exponent }, { outputs }) => onnx.node("Pow", [x, onnx.scalar(exponent, outputs[0]!.dtype)]),
  vjp: (o, { inputs: [x], ct, attrs: { exponent } }) => [o.mul(ct, o.mul(o.pow(x, exponent - 1), exponent))],
};

/** `xᵖ`, element-wise, for a constant exponent. */
export function pow(x: Tensor, exponent: number): Tensor {
  if (exponent === 0) return full(x.shape, 1, x.dtype); // its gradient by the rule would be 0 · x⁻¹
  return exponent === 1 ? x : bind(powOp, [x], { exponent });
}

// ---- one operand -------------------------------------------------------------------------------------------------

const negOp: Primitive<1> = {
  name: "neg",
  shape: ([x]) => x,
  emit: (onnx, inputs) => onnx.node("Neg", inputs),
  vjp: (o, { ct }) => [o.neg(ct)],
  rewrite: (_, [x]) => {
    const inner = negated(x);
    if (inner) return inner;
    const value = isFloating(x.dtype) ? uniformValue(x) : undefined;
    if (value !== undefined) return uniform(x.shape, -value, x.dtype);
    if (x.node?.op === subOp) return sub(x.node.inputs[1]!, x.node.inputs[0]!);
    return scaled(x, -1);
  },
};

/** `−x`, element-wise. */
export function neg(x: Tensor): Tensor {
  return bind(negOp, [x], {});
}

const expOp: Primitive<1> = {
  name: "exp",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Exp", inputs),
  vjp: (o, { output: y, ct }) => [o.mul(ct, y)],
};

/** `eˣ`, element-wise. */
export function exp(x: Tensor): Tensor {
  return bind(expOp, [x], {});
}

const logOp: Primitive<1> = {
  name: "log",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Log", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.div(ct, x)],
};

/** Natural logarithm, element-wise. */
export function log(x: Tensor): Tensor {
  return bind(logOp, [x], {});
}

const sqrtOp: Primitive<1> = {
  name: "sqrt",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Sqrt", inputs),
  vjp: (o, { output: y, ct }) => [o.div(o.mul(ct, 0.5), y)],
};

/** Square root, element-wise. */
export function sqrt(x: Tensor): Tensor {
  return bind(sqrtOp, [x], {});
}

const absOp: Primitive<1> = {
  name: "abs",
  shape: ([x]) => x,
  emit: (onnx, inputs) => onnx.node("Abs", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.where(o.less(x, 0), o.neg(ct), o.where(o.less(0, x), ct, 0))],
};

/** Absolute value, element-wise. The gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return bind(absOp, [x], {});
}

const sinOp: Primitive<1> = {
  name: "sin",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Sin", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.mul(ct, o.cos(x))],
};

/** Sine, element-wise; radians. */
export function sin(x: Tensor): Tensor {
  return bind(sinOp, [x], {});
}

const cosOp: Primitive<1> = {
  name: "cos",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Cos", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.neg(o.mul(ct, o.sin(x)))],
};

/** Cosine, element-wise; radians. */
export function cos(x: Tensor): Tensor {
  return bind(cosOp, [x], {});
}

const erfOp: Primitive<1> = {
  name: "erf",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Erf", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.mul(ct, o.mul(o.exp(o.neg(o.mul(x, x))), 2 / Math.sqrt(Math.PI)))],
};

/** Gauss error function `2/√π ∫₀ˣ e^(−t²) dt`, element-wise. */
export function erf(x: Tensor): Tensor {
  return bind(erfOp, [x], {});
}

const castOp: Primitive<1, { to: DType }> = {
  name: "cast",
  shape: ([x], { to }) => ({ dtype: to, shape: x.shape }),
  emit: (onnx, [x], { to }) => onnx.node("Cast", [x], { to: onnxTypeCode(to) }),
  vjp: (o, { inputs: [x], ct }) => [isFloating(x.dtype) ? o.cast(ct, x.dtype) : null],
  rewrite: (_, [x], { to }) => {
    const from = x.node?.op === castOp ? x.node.inputs[0]! : undefined;
    return from && holds(x.dtype, from.dtype) ? cast(from, to) : undefined;
  },
};

/** Element types that hold every value of another one exactly. */
const wider: Partial<Record<DType, readonly DType[]>> = {
  bool: ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint32", "uint8", "int8"],
  uint8: ["float32", "float64", "int64", "int32", "uint32"],
  int8: ["float32", "float64", "int64", "int32"],
  int32: ["float64", "int64"],
  uint32: ["float64", "int64"],
  float32: ["float64"],
  float16: ["float32", "float64"],
  bfloat16: ["float32", "float64"],
};
const holds = (dtype: DType, values: DType) => dtype === values || (wider[values]?.includes(dtype) ?? false);

/** The values in another element type; floats become integers towards zero. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : bind(castOp, [x], { to });
}

// ---- comparison and choice ---------------------------------------------------------------------------------------

const lessOp: Primitive<2> = {
  name: "less",
  shape: compare,
  emit: (onnx, inputs) => onnx.node("Less", inputs),
  vjp: () => [null, null],
};

/** `a < b`, element-wise with broadcasting → bool. */
export function less(a: Operand, b: Operand): Tensor {
  return binary(lessOp, a, b);
}

const lessOrEqualOp: Primitive<2> = {
  name: "less_or_equal",
  shape: compare,
  emit: (onnx, inputs) => onnx.node("LessOrEqual", inputs),
  vjp: () => [null, null],
};

/** `a ≤ b`, element-wise with broadcasting → bool. */
export function lessOrEqual(a: Operand, b: Operand): Tensor {
  return binary(lessOrEqualOp, a, b);
}

const equalOp: Primitive<2> = {
  name: "equal",
  shape: compare,
  emit: (onnx, inputs) => onnx.node("Equal", inputs),
  vjp: () => [null, null],
};

/** `a = b`, element-wise with broadcasting → bool. */
export function equal(a: Operand, b: Operand): Tensor {
  return binary(equalOp, a, b);
}

const andOp: Primitive<2> = {
  name: "and",
  shape: ([a, b]) => {
    if (a.dtype !== "bool" || b.dtype !== "bool")
      throw new TesseraError("dtype", `needs bool, got ${a.dtype} and ${b.dtype}`);
    return broadcast(a, b);
  },
  emit: (onnx, inputs) => onnx.node("And", inputs),
  vjp: () => [null, null],
};

/** Both, element-wise with broadcasting; bool. */
export function and(a: Tensor, b: Tensor): Tensor {
  return bind(andOp, [a, b], {});
}

const notOp: Primitive<1> = {
  name: "not",
  shape: ([x]) => {
    if (x.dtype !== "bool") throw new TesseraError("dtype", `needs bool, got ${x.dtype}`);
    return x;
  },
  emit: (onnx, inputs) => onnx.node("Not", inputs),
  vjp: () => [null],
};

/** The opposite, element-wise; bool. */
export function not(x: Tensor): Tensor {
  return bind(notOp, [x], {});
}

const whereOp: Primitive<3> = {
  name: "where",
  shape: ([condition, a, b]) => {
    if (condition.dtype !== "bool")
      throw new TesseraError("dtype", `the condition must be bool, got ${condition.dtype}`);
    const { dtype, shape } = broadcast(a, b);
    return { dtype, shape: broadcastShapes(condition.shape, shape) };
  },
  emit: (onnx, inputs) => onnx.node("Where", inputs),
  vjp: (o, { inputs: [c], ct, wanted }) => [
    null,
    wanted[1] ? o.where(c, ct, 0) : null,
    wanted[2] ? o.where(c, 0, ct) : null,
  ],
};

/** `a` where `condition` holds, else `b`; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like: DType = typeof a === "number" ? (typeof b === "number" ? "float32" : b.dtype) : a.dtype;
  return bind(whereOp, [condition, asTensor(a, like), asTensor(b, like)], {});
}
