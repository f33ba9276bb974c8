import { bind, type Primitive } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { floating } from "./elementwise.js";

const tanhOp: Primitive<1> = {
  name: "tanh",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Tanh", inputs),
  vjp: (o, { output: y, ct }) => [o.sub(ct, o.mul(ct, o.mul(y, y)))], // d tanh = 1 − y²
};

/** Hyperbolic tangent, element-wise. `x: [...]` → same shape. */
export function tanh(x: Tensor): Tensor {
  return bind(tanhOp, [x], {});
}

const sigmoidOp: Primitive<1> = {
  name: "sigmoid",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Sigmoid", inputs),
  vjp: (o, { output: y, ct }) => [o.mul(ct, o.sub(y, o.mul(y, y)))], // dσ = y − y²
};

/** Logistic function `1 / (1 + e⁻ˣ)`, element-wise. */
export function sigmoid(x: Tensor): Tensor {
  return bind(sigmoidOp, [x], {});
}

const reluOp: Primitive<1> = {
  name: "relu",
  shape: ([x]) => floating(x),
  emit: (onnx, inputs) => onnx.node("Relu", inputs),
  vjp: (o, { inputs: [x], ct }) => [o.where(o.less(0, x), ct, 0)],
};

/** `max(x, 0)`, element-wise. The gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return bind(reluOp, [x], {});
}

const siluOp: Primitive<1> = {
  name: "silu",
  shape: ([x]) => floating(x),
  emit: (onnx, [x]) =>
    onnx.contrib
      ? onnx.node("com.microsoft.QuickGelu", [x], { alpha: { f: 1 } })
      : onnx.node("Mul", [x, onnx.node("Sigmoid", [x])]),
  vjp: (o, { inputs: [x], output: y, ct }) => {
    const s = o.sigmoid(x);
    return [o.mul(ct, o.add(s, o.sub(y, o.mul(y, s))))]; // s + y(1 − s)
  },
  decompose: (o, [x]) => o.mul(x, o.sigmoid(x)),
};

/** SiLU (swish), `x · σ(x)`, element-wise. Elfwing et al. 2017. */
export function silu(x: Tensor): Tensor {
  return bind(siluOp, [x], {});
}

const C = Math.sqrt(2 / Math.PI);
const K = 0.044715;

const geluTanhOp: Primitive<1> = {
  name: "gelu_tanh",
  shape: ([x]) => floating(x),
  // FastGelu refuses a tensor without axes.
  emit: (onnx, [x], _, { inputs }) =>
    onnx.contrib && inputs[0].shape.length > 0
      ? onnx.node("com.microsoft.FastGelu", [x])
      : onnx.node("Gelu", [x], { approximate: "tanh" }),
  vjp: (o, { inputs: [x], output: y, ct }) => {
    // gelu(x) = x·s with s = σ(2u), u = C(x + Kx³), so d = s + y(1 − s)·2u′
    const x2 = o.mul(x, x);
    const s = o.sigmoid(o.mul(x, o.add(o.mul(x2, 2 * C * K), 2 * C)));
    const slope = o.add(o.mul(x2, 6 * C * K), 2 * C);
    return [o.mul(ct, o.add(s, o.mul(o.sub(y, o.mul(y, s)), slope)))];
  },
  decompose: (o, [x]) => o.mul(o.mul(x, 0.5), o.add(o.tanh(o.mul(o.add(x, o.mul(o.mul(o.mul(x, x), x), K)), C)), 1)),
};

const geluOp: Primitive<1> = {
  name: "gelu",
  shape: ([x]) => floating(x),
  emit: (onnx, [x]) => (onnx.contrib ? onnx.node("com.microsoft.Gelu", [x]) : onnx.node("Gelu", [x])),
  vjp: (o, { inputs: [x], ct }) => {
    const cdf = o.mul(o.add(o.erf(o.mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = o.mul(o.exp(o.mul(o.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [o.mul(ct, o.add(cdf, o.mul(x, density)))];
  },
  decompose: (o, [x]) => o.mul(o.mul(x, 0.5), o.add(o.erf(o.mul(x, Math.SQRT1_2)), 1)),
};

/**
 * Gaussian error linear unit, element-wise: `x · Φ(x)`. Hendrycks & Gimpel 2016.
 *
 * @param form `"exact"` through erf (BERT), `"tanh"` the approximation GPT-2 was trained with (`gelu_new`); default `"exact"`
 */
export function gelu(x: Tensor, form: "exact" | "tanh" = "exact"): Tensor {
  return bind(form === "tanh" ? geluTanhOp : geluOp, [x], {});
}
