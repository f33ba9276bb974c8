import { hostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { input } from "../../src/core/tensor.js";
import type { GenerationModel } from "../../src/generate/compile-model.js";
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

/** The largest difference of two logits, relative to the largest logit. */
export function largestDifference(whole: number[][][], other: number[][][]): number {
  const largest = Math.max(...whole.flat(2).map(Math.abs));
  const flat = other.flat(2);
  return Math.max(...whole.flat(2).map((x, i) => Math.abs(x - flat[i]!) / largest));
}
