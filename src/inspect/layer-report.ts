import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { openSafetensors } from "../hub/safetensors.js";
import type { Runtime } from "../runtime/session.js";
import { namedValues, paths } from "./inner-values.js";
import type { InspectedModel, ModelInput } from "./model-input.js";
import { capture } from "./probe.js";

/** One recorded value beside the model's. */
export interface LayerComparison {
  /** As transformers calls it: `hidden_states.2`, `attentions.0`, `logits`. */
  readonly name: string;
  /** Where the model has it; undefined for an output. */
  readonly path: string | undefined;
  readonly shape: readonly number[];
  /** Largest |Δ|; infinity where shapes differ or a value is not a number. */
  readonly error: number;
  readonly within: boolean;
  /** Where the difference is largest, and both values there; undefined where shapes differ or nothing does. */
  readonly worst?: { readonly at: readonly number[]; readonly expected: number; readonly actual: number } | undefined;
  /** The model's shape where it is another one. */
  readonly otherShape?: readonly number[] | undefined;
}

/** A model held against what was recorded of it, layer by layer. */
export interface LayerReport {
  /** In the order of computation, outputs last. */
  readonly rows: readonly LayerComparison[];
  /** The first that is not within the tolerance: where the fault is. */
  readonly firstDifference: LayerComparison | undefined;
  /** Recorded names that the model has nothing for. */
  readonly notCompared: readonly string[];
  readonly tolerance: number;
  /** For people: the first difference, then a line for each value. */
  toString(): string;
}

/** How a model is held against a recording. */
export interface CompareOptions {
  /** Largest |Δ| that is no difference. Default 1e-4. */
  readonly tolerance?: number | undefined;
  /** Default: the native runtime. */
  readonly runtime?: Runtime | undefined;
}

/**
 * Compares a model's hidden states, attention maps and outputs with recorded ones, to find the layer where it goes wrong.
 *
 * @param golden a folder with a `golden.safetensors`, or its tensors: inputs under `in.input_ids`, `in.attention_mask`,
 *   `in.token_type_ids`, `in.decoder_input_ids`; recorded values under `out.` and the name that transformers gives them,
 *   `out.hidden_states.0`, `out.attentions.0`, `out.encoder_hidden_states.0`, `out.cross_attentions.0`, `out.logits`
 * @throws TesseraError `argument` for a recording without input or without any value that the model has
 * @example console.log(String(await compare(await loadModel("my-gpt2"), "recorded")));
 */
export async function compare(
  model: InspectedModel,
  golden: string | ReadonlyMap<string, HostTensor>,
  { tolerance = 1e-4, runtime }: CompareOptions = {},
): Promise<LayerReport> {
  const where = typeof golden === "string" ? `${golden}/golden.safetensors` : "golden";
  const tensors = typeof golden === "string" ? readAll(where) : golden;
  const recorded = [...tensors].flatMap(([name, tensor]) =>
    name.startsWith("out.") ? [[name.slice("out.".length), tensor] as const] : [],
  );
  const at = namedValues(model, paths(model));
  const wanted = recorded.flatMap(([name]) => at.get(name) ?? []);
  const { outputs, values } = await capture(model, inputOf(model, tensors, where), wanted, { runtime });
  const own = (name: string) => {
    const path = at.get(name);
    return outputs[name] ?? (path === undefined ? undefined : values.get(path));
  };
  const order = [...values.keys()];
  const rank = (name: string) => (name in outputs ? order.length : order.indexOf(at.get(name)!));
  const rows = recorded
    .filter(([name]) => own(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, expected]) => ({
      name,
      path: name in outputs ? undefined : at.get(name),
      ...difference(own(name)!, expected, tolerance),
    }));
  if (rows.length === 0)
    throw new TesseraError(
      "argument",
      `${where}: it holds nothing that the model has (out.logits, out.hidden_states.0, …)`,
    );
  const report = {
    rows,
    firstDifference: rows.find((row) => !row.within),
    notCompared: recorded.map(([name]) => name).filter((name) => !own(name)),
    tolerance,
  };
  return { ...report, toString: () => formatReport(report) };
}

