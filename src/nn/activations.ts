import type { Tensor } from "../core/tensor.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/activation.js";
import { abs, add, erf, exp, less, log, maximum, minimum, mul, neg, sub, where } from "../ops/elementwise.js";

const geluTanh = (x: Tensor) => gelu(x, "tanh");
/** `ln(1 + eˣ)`, in the form that does not overflow. */
const softplus = (x: Tensor) => add(maximum(x, 0), log(add(exp(neg(abs(x))), 1)));

/** Activation functions by the names that config.json gives them: those of transformers without parameters of their own. */
export const activations = {
  gelu: (x: Tensor) => gelu(x),
  gelu_10: (x: Tensor) => minimum(maximum(gelu(x), -10), 10),
  gelu_accurate: geluTanh,
  gelu_fast: geluTanh,
  gelu_new: geluTanh,
  gelu_python: (x: Tensor) => gelu(x),
  gelu_python_tanh: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  hardswish: (x: Tensor) => mul(x, mul(minimum(maximum(add(x, 3), 0), 6), 1 / 6)),
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: rounded as transformers has it
  laplace: (x: Tensor) => mul(add(erf(mul(sub(x, 0.707107), 1 / (0.282095 * Math.SQRT2))), 1), 0.5),
  leaky_relu: (x: Tensor) => where(less(0, x), x, mul(x, 0.01)),
  linear: (x: Tensor) => x,
  mish: (x: Tensor) => mul(x, tanh(softplus(x))),
  quick_gelu: (x: Tensor) => mul(x, sigmoid(mul(x, 1.702))),
  relu,
  relu2: (x: Tensor) => mul(relu(x), relu(x)),
  relu6: (x: Tensor) => minimum(relu(x), 6),
  sigmoid,
  silu,
  swish: silu,
  tanh,
};

/** A name in {@link activations}. */
export type ActivationName = keyof typeof activations;

/** Every name in {@link activations}. */
export const activationNames = Object.keys(activations) as readonly ActivationName[];
