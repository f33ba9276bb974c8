import { hostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { input } from "../../src/core/tensor.js";
import { sequenceContext } from "../../src/nn/context.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { numbersOf } from "./run-graph.js";
import { tinyModel } from "./tiny-model.js";

/** An encoder with random weights, over rows of any length. */
export interface TinyEncoder extends Disposable {
  /**
   * Its outputs by name.
   *
   * @param mask 1 for tokens, 0 for padding. Default all tokens
   * @param segments default all of the first
   */
  run(
    ids: readonly (readonly number[])[],
    mask?: readonly (readonly number[])[],
    segments?: readonly (readonly number[])[],
  ): Promise<Readonly<Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>>>;
}

/** Compiles the model of a configuration once, for every number of rows and every length. */
export async function openEncoder(config: Readonly<Record<string, unknown>>): Promise<TinyEncoder> {
  const { module, weights } = tinyModel(config);
  const [ids, mask, segments] = ["ids", "mask", "segments"].map((name) => input(name, ["b", "t"], "int64"));
  const parameters = [...parametersOf(module)].map(([path, { shape }]) => input(path, shape));
  const tree = parameterTree(module, (path) => parameters.find((p) => p.name === path));
  const outputs = module(
    tree,
    ids!,
    sequenceContext({ batch: "b", length: "t", attentionMask: mask, segments }),
  ) as Readonly<Record<string, typeof ids>>;
  const session = await compileGraph(
    nativeRuntime(),
    { inputs: [ids!, mask!, segments!, ...parameters], outputs: Object.values(outputs).map((y) => y!) },
    { outputNames: Object.keys(outputs) },
  );
  return {
    async run(rows, masks = rows.map((row) => row.map(() => 1)), parts = rows.map((row) => row.map(() => 0))) {
      const shape = [rows.length, rows[0]!.length];
      const [ids, mask, segments] = [rows, masks, parts].map((table) => hostTensor(table.flat(), shape, "int64"));
      const results = await session.run({
        ...Object.fromEntries(weights),
        ids: ids!,
        mask: mask!,
        segments: segments!,
      });
      return Object.fromEntries(
        Object.entries(results).map(([name, y]) => [name, { shape: y.shape, values: numbersOf(y) }]),
      );
    },
    [Symbol.dispose]: () => session.dispose(),
  };
}
