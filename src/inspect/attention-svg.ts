import { type AttentionMap, headWeights } from "./attention-maps.js";
import { mapTitle } from "./heat-map.js";
import { cutToWidth, displayWidth } from "./token-labels.js";

/** How a picture of attention is drawn. */
export interface AttentionSvgOptions {
  /** Above the map; default what it shows. */
  readonly title?: string | undefined;
}

// Tones that are legible on a light page and on a dark one.
const color = { text: "#6e7781", weight: "#2f81f7", frame: "#8c959f" };
const LONGEST_LABEL = 18;

/** Weights that the scale under the map shows. */
const SCALE = [0.01, 0.05, 0.1, 0.25, 0.5, 1];

/** How strongly a weight is drawn: small ones are still seen, and 1 is the colour itself. */
export const strength = (weight: number): number => Math.sqrt(Math.min(1, Math.max(0, weight)));

/**
 * An attention map as a picture: a row for each token that looks, a column for each that is looked at, deeper where the weight is larger;
 * a browser shows the weight under the pointer. It stands on a light page and on a dark one.
 *
 * @throws TesseraError `argument` for a head that is not there
 */
export function attentionSvg(map: AttentionMap, head: number | "mean", { title }: AttentionSvgOptions = {}): string {
  const weights = headWeights(map, head);
  const [rows, columns] = [map.queries, map.keys].map((labels) => labels.map((l) => cutToWidth(l, LONGEST_LABEL))) as [
    string[],
    string[],
  ];
  const count = Math.max(rows.length, columns.length);
  const cell = count <= 16 ? 28 : count <= 32 ? 22 : 17;
  const font = Math.min(13, cell - 5);
  const longest = (labels: readonly string[]) => Math.max(...labels.map(displayWidth)) * font * 0.62;
  const upright = (label: string) => [...label].length === 1;
  const heading = title ?? mapTitle(map, head);
  const left = Math.ceil(longest(rows) + 16);
  const top = Math.ceil(40 + (columns.every(upright) ? font : longest(columns)) + 6);
  const plot = { width: columns.length * cell, height: rows.length * cell };
  const width = Math.ceil(Math.max(left + plot.width + 12, displayWidth(heading) * 8.2 + 24, left + 330));
  const height = top + plot.height + 40;

  const cells = weights.flatMap((row, i) =>
    [...row].flatMap((weight, j) => {
      if (weight < 0.002) return [];
      const at = `x="${left + j * cell}" y="${top + i * cell}"`;
      const says = escapeXml(`${map.queries[i]} → ${map.keys[j]}: ${weight.toFixed(3)}`);
      return `<rect ${at} width="${cell - 1}" height="${cell - 1}" fill-opacity="${shorter(strength(weight))}"><title>${says}</title></rect>`;
    }),
  );
  const rowLabels = rows.map((label, i) => text(left - 7, top + (i + 0.5) * cell + font * 0.36, "end", label));
  const columnLabels = columns.map((label, j) => {
    const x = left + (j + 0.5) * cell - 0.5;
    if (upright(label)) return text(x, top - 7, "middle", label);
    const turned = { x: x + font * 0.36, y: top - 7 };
    return text(turned.x, turned.y, "start", label, `transform="rotate(-90 ${shorter(turned.x)} ${turned.y})"`);
  });
  const scale = SCALE.flatMap((weight, i) => {
    const at = { x: left + i * 54, y: top + plot.height + 16 };
    return [
      `<rect x="${at.x}" y="${at.y}" width="14" height="14" fill="${color.weight}" fill-opacity="${shorter(strength(weight))}" stroke="${color.frame}" stroke-opacity="0.5"/>`,
      text(at.x + 19, at.y + 11, "start", String(weight)),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif" font-size="${font}" fill="${color.text}">`,
    `<title>${escapeXml(heading)}</title>`,
    text(12, 22, "start", heading, 'font-size="13" font-weight="600"'),
    `<rect x="${left - 1}" y="${top - 1}" width="${plot.width + 1}" height="${plot.height + 1}" fill="none" stroke="${color.frame}" stroke-opacity="0.5"/>`,
    `<g fill="${color.weight}">`,
    ...cells,
    "</g>",
    ...rowLabels,
    ...columnLabels,
    `<g font-size="11">`,
    ...scale,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

const shorter = (value: number) => String(+value.toFixed(2));
const text = (x: number, y: number, anchor: "start" | "middle" | "end", content: string, style = "") =>
  `<text x="${shorter(x)}" y="${shorter(y)}" text-anchor="${anchor}"${style === "" ? "" : ` ${style}`}>${escapeXml(content)}</text>`;

/** A text within XML: markup is escaped, and what XML cannot hold at all is replaced. */
export function escapeXml(content: string): string {
  return content
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}
