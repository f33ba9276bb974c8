import { TesseraError } from "../core/errors.js";
import { type HostTensor, zeroTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf, parameterTree } from "../core/module.js";
import type { Graph } from "../core/primitive.js";
import { randomStream } from "../core/random-stream.js";
import { type Aval, input, type Tensor } from "../core/tensor.js";
import { full } from "../ops/constant.js";
import { add, mul } from "../ops/elementwise.js";
import { accumulate } from "../ops/matmul.js";
import { reshape, slice } from "../ops/shape.js";
import type { Weights } from "../pretrained/weights.js";
import { compileGraph } from "../runtime/compile.js";
import type { Binding, Runtime, Session } from "../runtime/session.js";
import { pullback } from "../transforms/grad.js";
import { contexts, type Objective } from "./objective.js";
import { type OptimizerOptions, optimizerOf, optimizerScalars, updateParameters } from "./optimizer.js";

/** What a training step is made of. */
export interface TrainStepOptions {
  readonly module: AnyModule;
  /** The weights; every step updates these very arrays. */
  readonly weights: Weights;
  /** The optimizer's moments to go on from, updated in place like the weights. Default {@link freshMoments}. */
  readonly moments?: Moments;
  readonly objective: Objective;
  /** Rows of a step. */
  readonly batchSize: number;
  /** Rows that are processed at a time; must divide `batchSize`. The result is that of the whole batch. Default `batchSize`. */
  readonly microBatchSize?: number;
  /**
   * How micro-batches are processed: as `runs` of one small graph that adds to sums, then one run of the update (least memory); or
   * `unrolled`, all in one graph. Default `runs`.
   */
  readonly accumulation?: "runs" | "unrolled";
  readonly optimizer?: OptimizerOptions;
  /** Which parameters are trained. Default all but buffers, which never are. */
  readonly trainable?: (path: string) => boolean;
  /** Group of a parameter, 0, 1, …: each group has a learning rate of its own. Default one group. */
  readonly groupOf?: (path: string) => number;
  /** Decides the dropout masks, together with the number of the step. Default 0. */
  readonly seed?: number;
  /** Threads of the engine. Default: as {@link Runtime} chooses. The same number gives the same bits. */
  readonly threads?: number;
}

/** The means of gradients and, of the parameters that AdamW updates, of squared gradients, by parameter path. */
export interface Moments {
  readonly expAvg: Weights;
  readonly expAvgSq: Weights;
}

/** The moments before the first update: zeros. */
export function freshMoments(weights: Weights, optimizer: OptimizerOptions = {}): Moments {
  const squared = [...weights].filter(([path, { shape }]) => optimizerOf(path, shape, optimizer) === "adamw");
  return { expAvg: zerosLike(weights), expAvgSq: zerosLike(new Map(squared)) };
}

/** What a step tells. */
export interface StepValues {
  /** Mean loss of the batch, in nats, before the update. */
  readonly loss: number;
  /** Norm of the gradient over all parameters, before clipping. */
  readonly gradientNorm: number;
}

/** A compiled training step. Dispose it after use; weights and moments stay. */
export interface TrainStep extends Disposable {
  readonly weights: Weights;
  readonly moments: Moments;
  /** The tensors of a batch, to be filled before every step. */
  readonly batch: Readonly<Record<string, HostTensor>>;
  /**
   * Forward, backward and update of one batch.
   *
   * @param step number of updates before this one
   * @param learningRate of all parameters, or of each group
   */
  run(step: number, learningRate: number | readonly number[]): Promise<StepValues>;
}

/**
 * Compiles a training step: forward, gradients, clipping and the optimizer in one graph, with weights and moments updated in place. With
 * micro-batches the same parts make two graphs, or one that is unrolled.
 *
 * @throws TesseraError `argument` when the micro-batch does not divide the batch
 * @example
 * using step = await trainStep(nativeRuntime(), { module, weights, objective: causalLanguageModeling(128), batchSize: 16 });
 * fill(step.batch);
 * const { loss } = await step.run(0, 1e-3);
 */
