import { TesseraError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import type { ProblemType } from "../models/labels.js";
import type { Task } from "../models/model.js";
import { binaryCrossEntropy, crossEntropy, meanSquaredError } from "../nn/losses.js";
import { add, equal, lessOrEqual, mul, where } from "../ops/elementwise.js";
import { reshape, slice } from "../ops/shape.js";

/** What a task's loss compares with: the tensors that transformers' models take beside their input, under their names. */
export type Targets = Readonly<
  Partial<Record<"labels" | "next_sentence_label" | "start_positions" | "end_positions", Tensor>>
>;

/**
 * The loss that transformers' model of a task returns, scalar, in nats (squares for a regression).
 *
 * @param outputs of the task's head; a language model's are its `logits`
 * @param targets `labels` int64 `[b, t]`, −100 where none counts, of a causal or bidirectional model those of the very tokens; of a sequence classifier
 *   `[b]` (float32 for a regression, or `[b, n]` for several labels; −100 does not count); `start_positions`, `end_positions` int64 `[b]`
 * @throws TesseraError `argument` where a target is missing
 */
export function taskLoss(
  task: Task,
  outputs: Readonly<Record<string, Tensor>>,
  targets: Targets,
  {
    problemType = "single_label_classification",
    labelSmoothing = 0,
  }: { readonly problemType?: ProblemType; readonly labelSmoothing?: number } = {},
): Tensor {
  const target = (name: keyof Targets): Tensor => {
    const tensor = targets[name];
    if (!tensor) throw new TesseraError("argument", `taskLoss: ${task} needs ${name}`);
    return tensor;
  };
  switch (task) {
    case "causal-lm": {
      const [logits, labels] = [outputs.logits!, target("labels")];
      const length = labels.shape[1] as number;
      return crossEntropy(slice(logits, 1, 0, length - 1), slice(labels, 1, 1, length));
    }
    case "seq2seq-lm":
    case "masked-lm":
    case "blank-infilling":
    case "permutation-lm":
    case "token-classification":
      return crossEntropy(outputs.logits!, target("labels"), { labelSmoothing });
    case "bidirectional-lm": {
      const labels = target("labels");
      const last = (labels.shape[1] as number) - 1;
      const [left, right] = [slice(labels, 1, 0, last), slice(labels, 1, 1)];
      // A place that does not count itself, such as padding, predicts nothing.
      const predict = (logits: Tensor, from: Tensor, to: Tensor) =>
        crossEntropy(logits, where(equal(from, -100), -100, to), { labelSmoothing });
      const next = predict(slice(outputs.forward_logits!, 1, 0, last), left, right);
      return mul(add(next, predict(slice(outputs.backward_logits!, 1, 1), right, left)), 0.5);
    }
    case "pre-training":
      return add(
        crossEntropy(outputs.prediction_logits!, target("labels")),
        crossEntropy(outputs.seq_relationship_logits!, target("next_sentence_label")),
      );
    case "sequence-classification": {
      const [logits, labels] = [outputs.logits!, target("labels")];
      if (problemType === "regression") return meanSquaredError(reshape(logits, labels.shape), labels);
      return problemType === "multi_label_classification"
        ? binaryCrossEntropy(logits, labels)
        : crossEntropy(logits, labels);
    }
    case "question-answering": {
      const loss = (logits: Tensor, at: Tensor) => {
        const length = logits.shape[1] as number; // positions outside the text do not count
        return crossEntropy(logits, where(lessOrEqual(length, at), -100, at));
      };
      const [start, end] = [target("start_positions"), target("end_positions")];
      return mul(add(loss(outputs.start_logits!, start), loss(outputs.end_logits!, end)), 0.5);
    }
    case "features":
      throw new TesseraError("argument", "taskLoss: features have no loss of their own");
  }
}
