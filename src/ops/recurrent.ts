import { formatShape, sameShape } from "../core/dim.js";
import { isFloating } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { renode, topologicalOrder } from "../core/graph.js";
import {
  bind,
  bindAll,
  type Graph,
  type GraphNode,
  type Ops,
  type Primitive,
  type VjpArguments,
} from "../core/primitive.js";
import { type Aval, input, type Tensor } from "../core/tensor.js";
import { unobserved } from "../core/trace.js";
import { axisOf } from "./reduce.js";
import { transpose } from "./shape.js";

/** What one step of a {@link scan} returns. */
export interface ScanStep {
  /** The carries after the step, of the same types as before it. */
  readonly carries: readonly Tensor[];
  /** What is kept of the step. Default: nothing. */
  readonly ys?: readonly Tensor[];
}

/** What a {@link scan} returns. */
export interface ScanResult {
  /** The carries after the last step. */
  readonly carries: readonly Tensor[];
  /** The `ys` of all steps, stacked along the scanned axis in the order of `xs`. */
  readonly ys: readonly Tensor[];
}

/** How a {@link scan} runs. */
export interface ScanOptions {
  /** The axis of `xs` that is run along, and of `ys` that results are stacked along; from the left. Default 1: `[b, t, ...]`. */
  readonly axis?: number;
  /** Run from the last element to the first. Default false. */
  readonly reverse?: boolean;
}

/**
 * A loop over one axis: `(sᵢ, yᵢ) = body(sᵢ₋₁, xᵢ)`.
 *
 * The body is traced once. It may use any tensor from outside, such as weights; what in it depends neither on the carries nor
 * on the elements is computed once, before the loop. Observers see nothing of it: show what is kept, after the loop.
 *
 * @param body one step: from the carries and the elements `xs[:, i, ...]` (without the axis) to the next carries and the step's results
 * @param carries the carries before the first step; `body` keeps their types
 * @param xs at least one tensor; all of one length along the axis
 * @throws TesseraError `argument` without `xs`; `shape` where lengths differ or a carry changes its type
 * @example
 * const { ys: [sums] } = scan(([s], [x]) => { const y = add(s!, x!); return { carries: [y], ys: [y] }; }, [zeros], [x]);
 */
export function scan(
  body: (carries: readonly Tensor[], xs: readonly Tensor[]) => ScanStep,
  carries: readonly Tensor[],
  xs: readonly Tensor[],
  { axis = 1, reverse = false }: ScanOptions = {},
): ScanResult {
  if (xs.length === 0) throw new TesseraError("argument", "scan: no tensors to run along");
  const stacks = xs.map((x) => toFront(x, axisOf(axis, x.rank)));
  const before = carries.map((s, i) => input(`carry${i}`, s.shape, s.dtype));
  const elements = stacks.map((x, i) => input(`x${i}`, x.shape.slice(1), x.dtype));
  const step = unobserved(() => body(before, elements));
  if (step.carries.length !== carries.length)
    throw new TesseraError(
      "argument",
      `scan: the step returns other carries than it gets (${carries.length} vs ${step.carries.length})`,
    );
  const after = loop({ before, elements, after: step.carries, ys: step.ys ?? [] }, carries, stacks, reverse);
  return { carries: after.carries, ys: after.ys.map((y) => toFront(y, axisOf(axis, y.rank), true)) };
}

/** Axis `axis` before all others, or, with `back`, the first axis at `axis`. */
function toFront(x: Tensor, axis: number, back = false): Tensor {
  const others = x.shape.map((_, i) => i).filter((i) => i !== (back ? 0 : axis));
  return transpose(x, back ? others.toSpliced(axis, 0, 0) : [axis, ...others]);
}

/** A step as tensors: results in terms of placeholders. */
interface Step {
  readonly before: readonly Tensor[];
  readonly elements: readonly Tensor[];
  readonly after: readonly Tensor[];
  readonly ys: readonly Tensor[];
}

/**
 * Binds the loop over a step along the first axis. What the step uses beside its placeholders becomes an input of the loop, so
 * that gradients reach it; `outside` says what stands for a tensor there, where that is not the tensor itself.
 */
