import { broadcastShapes, formatShape, mulDims, sizeOf } from "../core/dim.js";
import { isFloating } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { add, multiple } from "./elementwise.js";
import { transposeOp } from "./shape.js";

interface MatmulAttributes {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly scale: number;
}

/** How the factors of a product are read. */
export interface MatmulOptions {
  /** Read `a` with its last two axes exchanged. Default false. */
  readonly transA?: boolean;
  /** Read `b` with its last two axes exchanged. Default false. */
  readonly transB?: boolean;
  /** Factor of the whole product. Default 1. */
  readonly scale?: number;
}

const swapped = (rank: number) => [...Array(rank - 2).keys(), rank - 1, rank - 2];

const matmulOp: Primitive<2, MatmulAttributes> = {
  name: "matmul",
  stackable: true,
  shape: ([a, b], { transA, transB }) => {
    if (a.dtype !== b.dtype) throw new TesseraError("dtype", `element types differ (${a.dtype} vs ${b.dtype})`);
    if (a.shape.length < 2 || b.shape.length < 2)
      throw new TesseraError("shape", `needs two axes at least, ${formatShape(a.shape)} @ ${formatShape(b.shape)}`);
    const [m, k] = transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
    const [l, n] = transB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
    if (k !== l)
      throw new TesseraError("shape", `inner sizes differ, ${factor(a, transA)} @ ${factor(b, transB)} (${k} vs ${l})`);
    return { dtype: a.dtype, shape: [...broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n] };
  },
  emit: (onnx, [a, b], { transA, transB, scale }, { inputs, outputs }) => {
    if (!transA && !transB && scale === 1) return onnx.node("MatMul", [a, b]);
    if (onnx.contrib && outputs[0]!.dtype === "float32")
      return onnx.node("com.microsoft.FusedMatMul", [a, b], {
        transA: transA ? 1 : 0,
        transB: transB ? 1 : 0,
        alpha: { f: scale },
      });
    const left = transA ? onnx.node("Transpose", [a], { perm: swapped(inputs[0].shape.length) }) : a;
    const right = transB ? onnx.node("Transpose", [b], { perm: swapped(inputs[1].shape.length) }) : b;
    const product = onnx.node("MatMul", [left, right]);
    return scale === 1 ? product : onnx.node("Mul", [product, onnx.scalar(scale, outputs[0]!.dtype)]);
  },
  flops: ([a], [y], { transA }) => mulDims(mulDims(2, sizeOf(y!.shape)), a.shape.at(transA ? -2 : -1)!),
  vjp: (o, { inputs: [a, b], ct, attrs: { transA, transB, scale }, wanted }) => {
    const da = () =>
      transA ? o.matmul(b, ct, { transA: transB, transB: true, scale }) : o.matmul(ct, b, { transB: !transB, scale });
    // A shared right factor: one product over all rows instead of one for each and a sum.
    const [x, g] = b.rank === 2 && a.rank > 2 && !transA ? [rows(o, a), rows(o, ct)] : [a, ct];
    const db = () =>
      transB ? o.matmul(g, x, { transA: true, transB: transA, scale }) : o.matmul(x, g, { transA: !transA, scale });
    return [wanted[0] ? da() : null, wanted[1] ? db() : null];
  },
  // Factors and transpositions cost nothing inside a product.
  rewrite: (o, [a, b], { transA, transB, scale }) => {
    const [multipleA, multipleB] = isFloating(a.dtype) ? [multiple(a), multiple(b)] : [];
    if (multipleA) return o.matmul(multipleA[0], b, { transA, transB, scale: scale * multipleA[1] });
    if (multipleB) return o.matmul(a, multipleB[0], { transA, transB, scale: scale * multipleB[1] });
    const [otherA, otherB] = [swappedFrom(a), swappedFrom(b)];
    if (otherA) return o.matmul(otherA, b, { transA: !transA, transB, scale });
    return otherB && o.matmul(a, otherB, { transA, transB: !transB, scale });
  },
};

/** What `x` is with the last two axes exchanged. */
function swappedFrom(x: Tensor): Tensor | undefined {
  if (x.node?.op !== transposeOp) return undefined;
  const { perm } = x.node.attrs as { perm: readonly number[] };
  return swapped(x.rank).every((p, i) => perm[i] === p) ? x.node.inputs[0] : undefined;
}

const matmulAddOp: Primitive<3, MatmulAttributes> = {
  name: "matmul_add",
  shape: ([a, b, c], attrs) => {
    const product = matmulOp.shape([a, b], attrs) as Aval;
    if (product.shape.length !== 2 || product.dtype !== c.dtype || formatShape(product.shape) !== formatShape(c.shape))
      throw new TesseraError(
        "shape",
        `a product of ${formatShape(product.shape)} is not added to ${formatShape(c.shape)}`,
      );
    return product;
  },
  emit: (onnx, inputs, { transA, transB, scale }) =>
    onnx.node("Gemm", inputs, { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { f: scale } }),
  flops: ([a, b], outputs, attrs) => matmulOp.flops!([a, b], outputs, attrs),
  vjp: (o, at) => {
    const [a, b] = at.inputs;
    return [...matmulOp.vjp!(o, { ...at, inputs: [a, b] }), at.ct];
  },
  decompose: (o, [a, b, c], attrs) => o.add(o.matmul(a, b, attrs), c),
};

/**
 * `total + x`, written as one operation where `x` is the product of two matrices: with `total`'s memory as the result's, a gradient
 * is then summed up over micro-batches without a pass of its own.
 */
export function accumulate(total: Tensor, x: Tensor): Tensor {
  const { node } = x;
  const fits = node?.op === matmulOp && x.rank === 2 && node.inputs.every((factor) => factor.rank === 2);
  return fits
    ? bind(matmulAddOp, [node.inputs[0]!, node.inputs[1]!, total], node.attrs as MatmulAttributes)
    : add(total, x);
}

const factor = (x: Aval, transposed: boolean) => formatShape(x.shape) + (transposed ? "ᵀ" : "");
const rows = (o: { reshape(x: Tensor, shape: Tensor["shape"]): Tensor }, x: Tensor) =>
  o.reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!]);

/**
 * Matrix product over the last two axes, `scale · a b`; the axes before broadcast.
 * `a: [..., m, k]`, `b: [..., k, n]` → `[..., m, n]`.
 *
 * @throws TesseraError `shape` when the inner sizes differ
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false, scale = 1 }: MatmulOptions = {},
): Tensor {
  return bind(matmulOp, [a, b], { transA, transB, scale });
}