export async function trainStep(runtime: Runtime, options: TrainStepOptions): Promise<TrainStep> {
  const { module, weights, objective, batchSize, microBatchSize = batchSize, optimizer = {}, seed = 0 } = options;
  const pieces = batchSize / microBatchSize;
  if (!(Number.isSafeInteger(pieces) && pieces > 0))
    throw new TesseraError(
      "argument",
      `trainStep: a micro-batch of ${microBatchSize} rows does not divide a batch of ${batchSize}`,
    );
  const inRuns = pieces > 1 && (options.accumulation ?? "runs") === "runs";
  const { groupOf = () => 0 } = options;
  const plan = planOf(module, options.trainable, groupOf);
  const moments = options.moments ?? freshMoments(weights, optimizer);
  const batch = Object.fromEntries(
    Object.entries(objective.batch(batchSize)).map(([name, aval]) => [name, zeroTensor(aval)]),
  );
  const keys = zeroTensor({ dtype: "int32", shape: [pieces, 2] });
  const scalars = Object.fromEntries(scalarNames(plan.groups).map((name) => [name, scalar()]));
  const results = { loss: scalar(), gradient_norm: scalar() };

  const only = (part: Weights) => new Map([...part].filter(([path]) => plan.groupOf.has(path)));
  const state: State = { weights: only(weights), expAvg: only(moments.expAvg), expAvgSq: only(moments.expAvgSq) };
  const compiled: Compiled[] = [];
  const compile = async (graph: Traced) => {
    const session = await compileGraph(runtime, graph, {
      outputNames: graph.outputNames,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    compiled.push({ session, bindings: [] });
    return (inputs: Readonly<Record<string, HostTensor>>, outputs: Readonly<Record<string, HostTensor>>) => {
      const binding = session.bind(inputs, outputs);
      compiled.at(-1)!.bindings.push(binding);
      return binding;
    };
  };

  let sums: Readonly<Record<string, HostTensor>> = {};
  const runs: Binding[] = [];
  try {
    if (!inRuns) {
      const bind = await compile(traceStep(plan, objective, microBatchSize, pieces, optimizer));
      runs.push(
        bind(
          { ...named({ ...state, weights }), ...batch, dropout_keys: keys, ...scalars },
          { ...results, ...next(named(state)) },
        ),
      );
    } else {
      sums = { ...named({ gradients: zerosLike(only(weights)) }), loss_sum: scalar(), count: scalar() };
      const micro = await compile(traceMicroStep(plan, objective, microBatchSize));
      for (let i = 0; i < pieces; i++) {
        const rows = Object.entries(batch).map(
          ([name, tensor]) => [name, rowsOf(tensor, i * microBatchSize, microBatchSize)] as const,
        );
        runs.push(
          micro(
            { ...named({ weights }), ...Object.fromEntries(rows), dropout_keys: rowsOf(keys, i, 1), ...sums },
            next(sums),
          ),
        );
      }
      const update = await compile(traceUpdate(plan, optimizer));
      runs.push(update({ ...named(state), ...sums, ...scalars }, { ...results, ...next(named(state)) }));
    }
  } catch (error) {
    dispose(compiled);
    throw error;
  }

  return {
    weights,
    moments,
    batch,
    async run(step, learningRate) {
      for (let g = 0; g < plan.groups; g++) {
        const rate = typeof learningRate === "number" ? learningRate : learningRate[g]!;
        for (const [name, value] of Object.entries(optimizerScalars(step, rate, optimizer)))
          scalars[`${name}.${g}`]!.data[0] = value;
      }
      const random = randomStream(seed, `dropout ${step}`); // a function of seed and step: there is no state to save
      for (let i = 0; i < keys.data.length; i++) keys.data[i] = random.int32();
      for (const sum of Object.values(sums)) sum.data.fill(0 as never);
      for (const binding of runs) await binding.run();
      return { loss: Number(results.loss.data[0]), gradientNorm: Number(results.gradient_norm.data[0]) };
    },
    [Symbol.dispose]: () => dispose(compiled),
  };
}

interface Compiled {
  readonly session: Session;
  readonly bindings: Binding[];
}

function dispose(compiled: readonly Compiled[]): void {
  for (const { session, bindings } of compiled) {
    for (const binding of bindings) binding.dispose();
    session.dispose();
  }
}

// --- graphs -----------------------------------------------------------------------------------------------------------

interface Traced extends Graph {
  readonly outputNames: readonly string[];
}

/** A part of the state: a tensor for every parameter. */
type State<T = HostTensor> = Readonly<Partial<Record<keyof typeof prefixes, ReadonlyMap<string, T>>>>;

/** What the state is called in graphs and files, before the path of the parameter. */
const prefixes = { weights: "", expAvg: "exp_avg.", expAvgSq: "exp_avg_sq.", gradients: "gradient." } as const;

function named<T>(state: State<T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(state).flatMap(([part, tensors]) =>
      [...tensors!].map(([path, tensor]) => [prefixes[part as keyof typeof prefixes] + path, tensor]),
    ),
  );
}

/** What a graph calls the new value of a tensor. */
function next<T>(tensors: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`next.${name}`, tensor]));
}

