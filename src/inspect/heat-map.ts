import { type AttentionMap, headWeights } from "./attention-maps.js";
import { cutToWidth, displayWidth, padToWidth } from "./token-labels.js";

/** How a map is drawn in a terminal. */
export interface HeatMapOptions {
  /** Width to stay within; wider maps are cut into panels. Default 80. */
  readonly columns?: number | undefined;
  /** Colours of a 256-colour terminal, legible on light and dark. Default false: shades alone. */
  readonly color?: boolean | undefined;
}

/** Shades, from the least weight that they stand for. */
const SHADES: readonly { readonly from: number; readonly cell: string; readonly color: number }[] = [
  { from: 0.7, cell: "██", color: 203 },
  { from: 0.5, cell: "██", color: 170 },
  { from: 0.35, cell: "▓▓", color: 99 },
  { from: 0.2, cell: "▓▓", color: 69 },
  { from: 0.1, cell: "▒▒", color: 69 },
  { from: 0.05, cell: "░░", color: 69 },
  { from: 0.02, cell: "░░", color: 67 },
  { from: Number.MIN_VALUE, cell: "· ", color: 245 },
];

const HEADER_LINES = 8;
const ROW_LABEL = 16;

/** What a map shows, in a line: `layer 0, head 2 of 6 (transformer.h.0.attn)`. */
export function mapTitle({ kind, layer, heads, path }: AttentionMap, head: number | "mean"): string {
  const which = heads === 1 ? "" : head === "mean" ? `, mean of ${heads} heads` : `, head ${head} of ${heads}`;
  const where = path.replace(/\.?attention_weights/, "");
  return `${{ self: "", encoder: "encoder ", cross: "cross-attention " }[kind]}layer ${layer}${which}${where === "" ? "" : ` (${where})`}`;
}

/**
 * An attention map as text: a row for each token that looks, a column for each that is looked at, shaded by weight. Labels of columns
 * are read downwards.
 *
 * @throws TesseraError `argument` for a head that is not there
 */
export function heatMap(
  map: AttentionMap,
  head: number | "mean",
  { columns = 80, color = false }: HeatMapOptions = {},
): string {
  const weights = headWeights(map, head);
  const rowLabels = map.queries.map((label) => cutToWidth(label, ROW_LABEL));
  const margin = Math.max(...rowLabels.map(displayWidth));
  const perPanel = Math.max(1, Math.floor((columns - margin - 1) / 2));
  const panels: string[] = [];
  for (let start = 0; start < map.keys.length; start += perPanel) {
    const end = Math.min(start + perPanel, map.keys.length);
    // Of a causal map, rows before a panel's first column have nothing in it.
    const rows = rowLabels.flatMap((label, i) => {
      const cells = weights[i]!.subarray(start, end);
      return start > 0 && cells.every((w) => w === 0) ? [] : [row(label, cells, margin, color)];
    });
    if (rows.length > 0) panels.push([...header(map.keys.slice(start, end), margin), ...rows].join("\n"));
  }
  return [mapTitle(map, head), ...panels, legend(color)].join("\n");
}

const row = (label: string, cells: Float32Array, margin: number, color: boolean) =>
  `${padToWidth(label, margin, "start")} ${Array.from(cells, (w) => cellOf(w, color)).join("")}`.trimEnd();

function cellOf(weight: number, color: boolean): string {
  const shade = SHADES.find(({ from }) => weight >= from);
  if (!shade) return "  ";
  return color ? `\u001b[38;5;${shade.color}m${shade.cell}\u001b[0m` : shade.cell;
}

/** Labels of columns, a character a line, the last above its column. */
function header(labels: readonly string[], margin: number): string[] {
  const chars = labels.map((label) => {
    const all = [...label];
    return all.length <= HEADER_LINES ? all : [...all.slice(0, HEADER_LINES - 1), "⋮"];
  });
  const height = Math.max(...chars.map((c) => c.length));
  return Array.from({ length: height }, (_, line) => {
    const cells = chars.map((c) => padToWidth(c[line - (height - c.length)] ?? "", 2, "end"));
    return `${" ".repeat(margin + 1)}${cells.join("")}`.trimEnd();
  });
}

/** Shades that look the same are told once. */
function legend(color: boolean): string {
  const told = SHADES.toReversed().filter(({ cell }, i, all) => color || all[i - 1]?.cell !== cell);
  const entry = ({ from, cell }: (typeof SHADES)[number]) =>
    `${cellOf(from, color)}${cell.endsWith(" ") ? "" : " "}${from < 0.01 ? ">0" : `≥${from}`}`;
  return told.map(entry).join("  ");
}
