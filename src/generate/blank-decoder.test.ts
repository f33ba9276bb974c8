import { expect, test } from "vitest";
import { blankLogits } from "../../test/support/blank-rows.js";
import { freshModel } from "../../test/support/fresh-model.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { nativeRuntime } from "../runtime/native.js";
import { openBlankDecoder } from "./blank-decoder.js";
import { fillBlanks } from "./fill-blanks.js";
import { suppressTokens } from "./logits-processors.js";

const [MASK, GMASK, START, STOP] = [1, 2, 3, 4];
const text = [10, MASK, 11, 12, 13, MASK, 14, GMASK];
const sizes = [{}, { heads: 1 }, { heads: 3, d: 18, layers: 3 }, { heads: 2, d: 24, layers: 1 }]; // heads of 8, 16, 6 and 12

/** A text and contents behind it, as training has them. */
const rowOf = (contents: readonly (readonly number[])[]) => {
  const places = text.flatMap((id, i) => ([MASK, GMASK].includes(id) ? [i] : []));
  return {
    ids: [...text, ...contents.flat()],
    positions: [...text.map((_, i) => i), ...contents.flatMap((content, k) => content.map(() => places[k]!))],
    blockPositions: [...text.map(() => 0), ...contents.flatMap((content) => content.map((_, i) => i + 1))],
    prefix: text.length,
  };
};

test.each(sizes)("each step has the logits of the whole row: %j", async (more) => {
  const model = freshModel("glm-2022", more);
  const row = rowOf([
    [START, 20, 21],
    [START, 22],
    [START, 23, 24, 25],
  ]);
  const [whole] = (await blankLogits(model, [row], row.ids.length)) as [number[][]];
  using decoder = await openBlankDecoder(model, text, 9, nativeRuntime());
  for (let i = text.length; i < row.ids.length; i++) {
    const place = { position: row.positions[i]!, blockPosition: row.blockPositions[i]! };
    const logits = await decoder.step(row.ids[i]!, place);
    const largest = Math.max(...whole[i]!.map(Math.abs));
    for (const [v, x] of whole[i]!.entries()) expect(Math.abs(logits[v]! - x) / largest).toBeLessThan(1e-5);
  }
});

/** The most probable contents, each token of the whole row. */
async function contentsOfWhole(model: LanguageModel, most: number): Promise<number[][]> {
  const rows: number[][] = [];
  for (const _ of [0, 1, 2]) {
    const content = [START];
    rows.push(content);
    while (content.length <= most) {
      const row = rowOf(rows);
      const [whole] = (await blankLogits(model, [row], row.ids.length)) as [number[][]];
      const scores = whole.at(-1)!.map((x, id) => (id === STOP ? Number.NEGATIVE_INFINITY : x));
      content.push(scores.indexOf(Math.max(...scores)));
    }
  }
  return rows.map((content) => content.slice(1));
}

test("the text is the one that whole rows give", async () => {
  const model = freshModel("glm-2022");
  const { contents } = await fillBlanks(model, text, {
    blanks: [MASK, GMASK],
    start: START,
    stop: STOP,
    maxNewTokens: 3,
    processors: [suppressTokens([STOP])],
  });
  expect(contents).toEqual(await contentsOfWhole(model, 3));
});
