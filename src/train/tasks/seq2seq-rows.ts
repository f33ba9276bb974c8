import { TesseraError } from "../../core/errors.js";
import type { HostTensor } from "../../core/host-tensor.js";
import { ignored } from "../objective.js";
import type { Meter, TaskContext } from "./task.js";
import { fillInput, fillRow } from "./text-data.js";

/** A source and its target, tokens with the special ones around them. */
export interface Seq2SeqRow {
  readonly source: readonly number[];
  readonly target: readonly number[];
}

/** Writes rows for an encoder-decoder: the decoder sees the target one place later, behind its first token. */
export function seq2seqWriter({ tokenizer, facts, where }: TaskContext) {
  const pad = facts.padding ?? tokenizer.specialTokens.pad ?? 0;
  const start = facts.decoderStart;
  if (start === undefined)
    throw new TesseraError(
      "config",
      `${where}: the model has no decoder_start_token_id, the token that targets begin with`,
    );
  return ({ source, target }: Seq2SeqRow, batch: Readonly<Record<string, HostTensor>>, row: number): void => {
    fillInput(batch, row, source, pad);
    fillRow(batch, "decoder_input_ids", row, [start, ...target.slice(0, -1)], pad);
    fillRow(batch, "labels", row, target, ignored);
  };
}

/**
 * How many targets the model would write exactly, greedily: those whose every token is the most probable after the right ones before;
 * and how many tokens are.
 */
export function targetMeter(targets: readonly (readonly number[])[]): Meter {
  const hits = new Array<number>(targets.length).fill(0);
  return {
    add(first, count, { predicted }) {
      const t = predicted!.shape[1] as number;
      const ids = predicted!.data as BigInt64Array;
      for (let r = 0; r < count; r++)
        hits[first + r] = targets[first + r]!.filter((id, i) => Number(ids[r * t + i]) === id).length;
    },
    result: () => ({
      exact_match: targets.filter((target, i) => hits[i] === target.length).length / targets.length,
      token_accuracy: hits.reduce((a, b) => a + b, 0) / targets.reduce((n, target) => n + target.length, 0),
    }),
  };
}
