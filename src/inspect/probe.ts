import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import { type HostTensor, zeroTensor } from "../core/host-tensor.js";
import type { Tensor } from "../core/tensor.js";
import { compileGraph } from "../runtime/compile.js";
import type { Runtime, Session } from "../runtime/session.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { innerValues, selectPaths } from "./inner-values.js";
import { type Feeds, type InspectedModel, type ModelInput, modelFeeds } from "./model-input.js";
import { type FeedShapes, namedShapes, type Symbols, symbolsOf, traceModel } from "./trace-model.js";

/** What takes a value's place: of the same type. */
export type Edit = (value: Tensor, path: string) => Tensor;

/** Edits by path or pattern, see {@link selectPaths}. Where several match, each gets what the one before gave. */
export type Edits = Readonly<Record<string, Edit>>;

/** What a model computed on the way to its outputs. */
export interface Captured {
  /** By the names of transformers: `logits`, `last_hidden_state`, …. */
  readonly outputs: Readonly<Record<string, HostTensor>>;
  /** By path, in the order of computation. */
  readonly values: ReadonlyMap<string, HostTensor>;
}

/** How an input is read and run. */
export interface InspectOptions {
  /** For input that is text. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Default: the native runtime. */
  readonly runtime?: Runtime | undefined;
}

/** A model compiled with a look inside, for inputs of any size. */
export interface Probe extends Disposable {
  /** What each run captures. */
  readonly paths: readonly string[];
  run(input: ModelInput): Promise<Captured>;
  /** Frees the engine's part; it cannot run again. */
  dispose(): void;
}

/**
 * Runs a model and keeps values on the way, without touching its file.
 *
 * @param patterns paths, `*` for any part of them, or `"hidden_states"`, `"attentions"` and the like as transformers names them
 * @throws TesseraError `argument` for an input that does not fit or a pattern without a path, which names the nearest
 * @example
 * const { outputs, values } = await capture(model, "Call me", ["*.attention_weights", "transformer.h.3"], { tokenizer });
 */
export async function capture(
  model: InspectedModel,
  input: ModelInput,
  patterns: readonly string[],
  options: InspectOptions = {},
): Promise<Captured> {
  return edit(model, input, {}, patterns, options);
}

/**
 * Runs a model with values replaced on the way, and keeps outputs and values as they are then. Ablation multiplies a value by a mask,
 * patching puts one from another run in its place: {@link withoutHeads}, {@link patch}.
 *
 * @throws TesseraError `argument` for a pattern without a path, or a value that nothing is computed from; `shape` for another type
 * @example
 * const { outputs } = await edit(model, ids, { "transformer.h.0.attn": (x) => mul(x, 0) });
 */
export async function edit(
  model: InspectedModel,
  input: ModelInput,
  edits: Edits,
  patterns: readonly string[] = [],
  options: InspectOptions = {},
): Promise<Captured> {
  const feeds = modelFeeds(model, input, options.tokenizer);
  const shapes = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, tensor?.shape]));
  using probe = await compileProbe(model, shapes, edits, patterns, options);
  return await probe.runFeeds(feeds);
}

/**
 * Compiles a model once to look into it many times. Values that edits bring along must fit every input.
 *
 * @throws TesseraError as {@link capture} and {@link edit} do
 * @example
 * using probe = await openProbe(model, { capture: ["attentions"], tokenizer });
 * for (const text of texts) console.log((await probe.run(text)).values);
 */
