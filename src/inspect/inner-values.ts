import type { Shape } from "../core/dim.js";
import type { DType } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { type InnerPaths, innerPaths, type StackPaths } from "./inner-paths.js";
import type { InspectedModel } from "./model-input.js";
import { namedShapes, type Symbols, symbolsOf, traceModel } from "./trace-model.js";

/** A value within a model: the output of a module, or what a block shows. */
export interface InnerValue {
  /** `transformer.h.0.mlp`, `transformer.h.0.attn.attention_weights`; a module's second call has `@2` behind its path. */
  readonly path: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * What can be captured and edited of a model, in the order of computation, with named sizes: `b` rows, `t` tokens, of an
 * encoder-decoder `s` tokens of the source.
 *
 * @example paths(model).map(({ path, shape }) => `${path} [${shape}]`)
 */
export function paths(model: InspectedModel): readonly InnerValue[] {
  return innerValues(model, symbolsOf(model, namedShapes(model)));
}

/** The same for an input of given sizes. */
export function innerValues(model: InspectedModel, symbols: Symbols): readonly InnerValue[] {
  const found: InnerValue[] = [];
  traceModel(model, symbols, (path, value) => {
    found.push({ path, dtype: value.dtype, shape: value.shape });
    return value;
  });
  return found;
}

/**
 * Where inner values are that transformers returns by name: `hidden_states.0` → `transformer.embeddings`, `attentions.3`,
 * `encoder_hidden_states.1`, `cross_attentions.0`, `encoder_last_hidden_state`, …. Empty for a family without a table.
 */
export function namedValues(model: InspectedModel, values: readonly InnerValue[]): ReadonlyMap<string, string> {
  const table: InnerPaths | undefined = innerPaths[model.family.modelType];
  const at = finder(model, values);
  const names = new Map<string, string>();
  const put = (name: string, path: string | undefined) => path !== undefined && names.set(name, path);
  const stack = (side: string, { embeddings, layer, last, attention, cross }: StackPaths) => {
    let layers = 0;
    while (at(layer.replace("#", String(layers))) !== undefined) layers++;
    if (layers === 0) return;
    put(`${side}hidden_states.0`, at(embeddings));
    for (let i = 0; i < layers; i++) {
      put(`${side}attentions.${i}`, at(attention.replace("#", String(i))));
      if (side === "decoder_") put(`cross_attentions.${i}`, at(cross?.replace("#", String(i))));
      const output = at(layer.replace("#", String(i)));
      put(`${side}hidden_states.${i + 1}`, i === layers - 1 ? (at(last) ?? output) : output);
    }
    if (side === "encoder_") put("encoder_last_hidden_state", names.get(`encoder_hidden_states.${layers}`));
  };
  if (!table) return names;
  if ("encoder" in table) for (const side of ["encoder", "decoder"] as const) stack(`${side}_`, table[side]);
  else stack("", table);
  return names;
}

/**
 * What goes into the first layer of a model's last stack, and what each layer gives: the residual stream before any final norm. Empty for
 * a family without a table.
 */
export function layerPaths(model: InspectedModel, values: readonly InnerValue[]): readonly string[] {
  const table: InnerPaths | undefined = innerPaths[model.family.modelType];
  if (!table) return [];
  const { embeddings, layer } = "decoder" in table ? table.decoder : table;
  const at = finder(model, values);
  const found: string[] = [];
  for (let path = at(embeddings); path !== undefined; path = at(layer.replace("#", String(found.length - 1))))
    found.push(path);
  return found;
}

/** Finds a path of the table; a model without a head has the same ones without the prefix. */
function finder({ family }: InspectedModel, values: readonly InnerValue[]) {
  const known = new Set(values.map(({ path }) => path));
  const prefix = family.checkpoint?.basePrefix ?? "";
  return (path: string | undefined) =>
    path === undefined ? undefined : [path, path.replace(prefix, "")].find((name) => known.has(name));
}

/**
 * The paths that patterns stand for, in the order of computation: a path, one with `*` for anything (`*.attn.attention_weights`), or a
 * name of transformers', single (`hidden_states.2`) or of a kind (`hidden_states`, `attentions`: of an encoder-decoder those of both halves).
 *
 * @throws TesseraError `argument` naming what is nearest to a pattern without a path
 */
export function selectPaths(
  where: string,
  model: InspectedModel,
  values: readonly InnerValue[],
  patterns: readonly string[],
): readonly string[] {
  const named = namedValues(model, values);
  const wanted = new Set<string>();
  for (const pattern of patterns) {
    const glob = globOf(pattern);
    const byName = [...named].filter(([name]) => name === pattern || kindsOf(name).includes(pattern));
    const byPath = values.filter(({ path }) => glob.test(path)).map(({ path }) => path);
    const attentions = pattern === "attentions" && byName.length === 0 ? attentionPaths(values) : [];
    const found = [...byName.map(([, path]) => path), ...byPath, ...attentions];
    if (found.length === 0) {
      const near = nearest(pattern, [...values.map(({ path }) => path), ...named.keys()]);
      throw new TesseraError("argument", `${where}: the model has nothing at ${quote(pattern)} (near it: ${near})`);
    }
    for (const path of found) wanted.add(path);
  }
  return values.map(({ path }) => path).filter((path) => wanted.has(path));
}

/** Paths of attention weights, in the order of computation. */
export function attentionPaths(values: readonly InnerValue[]): readonly string[] {
  return values.map(({ path }) => path).filter((path) => /(^|\.)attention_weights(@\d+)?$/.test(path));
}

/** What a name is one of: `encoder_hidden_states.1` of `encoder_hidden_states` and of `hidden_states`. */
function kindsOf(name: string): readonly string[] {
  const kind = name.replace(/\.\d+$/, "");
  return kind === name ? [] : [kind, kind.replace(/^(encoder|decoder|cross)_/, "")];
}

const globOf = (pattern: string) =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  );

function nearest(wanted: string, names: readonly string[]): string {
  const ranked = names.map((name) => [name, distance(wanted, name)] as const).sort(([, a], [, b]) => a - b);
  return ranked
    .slice(0, 3)
    .map(([name]) => name)
    .join(", ");
}

/** How many characters have to be put in, left out or replaced. Levenshtein 1966. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
