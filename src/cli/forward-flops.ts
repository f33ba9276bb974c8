import { topologicalOrder } from "../core/graph.js";
import { parameterTree } from "../core/module.js";
import { input, Tensor } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import type { CausalLm, Encoder, EncoderDecoder } from "../models/model.js";
import { sequenceContext } from "../nn/context.js";
import { flops } from "../transforms/flops.js";

/**
 * Multiplications and additions of a model's matrix products over a batch, counted as the field does (Chowdhery et al. 2022, appendix B):
 * causal attention over the full square, although half of it is masked and part of that is never computed.
 */
export function forwardFlops(module: CausalLm | Encoder, batch: number, length: number): number {
  const outputs = traced(() =>
    module(parametersIn(module), tokens("ids", batch, length), sequenceContext({ batch, length })),
  );
  return flopsOf(outputs instanceof Tensor ? [outputs] : Object.values(outputs));
}

/**
 * The same of an encoder-decoder: what the sources alone decide, with the keys and values that the decoder makes of them once, and what is
 * done for the targets.
 */
export function encoderDecoderFlops(
  module: EncoderDecoder,
  batch: number,
  { source, target }: { readonly source: number; readonly target: number },
): { readonly source: number; readonly target: number } {
  const written = tokens("target", batch, target);
  const logits = traced(() => {
    const { encode, decode } = module(parametersIn(module));
    const memory = encode(tokens("source", batch, source), sequenceContext({ batch, length: source }));
    return decode(written, memory, sequenceContext({ batch, length: target }));
  });
  const ofTargets = new Set([written]);
  const boundary: Tensor[] = []; // what the targets' part gets from the sources' part
  for (const { inputs, outputs } of topologicalOrder([logits])) {
    if (!inputs.some((x) => ofTargets.has(x))) continue;
    for (const x of outputs) ofTargets.add(x);
    boundary.push(...inputs.filter((x) => !ofTargets.has(x)));
  }
  const read = flopsOf(boundary);
  return { source: read, target: flopsOf([logits]) - read };
}

const traced = <R>(trace: () => R): R => withObserver((_, value) => value, trace); // looked at, attention is computed whole

const parametersIn = (module: CausalLm | Encoder | EncoderDecoder) =>
  parameterTree(module, (path, { shape }) => input(path, shape));

const tokens = (name: string, batch: number, length: number) => input(name, [batch, length], "int64");

const flopsOf = (outputs: readonly Tensor[]) => Number(flops({ inputs: [], outputs }));
