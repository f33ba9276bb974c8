import { compileModel } from "../../src/generate/compile-model.js";
import { tinyModel, wholeText } from "./tiny-model.js";

/**
 * Rows of different lengths are decoded together from a cache, by a model with random weights, and each is computed whole.
 *
 * @param prompts how many tokens of each row are given at once; the others follow one by one, in all rows that have some left
 * @returns the largest difference of two logits, relative to the largest logit, and how many positions were compared
 */
export async function compareCachedDecoding(
  config: Readonly<Record<string, unknown>>,
  rows: readonly (readonly number[])[],
  prompts: readonly number[],
): Promise<{ difference: number; positions: number }> {
  const model = tinyModel(config);
  using text = await wholeText(model);
  const whole = await Promise.all(rows.map((row) => text.logits(row)));
  using compiled = await compileModel(model);
  using decoder = compiled.decoder({ batch: rows.length, capacity: 1 });
  let [difference, positions] = [0, 0];
  const check = (row: number, logits: Float32Array) => {
    const expected = whole[row]![decoder.length(row) - 1]!;
    const largest = Math.max(...expected.map(Math.abs));
    difference = Math.max(difference, ...expected.map((x, v) => Math.abs(x - logits[v]!) / largest));
    positions++;
  };
  for (const [r, count] of prompts.entries()) check(r, await decoder.append(r, rows[r]!.slice(0, count)));
  while (rows.some((row, r) => decoder.length(r) < row.length)) {
    const next = rows.map((row, r) => row[decoder.length(r)]);
    const logits = await decoder.step(next);
    for (const [r, id] of next.entries()) if (id !== undefined) check(r, logits[r]!);
  }
  return { difference, positions };
}