export async function openProbe(
  model: InspectedModel,
  { capture = [], edit = {}, ...options }: InspectOptions & { capture?: readonly string[]; edit?: Edits },
): Promise<Probe> {
  const { runFeeds, paths, dispose } = await compileProbe(model, namedShapes(model), edit, capture, options);
  return {
    paths,
    run: async (input) => runFeeds(modelFeeds(model, input, options.tokenizer)),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

interface CompiledProbe extends Disposable {
  readonly paths: readonly string[];
  runFeeds(feeds: Feeds): Promise<Captured>;
  dispose(): void;
}

async function compileProbe(
  model: InspectedModel,
  shapes: FeedShapes,
  edits: Edits,
  patterns: readonly string[],
  { runtime }: InspectOptions,
): Promise<CompiledProbe> {
  const symbols = symbolsOf(model, shapes);
  const known = innerValues(model, symbols);
  const paths = selectPaths("capture", model, known, patterns);
  const chosen = Object.entries(edits).map(
    ([pattern, f]) => [new Set(selectPaths("edit", model, known, [pattern])), f] as const,
  );
  const edited = new Map<string, Tensor>();
  const kept = new Map<string, Tensor>();
  const outputs = traceModel(model, symbols, (path, value) => {
    const applied = chosen.filter(([at]) => at.has(path));
    const result = applied.reduce((x, [, f]) => checked(path, value, f(x, path)), value);
    if (applied.length > 0) edited.set(path, result);
    if (paths.includes(path)) kept.set(path, result);
    return result;
  });
  refuseIdle(edited, outputs, kept);
  const names = Object.keys(outputs);
  const results = { ...outputs, ...Object.fromEntries([...kept].map(([path, x]) => [`in the model: ${path}`, x])) };
  const session = await compileSymbols(model, symbols, results, runtime);
  return {
    paths: [...kept.keys()],
    dispose: session.dispose,
    [Symbol.dispose]: session.dispose,
    async runFeeds(feeds) {
      const all = await session.run(feeds);
      return {
        outputs: Object.fromEntries(names.map((name) => [name, all[name]!])),
        values: new Map([...kept.keys()].map((path) => [path, all[`in the model: ${path}`]!])),
      };
    },
  };
}

function checked(path: string, before: Tensor, after: Tensor): Tensor {
  if (after.dtype === before.dtype && sameShape(after.shape, before.shape)) return after;
  const type = ({ dtype, shape }: Tensor) => `${dtype}${formatShape(shape)}`;
  throw new TesseraError("shape", `edit: ${path} must stay of its type, ${type(before)} became ${type(after)}`);
}

/** An edit that changes nothing is a mistake: a value behind the output, or one that is shown after it was used. */
function refuseIdle(
  edited: ReadonlyMap<string, Tensor>,
  outputs: Readonly<Record<string, Tensor>>,
  kept: ReadonlyMap<string, Tensor>,
): void {
  for (const [path, value] of edited) {
    const ends = [...Object.values(outputs), ...[...kept].filter(([other]) => other !== path).map(([, x]) => x)];
    const used = new Set([...ends, ...topologicalOrder(ends).flatMap((node) => node.inputs)]);
    if (!used.has(value))
      throw new TesseraError(
        "argument",
        `edit: nothing is computed from ${path}, so that editing it changes nothing. Edit what comes before it`,
      );
  }
}

/** A graph over a model's input and weights, compiled. */
export async function compileSymbols(
  model: InspectedModel,
  { given, parameters }: Symbols,
  results: Readonly<Record<string, Tensor>>,
  runtime?: Runtime,
): Promise<{ run(feeds: Feeds): Promise<Record<string, HostTensor>>; dispose(): void } & Disposable> {
  const outputs = Object.values(results);
  const used = new Set([...outputs, ...topologicalOrder(outputs).flatMap((node) => node.inputs)]);
  const inputs = Object.entries<Tensor>(given).filter(([, x]) => used.has(x));
  const weights = [...parameters].filter(([, x]) => used.has(x));
  const session: Session = await compileGraph(
    runtime ?? (await import("../runtime/native.js")).nativeRuntime(),
    { inputs: [...inputs, ...weights].map(([, x]) => x), outputs },
    {
      outputNames: Object.keys(results),
      weights: Object.fromEntries(weights.map(([path]) => [path, model.weights.get(path)!])),
      config: { "session.disable_prepacking": "1" }, // few runs: not worth a second copy of the weights
    },
  );
  const dispose = () => session.dispose();
  return {
    run: (feeds) =>
      session.run(
        Object.fromEntries(inputs.map(([name, x]) => [x.name, feeds[name as keyof Feeds] ?? usual(name, feeds)])),
      ),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** What a graph for any input is given where an input has no such part: no padding, one segment. */
function usual(name: string, { ids }: Feeds): HostTensor {
  const zeros = zeroTensor({ dtype: "int64", shape: ids.shape.slice(0, 2) });
  if (name === "attentionMask") (zeros.data as BigInt64Array).fill(1n);
  return zeros;
}
