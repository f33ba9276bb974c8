import { TesseraError } from "../../core/errors.js";
import type { RandomStream } from "../../core/random-stream.js";
import type { Tensor } from "../../core/tensor.js";
import type { Permutation } from "../../models/xlnet.js";
import { lessOrEqual, maximum } from "../../ops/elementwise.js";
import { expandDims } from "../../ops/shape.js";
import { inputLayout } from "../../text/input-layout.js";
import { countLabels, ignored, type Objective } from "../objective.js";
import { taskLoss } from "../task-loss.js";
import { shuffled } from "../windows.js";
import type { TrainingTask } from "./task.js";
import {
  fillInput,
  fillRow,
  readTextData,
  requireSpecial,
  type TextData,
  tokenizedText,
  windowRows,
} from "./text-data.js";

const RATE = 1 / 6; // the paper's K is 6

/**
 * Permutation language modelling on running text (Yang et al. 2019, section 2.3): in every row the tokens get an order of chance; the last
 * sixth of them, or `mask_rate`, are predicted, each from all those before it in the order and from its own place.
 */
export const permutationLm: TrainingTask<TextData> = {
  name: "permutation-lm",
  head: "permutation-lm",
  tokenizer: "unigram",
  uses: ["separator", "end_of_text", "validation_split", "mask_rate", "label_smoothing"],
  read: readTextData,
  prepare(data, context) {
    const { settings, tokenizer } = context;
    const { context_length: length, label_smoothing: labelSmoothing } = settings;
    const layout = inputLayout(tokenizer);
    const room = length - layout.specials.single;
    if (room < 2)
      throw new TesseraError("config", `context_length: ${length} leaves no room for two tokens (${room} of the text)`);
    const rate = settings.mask_rate ?? RATE;
    const pad = requireSpecial(context, "pad", "permutation-lm");
    const rows = windowRows(tokenizedText(data, context), context, room, (window, random, batch, row) => {
      const { ids, typeIds } = layout.single([...window]);
      const { order, targets } = permute(ids, random, { rate, special: tokenizer.specialIds });
      fillInput(batch, row, ids, pad, typeIds);
      fillRow(batch, "order", row, order, 0);
      fillRow(batch, "targets", row, targets, 0);
      fillRow(
        batch,
        "labels",
        row,
        targets.map((at) => ids[at]!),
        ignored,
      );
    });
    const segments = new Set(layout.single([]).typeIds).size > 1; // where there is but one, they say nothing
    const objective = permutationObjective({ length, targets: count(room, rate), segments, labelSmoothing });
    return { objective, ...rows, tokensPerRow: length };
  },
};

/** How many of so many tokens are predicted: at least one, and never all. */
const count = (tokens: number, rate: number) => Math.min(Math.max(1, Math.round(tokens * rate)), tokens - 1);

/** The order of a row. */
export interface PermutedRow {
  /** Of each token: 0 for those that are seen by all and not predicted, then 1, 2, … in the order in which they are. */
  readonly order: readonly number[];
  /** Places of the predicted tokens, in their order. */
  readonly targets: readonly number[];
}

/** Draws an order. Special tokens are never predicted. */
export function permute(
  ids: readonly number[],
  random: RandomStream,
  { rate, special }: { readonly rate: number; readonly special: ReadonlySet<number> },
): PermutedRow {
  const text = ids.flatMap((id, i) => (special.has(id) ? [] : [i]));
  const last = shuffled(text.length, random).slice(text.length - Math.max(0, count(text.length, rate)));
  const targets = Array.from(last, (k) => text[k]!);
  const order = ids.map(() => 0);
  for (const [k, at] of targets.entries()) order[at] = k + 1;
  return { order, targets };
}

/**
 * The mean loss of the predicted tokens. A token sees those that come before it in the order; the tokens that are only seen see each
 * other, as in the published code. `order: [b, t]`, `targets, labels: [b, n]` int64, as {@link permute} says; labels of −100 do not count.
 */
export function permutationObjective({
  length,
  targets: n,
  segments = true,
  labelSmoothing = 0,
}: {
  readonly length: number;
  readonly targets: number;
  /** Whether a batch has `token_type_ids`. Default true. */
  readonly segments?: boolean;
  readonly labelSmoothing?: number;
}): Objective {
  const tokens = ["input_ids", "attention_mask", "order", ...(segments ? ["token_type_ids"] : [])];
  return {
    batch(rows) {
      const int64 = (names: readonly string[], size: number) =>
        names.map((name) => [name, { dtype: "int64", shape: [rows, size] }] as const);
      return Object.fromEntries([...int64(tokens, length), ...int64(["targets", "labels"], n)]);
    },
    loss(module, params, given, context) {
      const { input_ids: ids, attention_mask: attentionMask, token_type_ids: types } = given;
      const ctx = context({ batch: ids!.shape[0]!, length, attentionMask, segments: types });
      const permutation: Permutation = { hidden: hiddenBy(given.order!), targets: given.targets! };
      const outputs: Readonly<Record<string, Tensor>> = module(params, ids!, ctx, permutation);
      return {
        loss: taskLoss("permutation-lm", outputs, given, { labelSmoothing }),
        count: countLabels(given.labels!),
      };
    },
    leaveOut: ({ labels }, row) => void labels!.data.fill(BigInt(ignored) as never, row * n, (row + 1) * n),
  };
}

/** Whether token `i` may not see `j`: those that are predicted at its turn or after. `order: [b, t]` int64 → bool `[b, t, t]`. */
function hiddenBy(order: Tensor): Tensor {
  return lessOrEqual(maximum(expandDims(order, 2), 1), expandDims(order, 1));
}
