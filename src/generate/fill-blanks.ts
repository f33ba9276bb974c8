import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import { sequenceContext } from "../nn/context.js";
import { slice } from "../ops/shape.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { compileGraph } from "../runtime/compile.js";
import type { Runtime } from "../runtime/session.js";
import { chain, type LogitsProcessor } from "./logits-processors.js";
import { argmax, sampler } from "./sampling.js";

/** How blanks are filled. */
export interface FillBlanksOptions {
  /** The tokens that stand for a blank. */
  readonly blanks: readonly number[];
  /** Token that a blank's content begins with, and the one that ends it. */
  readonly start: number;
  readonly stop: number;
  /** Most tokens of a blank. Default 64. */
  readonly maxNewTokens?: number;
  /** Applied to the logits one after the other, such as {@link temperature} and {@link topP}; they see the content so far. Default none. */
  readonly processors?: readonly LogitsProcessor[];
  /** Draws tokens, equal seeds equal ones. Default: takes the most probable. */
  readonly seed?: number | undefined;
  readonly runtime?: Runtime;
  readonly signal?: AbortSignal;
}

/** A filled text. */
export interface FilledBlanks {
  /** The text with the contents in place of the blanks. */
  readonly ids: readonly number[];
  /** What each blank was filled with, from left to right. */
  readonly contents: readonly (readonly number[])[];
}

/**
 * Fills the blanks of a text, from left to right, each with what the model writes after the text and the contents so far: GLM's
 * autoregressive blank infilling. Du et al. 2022, section 2.1. The whole row is read anew for each token, for Part A sees in both directions.
 *
 * @throws TesseraError `argument` for a text without blanks or longer than the model sees, `unsupported` for a model of another task
 */
export async function fillBlanks(
  model: LanguageModel,
  ids: readonly number[],
  options: FillBlanksOptions,
): Promise<FilledBlanks> {
  const { blanks, start, stop, maxNewTokens = 64, processors = [], seed, signal } = options;
  if (model.task !== "blank-infilling")
    throw new TesseraError("unsupported", `fillBlanks: the model's task is ${model.task} (blank-infilling expected)`);
  const places = ids.flatMap((id, i) => (blanks.includes(id) ? [i] : []));
  if (places.length === 0) throw new TesseraError("argument", "fillBlanks: there is no blank in the text");
  const most = model.facts.contextLength ?? Number.POSITIVE_INFINITY;
  if (ids.length + 2 > most)
    throw new TesseraError(
      "argument",
      `fillBlanks: the text leaves no room for an answer, ${ids.length} tokens of ${most}`,
    );
  const runtime = options.runtime ?? (await import("../runtime/native.js")).nativeRuntime();
  using session = await compileGraph(runtime, forward(model), {
    outputNames: ["logits"],
    weights: Object.fromEntries(model.weights),
  });
  const choose = seed === undefined ? argmax : sampler(seed);
  const process = chain(processors);
  const row = { ids: [...ids], positions: ids.map((_, i) => i), blockPositions: ids.map(() => 0) };
  const contents: number[][] = [];
  for (const place of places) {
    const content: number[] = [];
    let next = start;
    while (row.ids.length < most) {
      signal?.throwIfAborted();
      row.ids.push(next);
      row.positions.push(place);
      row.blockPositions.push(content.length + 1);
      if (content.length === maxNewTokens) break; // its last token is there for the blanks that follow
      const { logits } = await session.run(feedsOf(row, ids.length), signal ? { signal } : {});
      const scores = logits!.data as Float32Array;
      process(scores, content);
      next = choose(scores);
      if (next === stop) break;
      content.push(next);
    }
    contents.push(content);
  }
  let blank = 0;
  return { ids: ids.flatMap((id, i) => (places.includes(i) ? contents[blank++]! : [id])), contents };
}

/** The graph of a whole row, which scores its last token. */
function forward({ module }: LanguageModel) {
  const parameters = new Map([...parametersOf(module)].map(([path, { shape }]) => [path, input(path, shape)]));
  const named = (name: string, shape: readonly (string | number)[]) => input(name, shape, "int64");
  const row = {
    ids: named("ids", [1, "t"]),
    positions: named("positions", [1, "t"]),
    block_positions: named("block_positions", [1, "t"]),
    prefix_length: named("prefix_length", [1]),
  };
  const context = sequenceContext({
    batch: 1,
    length: "t",
    positions: row.positions,
    blockPositions: row.block_positions,
    prefixLength: row.prefix_length,
  });
  const last = (x: Tensor) => slice(x, 1, -1, x.shape[1]!);
  const { logits } = module(
    parameterTree(module, (path) => parameters.get(path)),
    row.ids,
    { ...context, scored: last },
  );
  return { inputs: [...Object.values(row), ...parameters.values()], outputs: [logits as Tensor] };
}

function feedsOf(
  { ids, positions, blockPositions }: Readonly<Record<"ids" | "positions" | "blockPositions", readonly number[]>>,
  prefix: number,
): Readonly<Record<string, HostTensor>> {
  const row = (values: readonly number[]): HostTensor => ({
    dtype: "int64",
    shape: [1, values.length],
    data: BigInt64Array.from(values, BigInt),
  });
  return {
    ids: row(ids),
    positions: row(positions),
    block_positions: row(blockPositions),
    prefix_length: { dtype: "int64", shape: [1], data: BigInt64Array.of(BigInt(prefix)) },
  };
}
