import type { AttentionMap } from "./attention-maps.js";
import { pageScript, pageStyle } from "./attention-page.js";
import { escapeXml } from "./attention-svg.js";
import { mapTitle } from "./heat-map.js";

/** How a page of attention is written. */
export interface AttentionHtmlOptions {
  /** Its heading; default "Attention". */
  readonly title?: string | undefined;
}

/**
 * All attention maps of a text as one page without anything from outside: a grid of every layer and head, the chosen one large, and the
 * weight under the pointer. Arrow keys go from head to head. Weights are kept to 1/65535.
 *
 * @example await writeFile("attention.html", attentionHtml(await attentionMaps(model, text, { tokenizer })));
 */
export function attentionHtml(
  maps: readonly AttentionMap[],
  { title = "Attention" }: AttentionHtmlOptions = {},
): string {
  const data = maps.map((map) => ({
    kind: map.kind,
    layer: map.layer,
    heads: map.heads,
    titles: [...Array.from({ length: map.heads }, (_, h) => h), "mean" as const].map((head) => mapTitle(map, head)),
    queries: map.queries,
    keys: map.keys,
    weights: base64(Uint16Array.from(map.weights, (w) => Math.round(Math.min(1, Math.max(0, w)) * 65535))),
  }));
  // Within a script element only its end tag and comments are markup.
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<h1>${escapeXml(title)}</h1>
<main>
<nav id="grid" aria-label="Layers and heads"></nav>
<section>
<h2 id="name"></h2>
<p id="said" role="status"></p>
<canvas id="map" role="img"></canvas>
<p id="strip" lang="und"></p>
</section>
</main>
<script id="data" type="application/json">${json}</script>
<script>${pageScript}</script>
</body>
</html>
`;
}

/** Little-endian, in base64. */
function base64(values: Uint16Array): string {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value, true);
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
