import { allocate } from "../core/dtype.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../core/module.js";
import { input } from "../core/tensor.js";
import { mul } from "../ops/elementwise.js";
import type { Weights } from "../pretrained/weights.js";
import { compileGraph } from "../runtime/compile.js";
import type { Runtime } from "../runtime/session.js";
import { contexts, type Objective } from "./objective.js";

/** Rows to evaluate on: a fixed list. */
export interface EvaluationSet {
  readonly size: number;
  /** Writes a row of the list into a row of a batch. */
  write(index: number, batch: Readonly<Record<string, HostTensor>>, row: number): void;
}

/** A compiled evaluation. Dispose it after use. */
export interface Evaluator extends Disposable {
  /** Mean loss over all that counts in a set, in nats; `e` to that power is the perplexity. NaN for an empty set. */
  evaluate(set: EvaluationSet): Promise<number>;
}

/**
 * Compiles the objective without dropout. The weights are read where they lie, so it always evaluates their present values.
 *
 * @param options.rows rows at a time
 */
export async function evaluator(
  runtime: Runtime,
  {
    module,
    weights,
    objective,
    rows,
    threads,
  }: { module: AnyModule; weights: Weights; objective: Objective; rows: number; threads?: number },
): Promise<Evaluator> {
  const params = new Map([...parametersOf(module)].map(([path, { shape }]) => [path, input(path, shape)]));
  const avals = objective.batch(rows);
  const batch = Object.fromEntries(
    Object.entries(avals).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]),
  );
  const { loss, count } = objective.loss(
    module,
    parameterTree(module, (path) => params.get(path)),
    batch,
    contexts(),
  );
  const graph = { inputs: [...params.values(), ...Object.values(batch)], outputs: [mul(loss, count), count] };
  const outputNames = ["loss_sum", "count"];
  const session = await compileGraph(runtime, graph, { outputNames, ...(threads === undefined ? {} : { threads }) });

  const feeds = Object.fromEntries(
    Object.entries(avals).map(([name, { dtype, shape }]) => {
      const sizes = shape as readonly number[];
      return [
        name,
        {
          dtype,
          shape: sizes,
          data: allocate(
            dtype,
            sizes.reduce((a, b) => a * b, 1),
          ),
        },
      ];
    }),
  );
  const results = Object.fromEntries(
    outputNames.map((name) => [name, { dtype: "float32" as const, shape: [], data: new Float32Array(1) }]),
  );
  const binding = session.bind({ ...Object.fromEntries(weights), ...feeds }, results);
  return {
    async evaluate(set) {
      let total = 0;
      let counted = 0;
      for (let start = 0; start < set.size; start += rows) {
        // The last batch is filled up with rows in which nothing counts.
        for (let row = 0; row < rows; row++) {
          if (start + row < set.size) set.write(start + row, feeds, row);
          else objective.leaveOut(feeds, row);
        }
        await binding.run();
        total += results.loss_sum!.data[0]!;
        counted += results.count!.data[0]!;
      }
      return total / counted;
    },
    [Symbol.dispose]() {
      binding.dispose();
      session.dispose();
    },
  };
}
