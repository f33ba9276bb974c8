import { TesseraError } from "../core/errors.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { input, type Tensor } from "../core/tensor.js";
import { type Context, sequenceContext } from "../nn/context.js";
import { full } from "../ops/constant.js";
import { pad, transpose } from "../ops/shape.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import type { RunOptions, Runtime } from "../runtime/session.js";
import { allocateState, copySlots, type State } from "./decoder-state.js";
import { type DecodingTrace, decodingContext } from "./decoding-context.js";
import { modelGraphs } from "./model-graphs.js";

/** Where a token of a blank's content stands. */
export interface BlankPlace {
  /** Place of the blank in the text. */
  readonly position: number;
  /** 1, 2, … within the blank. */
  readonly blockPosition: number;
}

/** A text whose blanks are filled token by token; keys and values of all that came before are kept. Dispose it after use. */
export interface BlankDecoder extends Disposable {
  /** Adds a token of a blank's content. @returns logits of the token after it, `[v]`, which the next call overwrites */
  step(id: number, place: BlankPlace, options?: RunOptions): Promise<Float32Array>;
}

/**
 * Reads a text with blanks, which sees itself in both directions, in one run; each token of the contents is then a run of its own.
 *
 * @param capacity most tokens of the contents
 * @throws TesseraError `unsupported` for a model that remembers anything but keys and values; `aborted`
 */
export async function openBlankDecoder(
  model: Pick<LanguageModel, "module" | "weights" | "facts">,
  ids: readonly number[],
  capacity: number,
  runtime: Runtime,
  options: RunOptions = {},
): Promise<BlankDecoder> {
  const { parameters, compile } = modelGraphs(model, runtime);
  const forward = (row: Tensor, context: Context): Tensor => model.module(parameters, row, context).logits;
  const trace = decodingContext(1, 1);
  const [id, block] = [input("ids", [1, 1], "int64"), input("block_positions", [1, 1], "int64")];
  const logits = forward(id, { ...trace.context, blockPositions: block });
  const states = trace.states.map(({ name, kind, before: { dtype, shape } }) => {
    if (kind !== "append")
      throw new TesseraError(
        "unsupported",
        `${name}: only keys and values can be kept of a text that is seen both ways`,
      );
    return allocateState({ name, kind, dtype, shape, initial: undefined }, 1, ids.length + capacity);
  });
  {
    const text = readingGraph(forward, trace);
    using reading = await compile([text.ids], text.kept);
    fill(states, await reading.run({ ids: hostTensor(ids, [1, ids.length], "int64") }, options), ids.length);
  }

  const session = await compile(
    [id, block, trace.positions, trace.last, trace.slots, ...trace.states.map(({ before }) => before)],
    { logits, ...Object.fromEntries(trace.states.map(({ name, after }) => [`${name}.after`, after])) },
  );
  const numbers = { ids: new BigInt64Array(1), positions: new BigInt64Array(1), block_positions: new BigInt64Array(1) };
  const [last, scores] = [Int32Array.of(ids.length - 1), new Float32Array(model.facts.vocabSize)];
  const memory = (role: "before" | "after") =>
    states.map(
      (state) => [`${state.name}.${role}`, { dtype: state.dtype, shape: state.shape, data: state[role] }] as const,
    );
  const binding = session.bind(
    {
      ...Object.fromEntries(
        Object.entries(numbers).map(([name, data]) => [name, { dtype: "int64", shape: [1, 1], data }] as const),
      ),
      last: { dtype: "int32", shape: [1], data: last },
      slots: { dtype: "int32", shape: [], data: Int32Array.of(ids.length + capacity) },
      ...Object.fromEntries(memory("before")),
    },
    {
      logits: { dtype: "float32", shape: [1, 1, scores.length], data: scores },
      ...Object.fromEntries(memory("after")),
    },
  );
  return {
    async step(token, { position, blockPosition }, runOptions) {
      last[0]! += 1;
      numbers.ids[0] = BigInt(token);
      numbers.positions[0] = BigInt(position);
      numbers.block_positions[0] = BigInt(blockPosition);
      await binding.run(runOptions);
      return scores;
    },
    [Symbol.dispose]: () => session.dispose(),
  };
}

/** The graph of a whole text, and the keys and values in it as they are kept: `[1, g, t, d]`, by the names of the states. */
function readingGraph(forward: (ids: Tensor, context: Context) => Tensor, { states }: DecodingTrace) {
  const ids = input("ids", [1, "t"], "int64");
  const context = sequenceContext({ batch: 1, length: "t", blockPositions: full([1, "t"], 0, "int64") });
  const seen: Tensor[] = []; // in the order of the states, which come out of the same forward
  const attend: Context["attend"] = (q, k, v, options) => {
    seen.push(k, v);
    return context.attend(q, k, v, { ...options, mask: "none" });
  };
  forward(ids, { ...context, attend });
  const kept = states.map(({ name, before }, i) => {
    const wide = pad(seen[i]!, 3, 0, Number(before.shape[3]) - Number(seen[i]!.shape[3]));
    return [name, transpose(wide, [0, 2, 1, 3])] as const;
  });
  return { ids, kept: Object.fromEntries(kept) };
}

/** Takes over what was computed of the first `length` tokens. */
function fill(states: readonly State[], computed: Readonly<Record<string, HostTensor>>, length: number): void {
  for (const state of states) {
    const { shape, data } = computed[state.name]!;
    copySlots({ ...state, shape, row: data.length, before: data }, 0, state, 0, length);
  }
}
