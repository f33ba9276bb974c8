import type { LogRecord } from "./training-log.js";

/** A point of a curve. */
type Point = readonly [step: number, loss: number];

const size = { width: 800, height: 450 } as const;
const plot = { left: 72, right: 724, top: 44, bottom: 392 } as const;
/** Mid-tones, so that one file reads on light and on dark pages. */
const color = { text: "#768290", grid: "#768290", training: "#3b82f6", validation: "#e8701a" } as const;

/**
 * The course of a run as an SVG: loss over steps, of training (each line of the log, and a running mean) and of validation, with
 * perplexity on the right. Reads on light and dark backgrounds.
 *
 * @param title one line above the plot
 */
export function lossCurve(records: readonly LogRecord[], title: string): string {
  const points = (type: LogRecord["type"]): Point[] =>
    records.flatMap((r) => (r.type === type && Number.isFinite(r.loss) ? [[r.step, r.loss] as const] : []));
  const training = points("train");
  const validation = points("evaluation");
  const all = [...training, ...validation];
  const steps = extent(all.map(([step]) => step))?.[1] ?? 1;
  const xTicks = ticks(0, steps, Math.min(8, steps));
  const yTicks = ticks(...(extent(all.map(([, loss]) => loss)) ?? [0, 1]), 6);
  const [yMin, yMax] = [yTicks.values[0]!, yTicks.values.at(-1)!];
  const x = scale(0, steps, plot.left, plot.right);
  const y = scale(yMin, yMax, plot.bottom, plot.top);
  const mean = runningMean(training);

  const grid = yTicks.values.map((v) =>
    line(plot.left, y(v), plot.right, y(v), `stroke="${color.grid}" stroke-opacity="0.25"`),
  );
  const left = yTicks.values.map((v) => text(plot.left - 10, y(v) + 4, "end", v.toFixed(yTicks.digits)));
  const right = yTicks.values.map((v) => text(plot.right + 10, y(v) + 4, "start", short(Math.exp(v))));
  const bottom = xTicks.values
    .filter((v) => x(v) <= plot.right + 0.5)
    .map(
      (v) =>
        line(x(v), plot.bottom, x(v), plot.bottom + 5, `stroke="${color.grid}"`) +
        text(x(v), plot.bottom + 20, "middle", short(v)),
    );
  const curves = [
    ...(training.length > 0
      ? [path(training, x, y, color.training, mean ? 'stroke-width="1" stroke-opacity="0.4"' : 'stroke-width="2"')]
      : []),
    ...(mean ? [path(mean, x, y, color.training, 'stroke-width="2"')] : []),
    ...(validation.length > 0 ? [path(validation, x, y, color.validation, 'stroke-width="2"')] : []),
    ...(validation.length <= 60
      ? validation.map(([s, l]) => `<circle cx="${f(x(s))}" cy="${f(y(l))}" r="3" fill="${color.validation}"/>`)
      : []),
  ];
  const best = validation.reduce<Point | undefined>((a, b) => (a && a[1] <= b[1] ? a : b), undefined);
  const legend = [
    ...(training.length > 0 ? [{ stroke: color.training, label: `training ${training.at(-1)![1].toFixed(3)}` }] : []),
    ...(best
      ? [
          {
            stroke: color.validation,
            label: `validation ${validation.at(-1)![1].toFixed(3)}, best ${best[1].toFixed(3)} at step ${best[0]}`,
          },
        ]
      : []),
  ].map(({ stroke, label }, i) => {
    const at = plot.top + 18 + 20 * i;
    return (
      line(plot.right - 26, at - 4, plot.right - 6, at - 4, `stroke="${stroke}" stroke-width="3"`) +
      text(plot.right - 34, at, "end", label)
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="${color.text}">`,
    `<title>${escapeXml(title)}</title>`,
    text(plot.left, 26, "start", title, 'font-size="14" font-weight="600"'),
    ...grid,
    `<g stroke="${color.grid}">${line(plot.left, plot.bottom, plot.right, plot.bottom)}${line(plot.left, plot.top, plot.left, plot.bottom)}</g>`,
    ...left,
    ...right,
    ...bottom,
    text((plot.left + plot.right) / 2, plot.bottom + 44, "middle", "step"),
    turned(22, "loss (nats per token)"),
    turned(size.width - 14, "perplexity"),
    ...curves,
    ...legend,
    "</svg>",
    "",
  ].join("\n");
}

/** Mean over neighbours on both sides, as many on the left as on the right, so that a trend stays where it is. */
function runningMean(points: readonly Point[]): Point[] | undefined {
  if (points.length < 40) return undefined; // few points need none
  const reach = Math.ceil(points.length / 60);
  return points.map(([step], i) => {
    const radius = Math.min(reach, i, points.length - 1 - i);
    const near = points.slice(i - radius, i + radius + 1);
    return [step, near.reduce((sum, [, loss]) => sum + loss, 0) / near.length];
  });
}

function extent(values: readonly number[]): [least: number, most: number] | undefined {
  return values.length === 0
    ? undefined
    : [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/** Round numbers around a range, at most about `count` of them, and the digits that tell them apart. */
function ticks(
  from: number,
  to: number,
  count: number,
): { readonly values: readonly number[]; readonly digits: number } {
  const rough = Math.max((to - from) / count, 1e-6);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough)! * power;
  const [first, last] = [
    Math.floor(from / step + 1e-9),
    Math.max(Math.ceil(to / step - 1e-9), Math.floor(from / step + 1e-9) + 1),
  ];
  return {
    values: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step),
    digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)),
  };
}

const scale = (from: number, to: number, start: number, end: number) => (value: number) =>
  start + ((value - from) / (to - from)) * (end - start);

/** A number in few characters: 12000 is 12k. */
function short(value: number): string {
  if (value >= 1e9) return Number.isFinite(value) ? value.toExponential(0) : "∞";
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (value >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return String(+value.toPrecision(value >= 1000 ? 4 : 3));
}

const mostPoints = 1000;

function path(
  points: readonly Point[],
  x: (v: number) => number,
  y: (v: number) => number,
  stroke: string,
  style: string,
): string {
  const every = Math.ceil(points.length / mostPoints);
  const shown = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  const d = shown.map(([step, loss], i) => `${i === 0 ? "M" : "L"}${f(x(step))} ${f(y(loss))}`).join("");
  return `<path d="${d}" fill="none" stroke="${stroke}" stroke-linejoin="round" stroke-linecap="round" ${style}/>`;
}

const f = (value: number) => String(+value.toFixed(1));
const line = (x1: number, y1: number, x2: number, y2: number, style = "") =>
  `<line x1="${f(x1)}" y1="${f(y1)}" x2="${f(x2)}" y2="${f(y2)}" ${style}/>`;
const text = (x: number, y: number, anchor: "start" | "middle" | "end", content: string, style = "") =>
  `<text x="${f(x)}" y="${f(y)}" text-anchor="${anchor}" ${style}>${escapeXml(content)}</text>`;
const turned = (x: number, content: string) => {
  const y = (plot.top + plot.bottom) / 2;
  return text(x, y, "middle", content, `transform="rotate(-90 ${f(x)} ${f(y)})"`);
};
const escapeXml = (content: string) =>
  content.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
