import * as ops from "../../../src/ops/index.js";
import type { Check } from "../check.js";
import * as oracle from "../oracle.js";
import { unary } from "./elementwise.js";

export const activation = {
  tanh: unary(ops.tanh, Math.tanh, "torch.tanh(x)"),
  sigmoid: unary(ops.sigmoid, oracle.sigmoid, "torch.sigmoid(x)", -6, 6),
  relu: unary(ops.relu, (x) => Math.max(x, 0), "torch.relu(x)"),
  silu: unary(ops.silu, (x) => x * oracle.sigmoid(x), "F.silu(x)", -6, 6),
  gelu: {
    ...unary(ops.gelu, oracle.gelu, "F.gelu(x)", -4, 4),
    ...Object.fromEntries(
      Object.entries(unary((x) => ops.gelu(x, "tanh"), oracle.geluTanh, 'F.gelu(x, approximate="tanh")', -4, 4)).map(
        ([name, one]) => [`tanh ${name}`, one],
      ),
    ),
  },
} satisfies Readonly<Record<string, Check>>;
