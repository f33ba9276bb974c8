import { expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { hostTensor } from "../core/host-tensor.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { type ActivationName, activations } from "./activations.js";

const at = [-3, -0.5, 0, 1, 12];
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

// Of torch's F.gelu.
const gelu = [-0.00404969409489031, -0.15426876936299344, 0, 0.8413447460685429, 12];
const geluTanh = [-0.00363739, -0.15428599, 0, 0.84119199, 12];

test.each<[ActivationName, readonly number[]]>([
  ["gelu", gelu],
  ["gelu_python", gelu],
  ["gelu_new", geluTanh],
  ["gelu_fast", geluTanh],
  ["gelu_accurate", geluTanh],
  ["gelu_python_tanh", geluTanh],
  ["gelu_pytorch_tanh", geluTanh],
  ["gelu_10", [...gelu.slice(0, 4), 10]],
  ["quick_gelu", at.map((x) => x * sigmoid(1.702 * x))],
  ["relu", [0, 0, 0, 1, 12]],
  ["relu2", [0, 0, 0, 1, 144]],
  ["relu6", [0, 0, 0, 1, 6]],
  ["silu", at.map((x) => x * sigmoid(x))],
  ["swish", at.map((x) => x * sigmoid(x))],
  ["leaky_relu", [-0.03, -0.005, 0, 1, 12]],
  // Of torch's F.mish and F.hardswish, and of the formula in torch.
  ["mish", [-0.14564747, -0.22074376, 0, 0.86509836, 12]],
  ["hardswish", [0, -0.20833333, 0, 0.66666669, 12]],
  ["laplace", [0, 9.387732e-6, 0.00609446, 0.85042965, 1]],
  ["tanh", at.map(Math.tanh)],
  ["sigmoid", at.map(sigmoid)],
  ["linear", at],
])("%s", async (name, expected) => {
  const { y } = await evaluate(nativeRuntime(), { x: hostTensor(at, [5]) }, ({ x }) => ({ y: activations[name](x) }));
  for (const [i, value] of numbersOf(y).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
});