function traced(inputs: readonly Tensor[], outputs: Readonly<Record<string, Tensor>>): Traced {
  return { inputs, outputs: Object.values(outputs), outputNames: Object.keys(outputs) };
}

/** What is trained: the module, and the group of each parameter that changes. */
interface Plan {
  readonly module: AnyModule;
  readonly groupOf: ReadonlyMap<string, number>;
  readonly groups: number;
}

function planOf(
  module: AnyModule,
  trainable: (path: string) => boolean = () => true,
  group: (path: string) => number,
): Plan {
  const trained = [...parametersOf(module)].filter(([path, { fixed }]) => !fixed && trainable(path));
  if (trained.length === 0) throw new TesseraError("argument", "trainStep: no parameter is trained");
  const groupOf = new Map(trained.map(([path]) => [path, group(path)]));
  return { module, groupOf, groups: 1 + Math.max(...groupOf.values()) };
}

/** Inputs for a part of the state: for the forward all weights, else those of trained parameters. */
function stateInputs({ module, groupOf }: Plan, part: keyof typeof prefixes, all = false): Map<string, Tensor> {
  return new Map(
    [...parametersOf(module)]
      .filter(([path]) => all || groupOf.has(path))
      .map(([path, { shape }]) => [path, input(prefixes[part] + path, shape)]),
  );
}

/** Sums over rows: of the losses, of what counts, and of the losses' gradients by parameter. */
interface Sums {
  readonly loss: Tensor;
  readonly count: Tensor;
  readonly gradients: ReadonlyMap<string, Tensor>;
}

function sumsOf(
  { module, groupOf }: Plan,
  objective: Objective,
  weights: ReadonlyMap<string, Tensor>,
  batch: Readonly<Record<string, Tensor>>,
  key: Tensor,
): Sums {
  const tree = parameterTree(module, (path) => weights.get(path));
  const { loss, count } = objective.loss(module, tree, batch, contexts(key));
  const trained = [...weights].filter(([path]) => groupOf.has(path));
  const parameters = trained.map(([, tensor]) => tensor);
  // The gradient of the sum, loss · count; the count depends on no parameter.
  const gradients = pullback([loss], [count], parameters).map((g, i) => g ?? full(parameters[i]!.shape, 0));
  return {
    loss: mul(loss, count),
    count,
    gradients: new Map(trained.map(([path], i) => [path, gradients[i]!])),
  };
}

function addSums(a: Sums, b: Sums): Sums {
  const gradients = new Map([...a.gradients].map(([path, g]) => [path, accumulate(g, b.gradients.get(path)!)]));
  return { loss: add(a.loss, b.loss), count: add(a.count, b.count), gradients };
}

const inputsOf = (batch: Readonly<Record<string, Aval>>) =>
  Object.fromEntries(Object.entries(batch).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]));

/** Everything: forward and backward of each piece, then the update. */
function traceStep(
  plan: Plan,
  objective: Objective,
  rows: number,
  pieces: number,
  optimizer: OptimizerOptions,
): Traced {
  const weights = stateInputs(plan, "weights", true);
  const batch = inputsOf(objective.batch(rows * pieces));
  const keys = input("dropout_keys", [pieces, 2], "int32");
  const part = (x: Tensor, i: number, size: number) => (pieces === 1 ? x : slice(x, 0, i * size, (i + 1) * size));
  const sums = Array.from({ length: pieces }, (_, i) => {
    const piece = Object.fromEntries(Object.entries(batch).map(([name, x]) => [name, part(x, i, rows)]));
    return sumsOf(plan, objective, weights, piece, reshape(part(keys, i, 1), [2]));
  }).reduce(addSums);
  const update = updateOf(plan, weights, sums, optimizer);
  return traced([...weights.values(), ...Object.values(batch), keys, ...update.inputs], update.outputs);
}

