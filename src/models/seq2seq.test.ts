import { describe, expect, test } from "vitest";
import { numbersOf } from "../../test/support/run-graph.js";
import { againstTorch, rowOf } from "../../test/support/torch-recording.js";
import { learnRows } from "../../test/support/train-rows.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { parametersOf, parameterTree } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { withObserver } from "../core/trace.js";
import { type Context, sequenceContext } from "../nn/context.js";
import { concat, slice } from "../ops/shape.js";
import { describeModel } from "../pretrained/load-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { headObjective } from "../train/head-objective.js";
import { taskLoss } from "../train/task-loss.js";
import type { EncoderDecoderHalves } from "./model.js";
import { seq2seq } from "./seq2seq.js";

const config = {
  model_type: "seq2seq",
  vocab_size: 9,
  embedding_size: 4,
  hidden_size: 5,
  attention_size: 3,
  maxout_size: 2,
  decoder_start_token_id: 1,
};
type Halves = (params: unknown) => EncoderDecoderHalves;

const source = {
  ids: hostTensor([3, 1, 4, 5, 2, 6, 0, 0], [2, 4], "int64"),
  mask: hostTensor([1, 1, 1, 1, 1, 1, 0, 0], [2, 4], "int64"),
};
const target = hostTensor([1, 5, 6, 1, 8, 2], [2, 3], "int64");

test("PyTorch's numbers, of sources with and without padding, and the attention as an observer sees it", async () => {
  const { module } = describeModel(config, "config.json");
  const labels = hostTensor([5, 6, 2, 8, 2, 7], [2, 3], "int64");
  const { output, gradient } = await againstTorch("seq2seq", module, { ...source, target, labels }, (params, given) => {
    const { encode, decode } = (module as Halves)(params);
    const seen = new Map<string, Tensor>();
    const look = (path: string, value: Tensor) => {
      seen.set(path, value);
      return value;
    };
    const logits = withObserver(look, () => {
      const memory = encode(given.ids!, sequenceContext({ batch: 2, length: 4, attentionMask: given.mask }));
      return decode(given.target!, memory, sequenceContext({ batch: 2, length: 3, memoryMask: given.mask }));
    });
    const weights = seen.get("decoder.rnn.attention_weights")!;
    expect([...seen.keys()].filter((path) => path.startsWith("decoder.rnn."))).toEqual([
      "decoder.rnn.attention_weights",
    ]);
    return {
      outputs: {
        row0: rowOf(logits, 0),
        row1: rowOf(logits, 1),
        weights0: rowOf(weights, 0),
        weights1: slice(rowOf(weights, 1), 1, 0, 2),
      },
      loss: taskLoss("seq2seq-lm", { logits }, { labels: given.labels! }),
    };
  });
  expect(output).toBeLessThan(1e-5);
  expect(gradient).toBeLessThan(1e-4);
});

/** What `trace` computes with both halves of a model with random weights. */
async function run<O extends string>(
  given: Readonly<Record<string, HostTensor>>,
  trace: (halves: EncoderDecoderHalves, given: Readonly<Record<string, Tensor>>) => Readonly<Record<O, Tensor>>,
  over: object = {},
) {
  const { module } = describeModel({ ...config, ...over }, "config.json");
  const feeds: Record<string, HostTensor> = { ...given, ...Object.fromEntries(initialize(module, 4)) };
  return evaluate(nativeRuntime(), feeds, (x) =>
    trace((module as Halves)(parameterTree(module, (path) => x[path])), x),
  );
}

const close = (a: HostTensor, b: HostTensor) => {
  expect(a.shape).toEqual(b.shape);
  for (const [i, x] of numbersOf(a).entries()) expect(x).toBeCloseTo(numbersOf(b)[i]!, 5);
};

test.each([1, 2])("step by step, from the state before, is the whole target's (%d layers)", async (encoder_layers) => {
  const { whole, steps } = await run(
    { ...source, target },
    ({ encode, decode }, { ids, mask, target }) => {
      const memory = encode(ids!, sequenceContext({ batch: 2, length: 4, attentionMask: mask }));
      let state: Tensor | undefined;
      const logits = [0, 1, 2].map((i) => {
        const ctx: Context = {
          ...sequenceContext({ batch: 2, length: 1, memoryMask: mask }),
          carry(_, { initial }, advance) {
            const [result, after] = advance(state ?? initial!);
            state = after;
            return result;
          },
        };
        return decode(slice(target!, 1, i, i + 1), memory, ctx);
      });
      const whole = decode(target!, memory, sequenceContext({ batch: 2, length: 3, memoryMask: mask }));
      return { whole, steps: concat(logits, 1) };
    },
    { encoder_layers },
  );
  expect(whole.shape).toEqual([2, 3, 9]);
  close(steps, whole);
});

