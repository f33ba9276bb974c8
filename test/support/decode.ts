import { hostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { randomStream } from "../../src/core/random-stream.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { compileModel, type GenerationModel } from "../../src/generate/compile-model.js";
import { type Completion, generate } from "../../src/generate/generate.js";
import type { GenerationOptions } from "../../src/generate/generation-options.js";
import type { EncoderDecoderHalves } from "../../src/models/model.js";
import { type Context, sequenceContext } from "../../src/nn/context.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";

/** A model over whole texts, without a cache. */
export interface WholeModel extends Disposable {
  /** Logits `[t][v]` of a text; an encoder-decoder's is the target of a source. */
  logits(text: readonly number[], source?: readonly number[]): Promise<number[][]>;
}

/** Compiles a model of either generating task for whole texts. */
export async function wholeModel(model: GenerationModel): Promise<WholeModel> {
  const [ids, source] = ["ids", "source"].map((name, i) => input(name, [1, i === 0 ? "t" : "s"], "int64")) as [
    Tensor,
    Tensor,
  ];
  const parameters = [...parametersOf(model.module)].map(([path, { shape }]) => input(path, shape));
  const tree = parameterTree(model.module, (path) => parameters.find((p) => p.name === path));
  const [context, ofSource] = ["t", "s"].map((length) => sequenceContext({ batch: 1, length })) as [Context, Context];
  const forward = () => {
    if (model.task !== "seq2seq-lm") return model.module(tree, ids, context) as Tensor;
    const { encode, decode }: EncoderDecoderHalves = model.module(tree);
    return decode(ids, encode(source, ofSource), context);
  };
  const given = model.task === "seq2seq-lm" ? [ids, source] : [ids];
  const graph = { inputs: [...given, ...parameters], outputs: [forward()] };
  const session = await compileGraph(nativeRuntime(), graph, { outputNames: ["logits"] });
  return {
    async logits(text, from) {
      const { logits } = await session.run({
        ids: hostTensor(text, [1, text.length], "int64"),
        ...(from ? { source: hostTensor(from, [1, from.length], "int64") } : {}),
        ...Object.fromEntries(model.weights),
      });
      const v = logits!.shape[2]!;
      return text.map((_, i) => Array.from((logits!.data as Float32Array).subarray(i * v, (i + 1) * v)));
    },
    [Symbol.dispose]: () => session.dispose(),
  };
}

/** Eight prompts of mixed lengths, as long as the model takes them. */
export function mixedPrompts({ facts, task }: GenerationModel): number[][] {
  const random = randomStream(7, "prompts");
  const most = (task === "seq2seq-lm" ? facts.sourceLength : facts.contextLength) ?? 16;
  return [5, 1, 16, 3, 9, 2, 12, 7].map((length) =>
    Array.from({ length: Math.min(length, most) }, () => random.below(facts.vocabSize)),
  );
}

/** Texts that are decoded from a cache; an encoder-decoder's are targets. */
export interface CachedTexts {
  readonly texts: readonly (readonly number[])[];
  /** How many tokens of each text are given at once; the others follow one by one, in all texts that have some left. */
  readonly prompts: readonly number[];
  /** What an encoder-decoder reads first, for each text. */
  readonly sources?: readonly (readonly number[])[];
}

/**
 * Eight random texts of mixed lengths.
 *
 * @param steps tokens that each has after its prompt, or after the token that its target starts with, as far as the model takes them
 */
export function randomTexts(model: GenerationModel, steps = 6): CachedTexts {
  const { facts, task } = model;
  const random = randomStream(8, "texts");
  const given = mixedPrompts(model);
  const starts = task === "seq2seq-lm" ? given.map(() => [facts.decoderStart ?? 0]) : given;
  const texts = starts.map((start) => {
    const more = Math.min(steps, (facts.contextLength ?? Number.POSITIVE_INFINITY) - start.length);
    return [...start, ...Array.from({ length: more }, () => random.below(facts.vocabSize))];
  });
  return { texts, prompts: starts.map(({ length }) => length), ...(starts === given ? {} : { sources: given }) };
}

/**
 * Texts are decoded together from a cache, and each is computed whole.
 *
 * @returns the largest difference of two logits, relative to the largest logit, and how many positions were compared
 */
export async function cachedAgainstWhole(
  model: GenerationModel,
  { texts, prompts, sources }: CachedTexts = randomTexts(model),
): Promise<{ difference: number; positions: number }> {
  using computed = await wholeModel(model);
  const whole = await Promise.all(texts.map((text, row) => computed.logits(text, sources?.[row])));
  using compiled = await compileModel(model);
  using decoder = compiled.decoder({ batch: texts.length, capacity: 1 });
  let [difference, positions] = [0, 0];
  const check = (row: number, logits: Float32Array) => {
    const expected = whole[row]![decoder.length(row) - 1]!;
    const largest = Math.max(...expected.map(Math.abs));
    difference = Math.max(difference, ...expected.map((x, v) => Math.abs(x - logits[v]!) / largest));
    positions++;
  };
  for (const [row, count] of prompts.entries()) {
    if (sources) await decoder.read(row, sources[row]!);
    check(row, await decoder.append(row, texts[row]!.slice(0, count)));
  }
  while (texts.some((text, row) => decoder.length(row) < text.length)) {
    const next = texts.map((text, row) => text[decoder.length(row)]);
    const logits = await decoder.step(next);
    for (const [row, id] of next.entries()) if (id !== undefined) check(row, logits[row]!);
  }
  return { difference, positions };
}

/**
 * What a model makes of eight prompts of mixed lengths at once, and of each alone: the two are to be equal. With a seed a single prompt
 * is drawn with the seed that its row has.
 */
export async function batchAndSingles(
  model: GenerationModel,
  options: GenerationOptions = { maxNewTokens: 10 },
): Promise<{ batch: readonly Completion[]; singles: readonly Completion[] }> {
  using compiled = await compileModel(model);
  const prompts = mixedPrompts(model);
  const batch = await generate(compiled, prompts, options);
  const singles: Completion[] = [];
  const rows = options.numReturnSequences ?? 1;
  for (const [p, prompt] of prompts.entries()) {
    const seeded = options.seed === undefined ? options : { ...options, seed: options.seed + p * rows };
    singles.push(...(await generate(compiled, [prompt], seeded)));
  }
  return { batch, singles };
}