function loop(
  step: Step,
  carries: readonly Tensor[],
  xs: readonly Tensor[],
  reverse: boolean,
  outside: ReadonlyMap<Tensor, Tensor> = new Map(),
): ScanResult {
  const beside = new Map(outside);
  const variables = [...step.before, ...step.elements];
  const made = new Map<Tensor, Tensor>(variables.map((x) => [x, input(x.name, x.shape, x.dtype)]));
  const captured = new Map<Tensor, Tensor>();
  const of = (x: Tensor): Tensor => {
    const inside = made.get(x);
    if (inside) return inside;
    const outer = beside.get(x) ?? x;
    const so = captured.get(outer) ?? input(outer.name, outer.shape, outer.dtype);
    captured.set(outer, so);
    return so;
  };
  const ys = [...new Set(step.ys)];
  const results = [...step.after, ...ys];
  for (const node of topologicalOrder(results, new Set(variables))) {
    const inside = node.inputs.some((x) => made.has(x));
    if (!inside && !node.inputs.some((x) => beside.has(x))) continue;
    const inputs = node.inputs.map((x) => (inside ? of(x) : (beside.get(x) ?? x)));
    const copy = renode(node, inputs);
    for (const [i, y] of node.outputs.entries()) (inside ? made : beside).set(y, copy.outputs[i]!);
  }
  const outputs = results.map(of);
  const body = { inputs: [...variables.map(of), ...captured.values()], outputs };
  const all = bindAll(scanOp, [...carries, ...xs, ...captured.keys()], {
    body,
    carries: carries.length,
    xs: xs.length,
    reverse,
  });
  return { carries: all.slice(0, carries.length), ys: step.ys.map((y) => all[carries.length + ys.indexOf(y)]!) };
}

interface ScanAttributes {
  /** One step: carries, elements and captured tensors → carries and results. */
  readonly body: Graph;
  readonly carries: number;
  readonly xs: number;
  readonly reverse: boolean;
}

const scanOp: Primitive<"any", ScanAttributes> = {
  name: "scan",
  // After the carries and the results every value of the step is an output: the gradient needs some, those not used are never written.
  shape: (inputs, { body, carries, xs }) => {
    const [first, ...others] = inputs.slice(carries, carries + xs);
    const length = first!.shape[0]!;
    for (const x of others)
      if (x.shape[0] !== length)
        throw new TesseraError(
          "shape",
          `lengths differ, ${formatShape(first!.shape)} and ${formatShape(x.shape)} (${length} vs ${x.shape[0]})`,
        );
    for (const [i, before] of inputs.slice(0, carries).entries()) {
      const after = body.outputs[i]!;
      if (after.dtype !== before.dtype || !sameShape(after.shape, before.shape))
        throw new TesseraError(
          "shape",
          `the step changes the type of carry ${i} (${before.dtype}${formatShape(before.shape)} vs ${after.dtype}${formatShape(after.shape)})`,
        );
    }
    const stacked = ({ dtype, shape }: Aval): Aval => ({ dtype, shape: [length, ...shape] });
    return [
      ...body.outputs.slice(0, carries),
      ...body.outputs.slice(carries).map(stacked),
      ...valuesOf(body, carries).map(stacked),
    ];
  },
  // Also where the length is a number: unrolled, an LSTM ran no faster (hidden size 16 to 512) and compiled 3 to 50 times slower.
  emit: (onnx, inputs, { body, carries, xs, reverse }, { used }) => {
    const produced = [...body.outputs, ...valuesOf(body, carries)];
    const kept = [...produced.keys()].filter((i) => i < carries || used[i]);
    const outer = inputs.map((name, i) => (i < carries + xs ? undefined : name));
    const direction = reverse ? 1 : 0;
    const names = onnx.nodes("Scan", inputs.slice(0, carries + xs), kept.length, {
      body: { graph: onnx.subgraph({ inputs: body.inputs, outputs: kept.map((i) => produced[i]!) }, outer) },
      num_scan_inputs: xs,
      scan_input_directions: Array<number>(xs).fill(direction),
      scan_output_directions: Array<number>(kept.length - carries).fill(direction),
    });
    return produced.map((_, i) => names[kept.indexOf(i)] ?? "");
  },
  vjp: backward,
};

/** What a step computes with: the carries before it, and every value computed in it. */
function valuesOf(body: Graph, carries: number): readonly Tensor[] {
  return [...body.inputs.slice(0, carries), ...topologicalOrder(body.outputs).flatMap((node) => node.outputs)];
}

/**
 * The loop the other way round, over the cotangents. Its step is the pullback of the forward step, with the forward values read from
 * what the forward loop saved, so nothing is computed twice. Where a captured tensor is used by stackable operations only (a weight
 * in a product, a bias in a sum), its cotangent is one application over all steps after the loop; else it is summed up step by step.
 */
