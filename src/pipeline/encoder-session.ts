import { mulDims } from "../core/dim.js";
import { allocate } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { input, type Tensor } from "../core/tensor.js";
import { sequenceContext } from "../nn/context.js";
import { gather } from "../ops/gather.js";
import { reshape } from "../ops/shape.js";
import { compileGraph } from "../runtime/compile.js";
import type { OpenedModel } from "./open-model.js";

/** A text as an encoder reads it. */
export interface EncoderInput {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
  /** Positions whose values are wanted, for outputs made with {@link EncoderInputs.pick}. */
  readonly picks?: readonly number[];
}

/** What outputs are made of beside the model's answers. */
export interface EncoderInputs {
  /** 1 for tokens, 0 for padding: int64 `[b, t]`. */
  readonly mask: Tensor;
  /** The values of the picked positions: `[b, t, n]` → `[b, picks, n]`. */
  pick(x: Tensor): Tensor;
}

/** An encoder compiled once, for texts of any number and length. */
export interface EncoderSession extends Disposable {
  /**
   * Reads texts, those of like length together.
   *
   * @returns for each text its part of the outputs asked for, without padding: `[b, t, n]` gives `[t, n]`
   */
  run(
    inputs: readonly EncoderInput[],
    outputs: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Readonly<Record<string, HostTensor>>[]>;
}

const MOST_TOKENS = 4096; // of a batch, so that a head over a vocabulary stays within memory

/**
 * Compiles an encoder with what is to be computed of its answers.
 *
 * @param outputs from the model's answers to named tensors with the axis `b` first
 */
export async function openEncoder(
  { model, tokenizer, runtime, threads, batchSize, where }: OpenedModel,
  outputs: (answers: Readonly<Record<string, Tensor>>, inputs: EncoderInputs) => Readonly<Record<string, Tensor>>,
): Promise<EncoderSession> {
  const [ids, mask, segments] = ["input_ids", "attention_mask", "token_type_ids"].map((name) =>
    input(name, ["b", "t"], "int64"),
  ) as [Tensor, Tensor, Tensor];
  const picks = input("picks", ["b", "picks"], "int64");
  const parameters = new Map([...parametersOf(model.module)].map(([path, { shape }]) => [path, input(path, shape)]));
  const ctx = sequenceContext({ batch: "b", length: "t", attentionMask: mask, segments });
  const answers = model.module(
    parameterTree(model.module, (path) => parameters.get(path)),
    ids,
    ctx,
  ) as Readonly<Record<string, Tensor>>;
  const results = outputs(answers, {
    mask,
    pick: (x) => gather(reshape(x, [mulDims("b", "t"), x.shape[2]!]), picks),
  });
  const used = new Set(topologicalOrder(Object.values(results)).flatMap((node) => node.inputs));
  const weights = Object.fromEntries([...model.weights].filter(([path]) => used.has(parameters.get(path)!)));
  const given = [ids, mask, segments, picks].filter((x) => used.has(x));
  const session = await compileGraph(
    runtime,
    {
      inputs: [...given, ...[...parameters.values()].filter((x) => used.has(x))],
      outputs: Object.values(results),
    },
    { ...(threads === undefined ? {} : { threads }), outputNames: Object.keys(results), weights },
  );
  const padding = model.facts.padding ?? tokenizer.specialTokens.pad ?? 0;
  // A model with one type of tokens was trained with a tokenizer that gives none, whatever its file says.
  const types = model.rawConfig.type_vocab_size;
  const oneType = typeof types === "number" && types < 2;

  return {
    async run(inputs, names, signal) {
      const { vocabSize } = model.facts;
      const strange = inputs.flatMap(({ ids }) => ids).find((id) => id >= vocabSize);
      if (strange !== undefined)
        throw new TesseraError(
          "argument",
          `${where}: the tokenizer gives token ${JSON.stringify(tokenizer.tokenOf(strange))} the id ${strange}, the model has ${vocabSize} tokens (${strange} vs ${vocabSize}). They do not belong together`,
        );
      const found: Readonly<Record<string, HostTensor>>[] = new Array(inputs.length);
      for (const batch of batchesOf(inputs, batchSize)) {
        const rows = batch.map((i) => inputs[i]!);
        const length = Math.max(...rows.map((row) => row.ids.length));
        const most = Math.max(...rows.map((row) => row.picks?.length ?? 0));
        const feeds: Record<string, HostTensor> = {
          input_ids: grid(rows, length, (row, k) => row.ids[k] ?? padding),
          attention_mask: grid(rows, length, (row, k) => (k < row.ids.length ? 1 : 0)),
          token_type_ids: grid(rows, length, (row, k) => (oneType ? 0 : (row.typeIds[k] ?? 0))),
          picks: grid(rows, most, (row, k, r) => r * length + (row.picks?.[k] ?? 0)),
        };
        const values = await session.run(Object.fromEntries(given.map(({ name }) => [name, feeds[name]!])), {
          outputs: names,
          ...(signal ? { signal } : {}),
        });
        batch.forEach((i, r) => {
          const { ids, picks } = inputs[i]!;
          const size = (axis: unknown) =>
            axis === "t" ? ids.length : axis === "picks" ? (picks?.length ?? 0) : undefined;
          found[i] = Object.fromEntries(
            names.map((name) => [name, rowOf(values[name]!, r, size(results[name]!.shape[1]))]),
          );
        });
      }
      return found;
    },
    [Symbol.dispose]: () => session.dispose(),
  };
}

/** Indices of texts that are read together: of like length, so that there is little padding. */
function batchesOf(inputs: readonly EncoderInput[], batchSize: number): number[][] {
  const order = inputs.map((_, i) => i).sort((a, b) => inputs[a]!.ids.length - inputs[b]!.ids.length);
  const batches: number[][] = [];
  for (const i of order) {
    const last = batches.at(-1);
    if (last && last.length < batchSize && (last.length + 1) * inputs[i]!.ids.length <= MOST_TOKENS) last.push(i);
    else batches.push([i]);
  }
  return batches;
}

function grid(
  rows: readonly EncoderInput[],
  width: number,
  value: (row: EncoderInput, column: number, index: number) => number,
): HostTensor {
  const values = rows.flatMap((row, r) => Array.from({ length: width }, (_, k) => value(row, k, r)));
  return hostTensor(values, [rows.length, width], "int64");
}

/** A row of `[b, n, ...]`, copied: its first `length` entries where there is a length, else all of it. */
function rowOf({ dtype, shape, data }: HostTensor, row: number, length: number | undefined): HostTensor {
  const inner = length === undefined ? shape.slice(1) : [length, ...shape.slice(2)];
  const [size, count] = [shape.slice(1), inner].map((dims) => dims.reduce((a, b) => a * b, 1)) as [number, number];
  const copy = allocate(dtype, count);
  (copy as Float32Array).set((data as Float32Array).subarray(row * size, row * size + count));
  return { dtype, shape: inner, data: copy };
}
