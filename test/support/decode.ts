import { hostTensor } from "../../src/core/host-tensor.js";
import { initialize } from "../../src/core/initialize.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { randomStream } from "../../src/core/random-stream.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { compileModel, type GenerationModel } from "../../src/generate/compile-model.js";
import { type Completion, generate } from "../../src/generate/generate.js";
import type { GenerationOptions } from "../../src/generate/generation-options.js";
import type { EncoderDecoderHalves } from "../../src/models/model.js";
import { type Context, sequenceContext } from "../../src/nn/context.js";
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

/**
 * Eight texts of mixed lengths are continued together from the cache, and each is computed whole at every step.
 *
 * @param steps tokens that each text gets after its prompt, or after the token that its target starts with
 * @returns the largest difference of two logits, relative to the largest logit, and how many positions were compared
 */
export async function cachedAgainstWhole(
  model: GenerationModel,
  steps = 6,
): Promise<{ difference: number; positions: number }> {
  using whole = await wholeModel(model);
  using compiled = await compileModel(model);
  const prompts = mixedPrompts(model);
  const random = randomStream(8, "texts");
  const targets = model.task === "seq2seq-lm";
  const texts = prompts.map((prompt) => (targets ? [model.facts.decoderStart ?? 0] : [...prompt]));
  using decoder = compiled.decoder({ batch: prompts.length, capacity: 1 });
  let [difference, positions] = [0, 0];
  const check = async (row: number, logits: Float32Array) => {
    const text = texts[row]!.slice(0, decoder.length(row));
    const expected = (await whole.logits(text, targets ? prompts[row] : undefined)).at(-1)!;
    const largest = Math.max(...expected.map(Math.abs));
    difference = Math.max(difference, ...expected.map((x, v) => Math.abs(x - logits[v]!) / largest));
    positions++;
  };
  for (const [row, prompt] of prompts.entries()) {
    if (targets) await decoder.read(row, prompt);
    await check(row, await decoder.append(row, texts[row]!));
  }
  for (let step = 0; step < steps; step++) {
    const fits = texts.map(({ length }) => length < (model.facts.contextLength ?? Number.POSITIVE_INFINITY));
    for (const [row, text] of texts.entries()) if (fits[row]) text.push(random.below(model.facts.vocabSize));
    const logits = await decoder.step(texts.map((text, row) => (fits[row] ? text.at(-1) : undefined)));
    for (const row of texts.keys()) if (fits[row]) await check(row, logits[row]!);
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
