import { hostTensor } from "../../src/core/host-tensor.js";
import { initialize } from "../../src/core/initialize.js";
import { parameterTree } from "../../src/core/module.js";
import { input } from "../../src/core/tensor.js";
import { compileModel } from "../../src/generate/compile-model.js";
import { sequenceContext } from "../../src/nn/context.js";
import { describeModel } from "../../src/pretrained/load-model.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";

/**
 * A model with random weights over rows of tokens of one length, in two ways.
 *
 * @param prompts how many tokens of each row are given at once; the others follow one by one, in all rows together
 * @returns for each row and position the logits, of the whole rows at once and of cached decoding (undefined within the prompt)
 */
export async function decodeBothWays(
  config: Readonly<Record<string, unknown>>,
  rows: readonly (readonly number[])[],
  prompts: readonly number[],
): Promise<{ whole: number[][][]; cached: (number[] | undefined)[][] }> {
  const model = describeModel(config, "config.json");
  const weights = initialize(model.module, 1);
  const { vocabSize } = model.facts;
  const length = rows[0]!.length;

  const ids = input("ids", [rows.length, length], "int64");
  const parameters = [...weights].map(([path, { shape }]) => input(path, shape));
  const tree = parameterTree(model.module, (path) => parameters.find((p) => p.name === path));
  const logits = model.module(tree, ids, sequenceContext({ batch: rows.length, length }));
  using session = await compileGraph(
    nativeRuntime(),
    { inputs: [ids, ...parameters], outputs: [logits] },
    { outputNames: ["logits"] },
  );
  const results = await session.run({
    ids: hostTensor(rows.flat(), [rows.length, length], "int64"),
    ...Object.fromEntries(weights),
  });
  const flat = Array.from(results.logits!.data as Float32Array);
  const whole = rows.map((row, r) =>
    row.map((_, i) => flat.slice((r * length + i) * vocabSize, (r * length + i + 1) * vocabSize)),
  );

  using compiled = await compileModel({ ...model, weights, generation: {} });
  using decoder = compiled.decoder({ batch: rows.length });
  const cached: (number[] | undefined)[][] = rows.map((row) => row.map(() => undefined));
  for (const [r, count] of prompts.entries())
    cached[r]![count - 1] = [...(await decoder.append(r, rows[r]!.slice(0, count)))];
  while (rows.some((_, r) => decoder.length(r) < length)) {
    const next = rows.map((row, r) => row[decoder.length(r)]);
    const step = await decoder.step(next);
    for (const [r, id] of next.entries()) if (id !== undefined) cached[r]![decoder.length(r) - 1] = [...step[r]!];
  }
  return { whole, cached };
}

/** The largest difference between the two ways, over all positions that both have. */
export function largestDifference({ whole, cached }: Awaited<ReturnType<typeof decodeBothWays>>): number {
  const differences = cached.flatMap((row, r) =>
    row.flatMap((logits, i) => logits?.map((x, v) => Math.abs(x - whole[r]![i]![v]!)) ?? []),
  );
  return Math.max(0, ...differences);
}