function backward(
  o: Ops,
  { inputs, outputs, cts, attrs, wanted, pullback }: VjpArguments<"any", ScanAttributes>,
): readonly (Tensor | null)[] {
  const { body, carries, xs, reverse } = attrs;
  const outside = new Map(body.inputs.map((x, i) => [x, inputs[i]!]));
  const produced = [...body.outputs, ...valuesOf(body, carries)];
  const stacks = new Map<Tensor, Tensor>(body.inputs.slice(carries, carries + xs).map((x) => [x, outside.get(x)!]));
  for (const [i, y] of produced.entries()) if (i >= body.outputs.length) stacks.set(y, outputs[i]!);
  const inStep = new Set(stacks.keys());

  // Whether a cotangent reaches a carry shows only when the loop has run, so each has one.
  const states = body.inputs.slice(0, carries).filter((s) => isFloating(s.dtype));
  const elements = body.inputs.slice(carries, carries + xs).filter((_, i) => wanted[carries + i]);
  const captured = body.inputs.slice(carries + xs).filter((_, i) => wanted[carries + xs + i]);
  const nodes = topologicalOrder(body.outputs);
  const stackable = ({ op, inputs, outputs: [y] }: GraphNode) =>
    op.stackable && inputs.every((x) => (inStep.has(x) ? x.rank === y!.rank : x.rank <= y!.rank));
  const late = captured.filter(
    (w) => !body.outputs.includes(w) && nodes.every((n) => !n.inputs.includes(w) || stackable(n)),
  );
  const summed = captured.filter((w) => !late.includes(w));
  const applications = nodes.filter((n) => n.inputs.some((x) => late.includes(x)));

  const seeds = produced.map((y, i) =>
    (i < carries ? isFloating(y.dtype) : cts[i]) ? input(`ct${i}`, y.shape, y.dtype) : undefined,
  );
  const targets = [...states, ...elements, ...summed, ...applications.map((n) => n.outputs[0]!)];
  const found = pullback(produced, seeds, targets).map((ct, i) => ct ?? zerosLike(o, targets[i]!));
  const cotangents = new Map(targets.map((x, i) => [x, found[i]!]));
  const ctOf = (x: Tensor) => cotangents.get(x)!;

  const read = [...found, ...topologicalOrder(found, inStep).flatMap((n) => n.inputs)].filter((x) => inStep.has(x));
  const scanned = new Map<Tensor, Tensor>([...new Set(read)].map((x) => [x, stacks.get(x)!]));
  for (const [i, seed] of seeds.entries()) if (seed && i >= carries) scanned.set(seed, cts[i]!);
  if (scanned.size === 0) scanned.set(body.inputs[carries]!, inputs[carries]!); // a loop needs something to run along

  const sums = summed.map((w) => input(`sum.${w.name}`, w.shape, w.dtype));
  const back = loop(
    {
      before: [...seeds.slice(0, carries).filter((s) => s !== undefined), ...sums],
      elements: [...scanned.keys()],
      after: [...states.map(ctOf), ...summed.map((w, i) => o.add(sums[i]!, ctOf(w)))],
      ys: [...elements.map(ctOf), ...applications.map((n) => ctOf(n.outputs[0]!))],
    },
    [...states.map((s) => cts[body.inputs.indexOf(s)] ?? zerosLike(o, s)), ...summed.map((w) => zerosLike(o, w))],
    [...scanned.values()],
    !reverse,
    outside,
  );

  const weights = new Map(late.map((w) => [w, input(w.name, w.shape, w.dtype)]));
  const overAllSteps = (x: Tensor) => stacks.get(x) ?? weights.get(x) ?? outside.get(x)!;
  const applied = applications.map(({ op, inputs, attrs }) => bind(op, inputs.map(overAllSteps), attrs));
  const afterLoop = pullback(applied, back.ys.slice(elements.length), [...weights.values()]);

  const results = new Map<Tensor, Tensor | undefined>([
    ...[...states, ...summed].map((x, i) => [x, back.carries[i]] as const),
    ...elements.map((x, i) => [x, back.ys[i]] as const),
    ...late.map((w, i) => [w, afterLoop[i]] as const),
  ]);
  return body.inputs.map((x) => results.get(x) ?? null);
}

const zerosLike = (o: Ops, { shape, dtype }: Aval) => o.full(shape, 0, dtype);
