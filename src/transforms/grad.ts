import { type Shape, sameShape } from "../core/dim.js";
import { isFloating } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { topologicalOrder } from "../core/graph.js";
import type { GraphNode } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { withScope } from "../core/trace.js";
import { ops } from "../ops/index.js";

/**
 * Reverse-mode differentiation as a graph transform: the cotangents of `inputs` given those of `outputs`. The result is graph,
 * so it can be differentiated again. An input that the outputs do not depend on yields undefined.
 *
 * @throws TesseraError `unsupported` where a gradient reaches an operation without a gradient rule
 */
export function pullback(
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  inputs: readonly Tensor[],
): readonly (Tensor | undefined)[] {
  const order = topologicalOrder(outputs);
  const depends = new Set<Tensor>(inputs);
  for (const node of order)
    if (!node.inputs.every((x) => !depends.has(x)))
      for (const y of node.outputs) if (isFloating(y.dtype)) depends.add(y);

  const reached = new Map<Tensor, Tensor>();
  const accumulate = (x: Tensor, ct: Tensor) => {
    const so = reached.get(x);
    reached.set(x, so ? ops.add(so, ct) : ct);
  };
  outputs.forEach((y, i) => {
    const ct = cotangents[i];
    if (ct && depends.has(y)) accumulate(y, ct);
  });
  for (const node of [...order].reverse()) {
    const cts = node.outputs.map((y) => reached.get(y));
    const wanted = node.inputs.map((x) => depends.has(x));
    if (!wanted.includes(true) || cts.every((ct) => ct === undefined)) continue;
    for (const [i, ct] of backward(node, cts, wanted).entries())
      if (ct && wanted[i]) accumulate(node.inputs[i]!, sumTo(ct, node.inputs[i]!.shape));
  }
  return inputs.map((x) => reached.get(x));
}

function backward(
  node: GraphNode,
  cts: readonly (Tensor | undefined)[],
  wanted: readonly boolean[],
): readonly (Tensor | null)[] {
  const { op, inputs, outputs, attrs, path } = node;
  if (!op.vjp) throw new TesseraError("unsupported", `${path}: ${op.name} has no gradient rule`);
  const output = outputs[0]!;
  const rule = op.vjp;
  return withScope(`grad(${path})`, () => {
    const ct = cts[0] ?? ops.full(output.shape, 0, output.dtype);
    return rule(ops, { inputs, output, outputs, ct, cts, attrs, wanted, pullback });
  });
}

/** Sums what broadcasting repeated. */
function sumTo(ct: Tensor, shape: Shape): Tensor {
  if (sameShape(ct.shape, shape)) return ct;
  const lead = ct.rank - shape.length;
  const axes = ct.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return ops.reshape(ops.sum(ct, { axes, keepDims: true }), shape);
}

/**
 * Gradient of a scalar with respect to some of the tensors it was made from; zeros where it does not depend on one.
 *
 * @throws TesseraError `shape` when `loss` has axes
 * @example const [dw] = grad(loss, [w]);
 */
export function grad(loss: Tensor, inputs: readonly Tensor[]): readonly Tensor[] {
  if (loss.rank !== 0)
    throw new TesseraError("shape", `grad: the loss must be a scalar, got [${loss.shape.join(", ")}]`);
  return pullback([loss], [ops.scalar(1, loss.dtype)], inputs).map(
    (ct, i) => ct ?? ops.full(inputs[i]!.shape, 0, inputs[i]!.dtype),
  );
}

/**
 * A function that returns a scalar and its gradient with respect to every argument.
 *
 * @example const [loss, [dw, db]] = valueAndGrad((w, b) => mean(add(matmul(x, w), b)))(w, b);
 */
export function valueAndGrad(
  f: (...xs: readonly Tensor[]) => Tensor,
): (...xs: readonly Tensor[]) => [Tensor, readonly Tensor[]] {
  return (...xs) => {
    const value = f(...xs);
    return [value, grad(value, xs)];
  };
}