/** Forward and backward of one piece, added to the sums. */
function traceMicroStep(plan: Plan, objective: Objective, rows: number): Traced {
  const weights = stateInputs(plan, "weights", true);
  const batch = inputsOf(objective.batch(rows));
  const keys = input("dropout_keys", [1, 2], "int32");
  const before: Sums = {
    loss: input("loss_sum", []),
    count: input("count", []),
    gradients: stateInputs(plan, "gradients"),
  };
  const after = addSums(before, sumsOf(plan, objective, weights, batch, reshape(keys, [2])));
  const inputs = [
    ...weights.values(),
    ...Object.values(batch),
    keys,
    before.loss,
    before.count,
    ...before.gradients.values(),
  ];
  return traced(inputs, next({ loss_sum: after.loss, count: after.count, ...named({ gradients: after.gradients }) }));
}

/** The update from the sums. */
function traceUpdate(plan: Plan, optimizer: OptimizerOptions): Traced {
  const weights = stateInputs(plan, "weights");
  const sums: Sums = {
    loss: input("loss_sum", []),
    count: input("count", []),
    gradients: stateInputs(plan, "gradients"),
  };
  const update = updateOf(plan, weights, sums, optimizer);
  return traced(
    [...weights.values(), sums.loss, sums.count, ...sums.gradients.values(), ...update.inputs],
    update.outputs,
  );
}

function updateOf(
  plan: Plan,
  weights: ReadonlyMap<string, Tensor>,
  { loss, count, gradients }: Sums,
  optimizer: OptimizerOptions,
) {
  const expAvg = stateInputs(plan, "expAvg");
  const expAvgSq = new Map(
    [...stateInputs(plan, "expAvgSq")].filter(([path, { shape }]) => optimizerOf(path, shape, optimizer) === "adamw"),
  );
  const scalars = Object.fromEntries(scalarNames(plan.groups).map((name) => [name, input(name, [])]));
  const paths = [...plan.groupOf.keys()];
  const parameters = paths.map((path) => {
    const squared = expAvgSq.get(path);
    return {
      weight: weights.get(path)!,
      expAvg: expAvg.get(path)!,
      ...(squared ? { expAvgSq: squared } : {}),
      gradient: gradients.get(path)!,
      group: plan.groupOf.get(path)!,
    };
  });
  const groups = Array.from({ length: plan.groups }, (_, g) => ({
    slope: scalars[`slope.${g}`]!,
    offset: scalars[`offset.${g}`]!,
    keep: scalars[`keep.${g}`]!,
    rate: scalars[`rate.${g}`]!,
  }));
  const { updated, gradientNorm, loss: mean } = updateParameters(parameters, count, loss, groups, optimizer);
  const part = (key: "weight" | "expAvg" | "expAvgSq") =>
    new Map(paths.flatMap((path, i) => (updated[i]![key] ? [[path, updated[i]![key]!] as const] : [])));
  const after = named({ weights: part("weight"), expAvg: part("expAvg"), expAvgSq: part("expAvgSq") });
  return {
    inputs: [...expAvg.values(), ...expAvgSq.values(), ...Object.values(scalars)],
    outputs: { loss: mean, gradient_norm: gradientNorm, ...next(after) },
  };
}

const scalarNames = (groups: number) =>
  Array.from({ length: groups }, (_, g) => ["slope", "offset", "keep", "rate"].map((name) => `${name}.${g}`)).flat();

// --- memory -----------------------------------------------------------------------------------------------------------

const scalar = () => zeroTensor({ dtype: "float32", shape: [] });

/** Zeros of the shapes of weights, by the same paths. */
export const zerosLike = (weights: Weights): Weights =>
  new Map([...weights].map(([path, tensor]) => [path, zeroTensor(tensor)]));

/** A view of some rows, over the same memory. */
function rowsOf({ dtype, shape, data }: HostTensor, start: number, count: number): HostTensor {
  const width = data.length / shape[0]!;
  return { dtype, shape: [count, ...shape.slice(1)], data: data.subarray(start * width, (start + count) * width) };
}