test("a source's padding changes nothing, on either side", async () => {
  const given = {
    alone: hostTensor([2, 6], [1, 2], "int64"),
    right: hostTensor([2, 6, 0], [1, 3], "int64"),
    left: hostTensor([7, 2, 6], [1, 3], "int64"),
    rightMask: hostTensor([1, 1, 0], [1, 3], "int64"),
    leftMask: hostTensor([0, 1, 1], [1, 3], "int64"),
    target: hostTensor([1, 5, 6], [1, 3], "int64"),
  };
  const y = await run(given, ({ encode, decode }, x) => {
    const translate = (ids: Tensor, mask?: Tensor) => {
      const memory = encode(ids, sequenceContext({ batch: 1, length: ids.shape[1]!, attentionMask: mask }));
      return decode(x.target!, memory, sequenceContext({ batch: 1, length: 3, memoryMask: mask }));
    };
    return {
      expected: translate(x.alone!),
      onTheRight: translate(x.right!, x.rightMask),
      onTheLeft: translate(x.left!, x.leftMask),
    };
  });
  close(y.onTheRight, y.expected);
  close(y.onTheLeft, y.expected);
});

test("two sentences are learnt, by every parameter", async () => {
  const sources = [
    [3, 4, 5, 6],
    [6, 5, 4, 0],
  ];
  const { losses, unmoved } = await learnRows(
    { ...config, hidden_size: 8, maxout_size: 6, dropout: 0.05, encoder_layers: 2 },
    {
      input_ids: sources.flat(),
      attention_mask: sources.flat().map((id) => (id === 0 ? 0 : 1)),
      decoder_input_ids: [1, 7, 8, 1, 8, 7],
      labels: [7, 8, 2, 8, 7, -100],
    },
    () => headObjective({ task: "seq2seq-lm", length: 4, targetLength: 3 }),
    { rows: 2, steps: 100 },
  );
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.3);
  expect(unmoved).toEqual([]);
});

test("the parameters", () => {
  const { module } = describeModel(config, "config.json");
  const cell = (names: readonly string[], input: number) =>
    names.flatMap((at) => [`weight_ih${at} 15×${input}`, `weight_hh${at} 15×5`, `bias_ih${at} 15`, `bias_hh${at} 15`]);
  expect([...parametersOf(module)].map(([name, { shape }]) => `${name} ${shape.join("×")}`)).toEqual([
    "encoder.embedding.weight 9×4",
    ...cell(["_l0", "_l0_reverse"], 4).map((name) => `encoder.rnn.${name}`),
    "decoder.embedding.weight 9×4",
    "decoder.initial.weight 5×5",
    "decoder.initial.bias 5",
    ...cell([""], 14).map((name) => `decoder.rnn.${name}`),
    "decoder.rnn.attention.Wq.weight 3×5",
    "decoder.rnn.attention.Wk.weight 3×10",
    "decoder.rnn.attention.v.weight 1×3",
    "decoder.maxout.weight 4×19",
    "decoder.maxout.bias 4",
    "decoder.head.weight 9×2",
    "decoder.head.bias 9",
  ]);
});

test("a fresh model's config.json describes it", () => {
  const raw = seq2seq.fresh({ vocabSize: 50, contextLength: 16, layers: 2, heads: 4, d: 8, dropout: 0.1 });
  const model = describeModel({ ...raw, model_type: "seq2seq", bos_token_id: 3, pad_token_id: 0 }, "config.json");
  expect(model.warnings).toEqual([]);
  expect(model.facts).toMatchObject({ vocabSize: 50, decoderStart: 3, padding: 0 });
});

describe("configurations that are refused", () => {
  test.each([
    [{ hidden_size: 0 }, "hidden_size must be a whole number ≥ 1, got 0"],
    [{ dropout: 1 }, "dropout must be a number ≥ 0 and ≤ 0.999, got 1"],
    [{ vocab_size: undefined }, "vocab_size is missing"],
  ])("%j", (over, message) => {
    expect(() => describeModel({ ...config, ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});
