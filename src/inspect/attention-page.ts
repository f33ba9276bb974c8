// What the page of attention maps looks like and does. Text of the page, not code of the library.

export const pageStyle = `
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 18%, Canvas); --soft: color-mix(in srgb, CanvasText 65%, Canvas); }
body { font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif; margin: 1.25rem; }
h1 { font-size: 1.15rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; }
h3 { font-size: .85rem; margin: .75rem 0 .25rem; }
main { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
nav { max-height: 85vh; overflow: auto; max-width: 100%; }
section { flex: 1 1 40rem; min-width: 0; overflow-x: auto; }
table { border-spacing: 3px; font-size: .75rem; color: var(--soft); }
th { font-weight: 400; }
td button { padding: 2px; border: 1px solid var(--line); border-radius: 4px; background: none; cursor: pointer; display: block; }
td button[aria-pressed=true] { outline: 2px solid #2f81f7; }
td canvas { display: block; width: 44px; height: 44px; }
#said { min-height: 1.5em; margin: .25rem 0; color: var(--soft); font-variant-numeric: tabular-nums; }
#strip { max-width: 46rem; line-height: 1.9; }
#strip span { padding: .1em .15em; border-radius: 3px; }
`;

export const pageScript = `
"use strict";
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const maps = JSON.parse(document.getElementById("data").textContent).map((map) => {
  const view = new DataView(bytesOf(map.weights).buffer);
  const t = map.queries.length, s = map.keys.length, n = map.heads;
  const at = (h, i, j) => view.getUint16(2 * ((h * t + i) * s + j), true) / 65535;
  const mean = (i, j) => { let sum = 0; for (let h = 0; h < n; h++) sum += at(h, i, j); return sum / n; };
  return { ...map, t, s, at: (h, i, j) => (h === n ? mean(i, j) : at(h, i, j)) };
});
const tint = (w) => "rgba(47, 129, 247, " + Math.sqrt(w).toFixed(3) + ")";
const $ = (id) => document.getElementById(id);
const buttons = [];
let chosen = { map: maps[0], head: maps[0] ? maps[0].heads : 0 }, place = null, under = null;

function thumbnail(map, head) {
  const canvas = document.createElement("canvas");
  canvas.width = map.s; canvas.height = map.t;
  const pen = canvas.getContext("2d");
  canvas.style.imageRendering = "pixelated";
  for (let i = 0; i < map.t; i++) for (let j = 0; j < map.s; j++) {
    const w = map.at(head, i, j);
    if (w > 0.002) { pen.fillStyle = tint(w); pen.fillRect(j, i, 1, 1); }
  }
  return canvas;
}

const headings = { self: "Self-attention", encoder: "Encoder", cross: "Cross-attention" };
for (const kind of ["encoder", "self", "cross"]) {
  const layers = maps.filter((map) => map.kind === kind);
  if (layers.length === 0) continue;
  const heads = Math.max(...layers.map((map) => map.heads));
  const title = document.createElement("h3");
  title.textContent = headings[kind];
  const table = document.createElement("table");
  const top = table.insertRow();
  for (const name of ["layer", ...(heads > 1 ? ["mean"] : []), ...Array.from({ length: heads }, (_, h) => "head " + h)]) {
    const cell = document.createElement("th");
    cell.textContent = name; cell.scope = "col"; top.append(cell);
  }
  for (const map of layers) {
    const row = table.insertRow();
    const name = document.createElement("th");
    name.textContent = map.layer; name.scope = "row"; row.append(name);
    const all = [...(map.heads > 1 ? [map.heads] : []), ...Array.from({ length: map.heads }, (_, h) => h)];
    for (const head of all) {
      const button = document.createElement("button");
      button.title = map.titles[head];
      button.setAttribute("aria-label", map.titles[head]);
      button.append(thumbnail(map, head));
      button.onclick = () => { chosen = { map, head }; under = null; draw(); };
      row.insertCell().append(button);
      buttons.push({ button, map, head, row: table.rows.length, column: row.cells.length, table });
    }
  }
  $("grid").append(title, table);
}

function draw() {
  const { map, head } = chosen;
  if (!map) { $("name").textContent = "No attention"; return; }
  for (const b of buttons) b.button.setAttribute("aria-pressed", String(b.map === map && b.head === head));
  $("name").textContent = map.titles[head];
  const canvas = $("map"), scale = devicePixelRatio || 1, pen = canvas.getContext("2d");
  const cell = Math.max(12, Math.min(30, Math.floor(640 / Math.max(map.s, map.t))));
  const font = Math.min(13, cell - 1) + "px " + getComputedStyle(document.body).fontFamily;
  pen.font = font;
  const cut = (label) => ([...label].length > 18 ? [...label].slice(0, 17).join("") + "…" : label);
  const widest = (labels) => Math.max(...labels.map((label) => pen.measureText(cut(label)).width));
  const left = Math.ceil(widest(map.queries)) + 10, top = Math.ceil(widest(map.keys)) + 10;
  const width = left + map.s * cell + 2, height = top + map.t * cell + 2;
  canvas.width = width * scale; canvas.height = height * scale;
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  pen.scale(scale, scale);
  pen.font = font;
  pen.textBaseline = "middle";
  const ink = getComputedStyle(document.body).color;
  for (let i = 0; i < map.t; i++) {
    pen.fillStyle = ink; pen.globalAlpha = under && under.i !== i ? 0.55 : 1; pen.textAlign = "right";
    pen.fillText(cut(map.queries[i]), left - 6, top + (i + 0.5) * cell);
    pen.globalAlpha = 1;
    for (let j = 0; j < map.s; j++) {
      const w = map.at(head, i, j);
      if (w < 0.002) continue;
      pen.fillStyle = tint(w);
      pen.fillRect(left + j * cell, top + i * cell, cell - 1, cell - 1);
    }
  }
  pen.fillStyle = ink; pen.textAlign = "left";
  for (let j = 0; j < map.s; j++) {
    pen.globalAlpha = under && under.j !== j ? 0.55 : 1;
    pen.save();
    pen.translate(left + (j + 0.5) * cell, top - 6);
    if ([...map.keys[j]].length === 1) { pen.textAlign = "center"; pen.textBaseline = "bottom"; }
    else pen.rotate(-Math.PI / 2);
    pen.fillText(cut(map.keys[j]), 0, 0);
    pen.restore();
  }
  pen.globalAlpha = 0.35; pen.strokeStyle = ink;
  pen.strokeRect(left - 0.5, top - 0.5, map.s * cell, map.t * cell);
  if (under) { pen.globalAlpha = 1; pen.strokeRect(left + under.j * cell - 0.5, top + under.i * cell - 0.5, cell, cell); }
  pen.globalAlpha = 1;
  place = { left, top, cell };
  canvas.setAttribute("aria-label", map.titles[head]);
  $("said").textContent = under
    ? map.queries[under.i] + " → " + map.keys[under.j] + ": " + map.at(head, under.i, under.j).toFixed(4)
    : "Point at the map: which token looks at which, and how much.";
  const i = under ? under.i : map.t - 1;
  $("strip").replaceChildren(map.queries[i] + " looks at: ", ...map.keys.flatMap((key, j) => {
    const span = document.createElement("span");
    span.textContent = key;
    span.title = map.at(head, i, j).toFixed(4);
    span.style.background = tint(map.at(head, i, j));
    return [span, " "];
  }));
}

$("map").onpointermove = ({ offsetX: x, offsetY: y }) => {
  const { map } = chosen, i = Math.floor((y - place.top) / place.cell), j = Math.floor((x - place.left) / place.cell);
  const next = i >= 0 && j >= 0 && i < map.t && j < map.s ? { i, j } : null;
  if ((next && next.i) === (under && under.i) && (next && next.j) === (under && under.j)) return;
  under = next;
  draw();
};
$("map").onpointerleave = () => { under = null; draw(); };
const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
document.onkeydown = (event) => {
  const step = steps[event.key], from = buttons.find((b) => b.map === chosen.map && b.head === chosen.head);
  if (!step || !from || event.altKey || event.ctrlKey || event.metaKey) return;
  const to = buttons.find((b) => b.table === from.table && b.row === from.row + step[0] && b.column === from.column + step[1]);
  if (!to) return;
  event.preventDefault();
  to.button.focus();
  to.button.click();
};
matchMedia("(prefers-color-scheme: dark)").onchange = draw;
draw();
`;
