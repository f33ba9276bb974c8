export { type AttentionHtmlOptions, attentionHtml } from "./attention-html.js";
export { type AttentionKind, type AttentionMap, attentionMaps, headWeights } from "./attention-maps.js";
export { type AttentionSvgOptions, attentionSvg } from "./attention-svg.js";
export { patch, withoutHeads } from "./edits.js";
export { type HeatMapOptions, heatMap } from "./heat-map.js";
export { type InnerPaths, innerPaths, type StackPaths } from "./inner-paths.js";
export { type InnerValue, paths } from "./inner-values.js";
export { type CompareOptions, compare, type LayerComparison, type LayerReport } from "./layer-report.js";
export { bestTokens, lensTable } from "./lens-table.js";
export { type LensLayer, logitLens } from "./logit-lens.js";
export type { BlankPositions, InspectedModel, ModelInput, Rows } from "./model-input.js";
export {
  type Captured,
  capture,
  type Edit,
  type Edits,
  edit,
  type InspectOptions,
  openProbe,
  type Probe,
} from "./probe.js";
export { tokenLabels } from "./token-labels.js";
