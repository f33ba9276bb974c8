import { type HostTensor, zeroTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../core/module.js";
import { type Aval, input } from "../core/tensor.js";
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
  /**
   * Mean loss over all that counts in a set, in nats; `e` to that power is the perplexity. NaN for an empty set.
   *
   * @param see takes what the objective yields for metrics, of `count` examples from number `first` on
   */
  evaluate(
    set: EvaluationSet,
    see?: (first: number, count: number, outputs: Readonly<Record<string, HostTensor>>) => void,
  ): Promise<number>;
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
  const {
    loss,
    count,
    outputs: seen = {},
  } = objective.loss(
    module,
    parameterTree(module, (path) => params.get(path)),
    batch,
    contexts(),
  );
  const graph = {
    inputs: [...params.values(), ...Object.values(batch)],
    outputs: [mul(loss, count), count, ...Object.values(seen)],
  };
  const outputNames = ["loss_sum", "count", ...Object.keys(seen)];
  const session = await compileGraph(runtime, graph, { outputNames, ...(threads === undefined ? {} : { threads }) });

  const hosts = (all: Readonly<Record<string, Aval>>) =>
    Object.fromEntries(Object.entries(all).map(([name, aval]) => [name, zeroTensor(aval)]));
  const feeds = hosts(avals);
  const scalar: Aval = { dtype: "float32", shape: [] };
  const results = hosts({ loss_sum: scalar, count: scalar, ...seen });
  const binding = session.bind({ ...Object.fromEntries(weights), ...feeds }, results);
  return {
    async evaluate(set, see) {
      let total = 0;
      let counted = 0;
      for (let start = 0; start < set.size; start += rows) {
        // The last batch is filled up with rows in which nothing counts.
        for (let row = 0; row < rows; row++) {
          if (start + row < set.size) set.write(start + row, feeds, row);
          else objective.leaveOut(feeds, row);
        }
        await binding.run();
        see?.(start, Math.min(rows, set.size - start), results);
        total += Number(results.loss_sum!.data[0]);
        counted += Number(results.count!.data[0]);
      }
      return total / counted;
    },
    [Symbol.dispose]() {
      binding.dispose();
      session.dispose();
    },
  };
}
