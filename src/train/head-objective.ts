import type { HostTensor } from "../core/host-tensor.js";
import type { Aval, Tensor } from "../core/tensor.js";
import type { ProblemType } from "../models/labels.js";
import type { EncoderDecoderHalves, Task } from "../models/model.js";
import { cast, less } from "../ops/elementwise.js";
import { argMax, sum } from "../ops/reduce.js";
import { countLabels, ignored, type Objective } from "./objective.js";
import { taskLoss } from "./task-loss.js";

/** What a head is trained on. */
export interface HeadObjectiveOptions {
  readonly task: Exclude<Task, "causal-lm" | "features">;
  /** Tokens of a row. */
  readonly length: number;
  /** Tokens of a row of the target, of an encoder-decoder. Default `length`. */
  readonly targetLength?: number;
  /** How many labels a classifier of texts tells apart, and which kind they are. */
  readonly labels?: { readonly count: number; readonly problemType: ProblemType };
  /** Of a language model's or translator's loss. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * The objective of a task's head, as transformers' models take it: `input_ids`, `attention_mask` and, but for encoder-decoders,
 * `token_type_ids` int64 `[b, t]` (for blanks `position_ids`, `block_position_ids` and `prefix_length` `[b]`), and the targets of
 * {@link taskLoss}; an encoder-decoder's `decoder_input_ids` and `labels` are `[b, u]`.
 * Where a loss is a sum of several means, rows that are processed apart weigh as many as they are.
 */
export function headObjective({
  task,
  length,
  targetLength = length,
  labels,
  labelSmoothing = 0,
}: HeadObjectiveOptions): Objective {
  const problemType = labels?.problemType ?? "single_label_classification";
  const blanks = task === "blank-infilling";
  const inputs =
    task === "seq2seq-lm"
      ? ["input_ids", "attention_mask"]
      : blanks
        ? ["input_ids", "attention_mask", "position_ids", "block_position_ids"]
        : ["input_ids", "attention_mask", "token_type_ids"];
  const int64 = (rows: number, ...sizes: readonly number[]): Aval => ({ dtype: "int64", shape: [rows, ...sizes] });
  const targetsOf = (rows: number): Readonly<Record<string, Aval>> => {
    switch (task) {
      case "seq2seq-lm":
        return { decoder_input_ids: int64(rows, targetLength), labels: int64(rows, targetLength) };
      case "pre-training":
        return { labels: int64(rows, length), next_sentence_label: int64(rows) };
      case "question-answering":
        return { start_positions: int64(rows), end_positions: int64(rows) };
      case "sequence-classification":
        if (problemType === "single_label_classification") return { labels: int64(rows) };
        return { labels: { dtype: "float32", shape: problemType === "regression" ? [rows] : [rows, labels!.count] } };
      case "blank-infilling":
        return { labels: int64(rows, length), prefix_length: int64(rows) };
      default:
        return { labels: int64(rows, length) };
    }
  };
  const counted = (given: Readonly<Record<string, Tensor>>): Tensor => {
    if (task === "question-answering") return sum(cast(less(given.start_positions!, length), "float32"));
    return countLabels(task === "pre-training" ? given.next_sentence_label! : given.labels!);
  };
  return {
    batch: (rows) => ({
      ...Object.fromEntries(inputs.map((name) => [name, int64(rows, length)])),
      ...targetsOf(rows),
    }),
    loss(module, params, given, context) {
      const {
        input_ids: ids,
        attention_mask: attentionMask,
        token_type_ids: segments,
        decoder_input_ids: target,
      } = given;
      const batch = ids!.shape[0]!;
      const positions = blanks
        ? {
            positions: given.position_ids,
            blockPositions: given.block_position_ids,
            prefixLength: given.prefix_length,
          }
        : { segments };
      const ctx = context({ batch, length, attentionMask, ...positions });
      let outputs: Readonly<Record<string, Tensor>>;
      if (task === "seq2seq-lm") {
        const { encode, decode } = module(params) as EncoderDecoderHalves;
        const memory = encode(ids!, ctx);
        outputs = {
          logits: decode(target!, memory, context({ batch, length: targetLength, memoryMask: attentionMask })),
        };
      } else outputs = module(params, ids!, ctx);
      return {
        loss: taskLoss(task, outputs, given, { problemType, labelSmoothing }),
        count: counted(given),
        outputs: measured(task, outputs),
      };
    },
    leaveOut(batch, row) {
      const fill = ({ shape, data }: HostTensor, value: number) => {
        const width = data.length / (shape[0] as number);
        const filler = data instanceof BigInt64Array ? BigInt(value) : value;
        data.fill(filler as never, row * width, (row + 1) * width);
      };
      for (const [name, tensor] of Object.entries(batch))
        if (/_positions$/.test(name)) fill(tensor, length);
        else if (/^(labels|next_sentence_label)$/.test(name)) fill(tensor, ignored);
    },
  };
}

/** What the metrics of a task are computed from; of a language model which tokens it finds most probable, `predicted: [b, t]`. */
function measured(task: Task, outputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>> {
  return task === "seq2seq-lm" || task === "masked-lm" ? { predicted: argMax(outputs.logits!) } : outputs;
}
