import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { evaluator } from "../../src/train/evaluate.js";
import { headObjective } from "../../src/train/head-objective.js";
import type { BlankRow } from "../../src/train/tasks/blank-infilling.js";
import { fillInput, fillRow } from "../../src/train/tasks/text-data.js";

/**
 * The logits that training sees for rows with blanks, `[t][v]` of each without its padding.
 *
 * @param length tokens that rows are padded to
 */
export async function blankLogits(
  { module, weights }: Pick<LanguageModel, "module" | "weights">,
  rows: readonly Omit<BlankRow, "labels">[],
  length: number,
): Promise<number[][][]> {
  const objective = headObjective({ task: "blank-infilling", length });
  using evaluation = await evaluator(nativeRuntime(), { module, weights, objective, rows: rows.length, threads: 1 });
  const found: number[][][] = [];
  await evaluation.evaluate(
    {
      size: rows.length,
      write(index, batch, row) {
        const { ids, positions, blockPositions, prefix } = rows[index]!;
        fillInput(batch, row, ids, 0);
        fillRow(batch, "position_ids", row, positions, 0);
        fillRow(batch, "block_position_ids", row, blockPositions, 0);
        fillRow(batch, "prefix_length", row, [prefix], 0);
        fillRow(batch, "labels", row, [], 0);
      },
    },
    (_first, _count, { logits }) => {
      const { shape, data } = logits!;
      const [, t, v] = shape as [number, number, number];
      for (const [r, { ids }] of rows.entries())
        found.push(ids.map((_, i) => Array.from(data.subarray((r * t + i) * v, (r * t + i + 1) * v) as Float32Array)));
    },
  );
  return found;
}
