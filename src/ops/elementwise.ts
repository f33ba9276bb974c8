import { broadcastShapes } from "../core/dim.js";
import { type DType, isFloating, onnxTypeCode } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { asTensor, full, type Operand } from "./constant.js";

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

// ---- two operands, broadcast -------------------------------------------------------------------------------------

const addOp: Primitive<2> = {
  name: "add",
  stackable: true,
  shape: ([a, b]) => broadcast(a, b),
  emit: (onnx, inputs) => onnx.node("Add", inputs),
  vjp: (_, { ct }) => [ct, ct],
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
};

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
    if (a.dtype !== "bool" || b.dtype !== "bool") throw new TesseraError("dtype", `needs bool, got ${a.dtype} and ${b.dtype}`);
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
    if (condition.dtype !== "bool") throw new TesseraError("dtype", `the condition must be bool, got ${condition.dtype}`);
    const { dtype, shape } = broadcast(a, b);
    return { dtype, shape: broadcastShapes(condition.shape, shape) };
  },
  emit: (onnx, inputs) => onnx.node("Where", inputs),
  vjp: (o, { inputs: [c], ct, wanted }) => [null, wanted[1] ? o.where(c, ct, 0) : null, wanted[2] ? o.where(c, 0, ct) : null],
};

/** `a` where `condition` holds, else `b`; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like: DType = typeof a === "number" ? (typeof b === "number" ? "float32" : b.dtype) : a.dtype;
  return bind(whereOp, [condition, asTensor(a, like), asTensor(b, like)], {});
}
