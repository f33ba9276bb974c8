import type { Tensor } from "../core/tensor.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/activation.js";
import { less, maximum, minimum, mul, where } from "../ops/elementwise.js";

const geluTanh = (x: Tensor) => gelu(x, "tanh");

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
  leaky_relu: (x: Tensor) => where(less(0, x), x, mul(x, 0.01)),
  linear: (x: Tensor) => x,
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
