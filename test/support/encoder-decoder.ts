import { hostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { input } from "../../src/core/tensor.js";
import { compileModel, type GenerationModel } from "../../src/generate/compile-model.js";
import type { EncoderDecoderHalves } from "../../src/models/model.js";
import { sequenceContext } from "../../src/nn/context.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";

type Rows = readonly (readonly number[])[];

/** Logits `[b][t][v]` of whole targets of one length, given sources of different lengths that `padding` fills up. */
export async function wholeTargets(
  { module, weights, facts }: GenerationModel,
  sources: Rows,
  targets: Rows,
  padding = 0,
): Promise<number[][][]> {
  const [batch, length, longest] = [sources.length, targets[0]!.length, Math.max(...sources.map((s) => s.length))];
  const at = (ids: Rows) => ids.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(padding)]);
  const source = input("source", [batch, longest], "int64");
  const mask = input("mask", [batch, longest], "int64");
  const target = input("target", [batch, length], "int64");
  const parameters = [...parametersOf(module)].map(([path, { shape }]) => input(path, shape));
  const tree = parameterTree(module, (path) => parameters.find((p) => p.name === path));
  const { encode, decode } = module(tree) as EncoderDecoderHalves;
  const memory = encode(source, sequenceContext({ batch, length: longest, attentionMask: mask }));
  const logits = decode(target, memory, sequenceContext({ batch, length, memoryMask: mask }));
  using session = await compileGraph(
    nativeRuntime(),
    { inputs: [source, mask, target, ...parameters], outputs: [logits] },
    { outputNames: ["logits"] },
  );
  const results = await session.run({
    source: hostTensor(at(sources), [batch, longest], "int64"),
    mask: hostTensor(
      sources.flatMap((row) => Array.from({ length: longest }, (_, i) => Number(i < row.length))),
      [batch, longest],
      "int64",
    ),
    target: hostTensor(targets.flat(), [batch, length], "int64"),
    ...Object.fromEntries(weights),
  });
  const flat = Array.from(results.logits!.data as Float32Array);
  const v = facts.vocabSize;
  return targets.map((_, r) =>
    Array.from({ length }, (_, i) => flat.slice((r * length + i) * v, (r * length + i + 1) * v)),
  );
}

/** The same by cached decoding: `prompts` tokens of each target at once, the others one by one. Undefined within the prompt. */
export async function cachedTargets(
  model: GenerationModel,
  sources: Rows,
  targets: Rows,
  prompts: readonly number[],
): Promise<(number[] | undefined)[][]> {
  using compiled = await compileModel(model);
  using decoder = compiled.decoder({ batch: sources.length, capacity: 2 });
  const logits: (number[] | undefined)[][] = targets.map((row) => row.map(() => undefined));
  for (const [r, source] of sources.entries()) {
    await decoder.read(r, source);
    logits[r]![prompts[r]! - 1] = [...(await decoder.append(r, targets[r]!.slice(0, prompts[r])))];
  }
  while (targets.some((row, r) => decoder.length(r) < row.length)) {
    const next = targets.map((row, r) => row[decoder.length(r)]);
    const step = await decoder.step(next);
    for (const [r, id] of next.entries()) if (id !== undefined) logits[r]![decoder.length(r) - 1] = [...step[r]!];
  }
  return logits;
}

/** The largest difference of two logits that both have, relative to the largest logit; infinite where they have none in common. */
export function largestDifference(whole: number[][][], other: (number[] | undefined)[][]): number {
  const largest = Math.max(...whole.flat(2).map(Math.abs));
  const differences = other.flatMap((row, r) =>
    row.flatMap((logits, i) => logits?.map((x, v) => Math.abs(x - whole[r]![i]![v]!) / largest) ?? []),
  );
  return differences.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...differences);
}