function readAll(path: string): ReadonlyMap<string, HostTensor> {
  using file = openSafetensors(path);
  const names = [...file.tensors.keys()].filter((name) => /^(in|out)\./.test(name));
  return new Map(names.map((name) => [name, file.read(name)]));
}

function inputOf({ task }: InspectedModel, tensors: ReadonlyMap<string, HostTensor>, where: string): ModelInput {
  const needed = (name: string) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new TesseraError("argument", `${where}: it has no ${name}`);
    return tensor;
  };
  const attentionMask = tensors.get("in.attention_mask");
  if (task === "seq2seq-lm")
    return { source: needed("in.input_ids"), target: needed("in.decoder_input_ids"), attentionMask };
  return { ids: needed("in.input_ids"), attentionMask, segments: tensors.get("in.token_type_ids") };
}

function difference(
  actual: HostTensor,
  expected: HostTensor,
  tolerance: number,
): Pick<LayerComparison, "shape" | "error" | "within" | "worst" | "otherShape"> {
  const { shape } = expected;
  if (!sameShape(actual.shape, shape))
    return { shape, error: Number.POSITIVE_INFINITY, within: false, otherShape: actual.shape };
  let [error, index] = [0, -1];
  for (let i = 0; i < expected.data.length; i++) {
    const delta = Math.abs(Number(actual.data[i]) - Number(expected.data[i]));
    if (delta <= error) continue;
    [error, index] = [Number.isNaN(delta) ? Number.POSITIVE_INFINITY : delta, i]; // not a number, or larger
    if (error === Number.POSITIVE_INFINITY) break;
  }
  const worst =
    index < 0
      ? undefined
      : { at: placeOf(index, shape), expected: Number(expected.data[index]), actual: Number(actual.data[index]) };
  return { shape, error, within: error <= tolerance, worst };
}

/** The indices of an element. */
function placeOf(index: number, shape: readonly number[]): readonly number[] {
  const at: number[] = [];
  for (const size of shape.toReversed()) {
    at.unshift(index % size);
    index = Math.floor(index / size);
  }
  return at;
}

function formatReport({ rows, firstDifference: first, notCompared, tolerance }: Omit<LayerReport, "toString">): string {
  const number = (x: number) => (x === 0 ? "0" : Number.isFinite(x) ? x.toExponential(1) : "∞");
  const title = ({ name, path }: LayerComparison) => (path === undefined ? name : `${name} (${path})`);
  const count = rows.filter((row) => !row.within).length;
  const summary = first
    ? `first difference: ${title(first)}, ${
        first.otherShape
          ? `shape ${formatShape(first.otherShape)}, recorded ${formatShape(first.shape)}`
          : `|Δ| ${number(first.error)} at ${formatShape(first.worst!.at)}: ${first.worst!.actual}, recorded ${first.worst!.expected}`
      }; ${count} of ${rows.length} differ by more than ${tolerance}`
    : `no difference: ${rows.length} values within ${tolerance}, largest |Δ| ${number(Math.max(...rows.map((row) => row.error)))}`;
  const width = (cells: readonly string[]) => Math.max(...cells.map((cell) => cell.length));
  const [names, shapes] = [width(rows.map((row) => row.name)), width(rows.map((row) => formatShape(row.shape)))];
  return [
    summary,
    ...rows.map((row) =>
      `  ${row.within ? "ok     " : "DIFFERS"}  ${row.name.padEnd(names)}  ${formatShape(row.shape).padEnd(shapes)}  ${number(row.error).padStart(7)}  ${row.path ?? ""}`.trimEnd(),
    ),
    ...(notCompared.length > 0 ? [`  not compared: ${notCompared.join(", ")}`] : []),
  ].join("\n");
}
