import { join } from "node:path";
import type { HostTensor } from "../../src/core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../../src/core/module.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { openSafetensors } from "../../src/hub/safetensors.js";
import { add, mul } from "../../src/ops/elementwise.js";
import { mean } from "../../src/ops/reduce.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { grad } from "../../src/transforms/grad.js";
import { type Comparison, compare, type Golden } from "./golden.js";

/** A block of a recorded case: its module, and how its recorded outputs come from its recorded inputs. */
export interface Block {
  readonly module: AnyModule;
  forward(params: never, inputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>>;
}

/**
 * Runs a plain torch module's case: outputs, the loss (the sum over the outputs of mean(output²)) and every gradient. The names of
 * the parameters must be those of the state dict.
 */
export async function runBlockCase(golden: Golden, { module, forward }: Block): Promise<readonly Comparison[]> {
  using file = openSafetensors(join(golden.dir, "model.safetensors"));
  const feeds: Record<string, HostTensor> = {};
  const params = [...parametersOf(module)].map(([path, { shape }]) => {
    feeds[path] = file.read(path);
    return input(path, shape);
  });
  const extra = [...file.tensors.keys()].filter((name) => !params.some((p) => p.name === name));
  if (extra.length > 0) throw new Error(`${golden.name}: the block lacks ${extra.join(", ")}`);
  const given: Record<string, Tensor> = {};
  for (const [name, tensor] of golden.tensors)
    if (name.startsWith("in.")) {
      feeds[name] = tensor;
      given[name.slice(3)] = input(name, tensor.shape, tensor.dtype);
    }
  const tree = parameterTree(module, (path) => params.find((p) => p.name === path));
  const results = forward(tree as never, given);
  const recorded = Object.entries(results).filter(([name]) => golden.tensors.has(`out.${name}`));
  const loss = recorded.map(([, y]) => mean(mul(y, y))).reduce(add);
  const outputs = new Map<string, Tensor>(recorded.map(([name, y]) => [`out.${name}`, y]));
  outputs.set("out.loss", loss);
  for (const [i, g] of grad(loss, params).entries()) outputs.set(`grad.${params[i]!.name}`, g);
  const graph = { inputs: [...Object.values(given), ...params], outputs: [...outputs.values()] };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: [...outputs.keys()] });
  const values = await session.run(feeds);
  return [...golden.tensors]
    .filter(([name]) => /^(out|grad)\./.test(name))
    .map(([name, expected]) =>
      compare(
        name,
        name.startsWith("grad.") ? "gradient" : "forward",
        values[name] ?? { ...expected, data: new Float32Array(0) },
        expected,
      ),
    );
}
