import type { LensLayer } from "./logit-lens.js";
import { cutToWidth, displayWidth, padToWidth } from "./token-labels.js";

/** The token that a layer finds most probable at each position of the first text. */
export function bestTokens({ logits }: LensLayer): readonly number[] {
  const [, t, v] = logits.shape as [number, number, number];
  const data = logits.data as Float32Array;
  return Array.from({ length: t }, (_, i) => {
    let best = 0;
    for (let id = 1; id < v; id++) if (data[i * v + id]! > data[i * v + best]!) best = id;
    return best;
  });
}

/**
 * The most probable token after each token and layer, as text: a row for each token, a column for each layer, the model's own answer last.
 * Where not all layers fit, some in between are left out.
 *
 * @param tokens what the rows are called
 * @param name of a token
 * @param columns width to stay within; default 80
 */
export function lensTable(
  lens: readonly LensLayer[],
  tokens: readonly string[],
  name: (id: number) => string,
  columns = 80,
): string {
  const [widest, cell] = [14, 11];
  const margin = Math.min(widest, Math.max(...tokens.map(displayWidth)));
  const room = Math.max(2, Math.floor((columns - margin) / cell));
  const shown = Math.min(room, lens.length);
  const picked = Array.from({ length: shown }, (_, i) => Math.round((i * (lens.length - 1)) / Math.max(1, shown - 1)));
  const best = picked.map((i) => bestTokens(lens[i]!));
  const line = (label: string, cells: readonly string[]) =>
    `${padToWidth(cutToWidth(label, widest), margin, "start")}${cells.map((c) => ` ${padToWidth(cutToWidth(c, cell - 1), cell - 1, "end")}`).join("")}`.trimEnd();
  return [
    line(
      "",
      picked.map((i) => (i === 0 ? "embeddings" : `layer ${i - 1}`)),
    ),
    ...tokens.map((token, i) =>
      line(
        token,
        best.map((ids) => name(ids[i]!)),
      ),
    ),
  ].join("\n");
}
