import { type Dim, formatShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { bind, type Primitive } from "../core/primitive.js";
import type { Tensor } from "../core/tensor.js";
import { broadcastTo, reshape } from "./shape.js";

const rotateOp: Primitive<4, { heads: number; interleaved: boolean }> = {
  name: "rotate",
  // Heads lie side by side, `[b, t, h·d]`: as projections leave them and cached attention takes them, so that nothing is reshaped.
  shape: ([x, cos, sin, positions], { heads }) => {
    const [b, t, width] = x.shape;
    const d = Number(width) / heads;
    if (positions.shape.length !== 2 || positions.shape[0] !== b || positions.shape[1] !== t)
      throw new TesseraError(
        "shape",
        `needs x [b, t, h, d] and positions [b, t], got ${formatShape([b!, t!, heads, d])} and ${formatShape(positions.shape)}`,
      );
    const half = Number(cos.shape[1]);
    if (cos.shape.length !== 2 || formatShape(cos.shape) !== formatShape(sin.shape) || half * 2 > d)
      throw new TesseraError(
        "shape",
        `tables ${formatShape(cos.shape)} and ${formatShape(sin.shape)} do not rotate a head of ${d}`,
      );
    return { dtype: x.dtype, shape: x.shape };
  },
  emit: (onnx, [flat, cos, sin, positions], { heads: h, interleaved }, { inputs: [xs, cs] }) => {
    const [b, t, width] = xs.shape as [Dim, Dim, number];
    const d = width / h;
    const rotated = Number(cs.shape[1]) * 2;
    if (onnx.contrib) {
      const partial = rotated === d ? {} : { rotary_embedding_dim: rotated };
      return onnx.node("com.microsoft.RotaryEmbedding", [flat, positions, cos, sin], {
        interleaved: interleaved ? 1 : 0,
        num_heads: h,
        ...partial,
      });
    }
    const x = onnx.node("Reshape", [flat, onnx.ints([0, 0, h, d])]);
    const row = (table: string) =>
      onnx.node("Unsqueeze", [onnx.node("Gather", [table, positions], { axis: 0 }), onnx.ints([2])]); // [b, t, 1, r/2]
    const cut = (y: string, from: number, to: number, step = 1) =>
      onnx.node("Slice", [y, onnx.ints([from]), onnx.ints([to]), onnx.ints([3]), onnx.ints([step])]);
    const [left, right] = interleaved
      ? [cut(x, 0, rotated, 2), cut(x, 1, rotated, 2)]
      : [cut(x, 0, rotated / 2), cut(x, rotated / 2, rotated)];
    const [c, s] = [row(cos), row(sin)];
    const times = (a: string, f: string) => onnx.node("Mul", [a, f]);
    const first = onnx.node("Sub", [times(left, c), times(right, s)]);
    const second = onnx.node("Add", [times(right, c), times(left, s)]);
    const pair = (y: string) => onnx.node("Unsqueeze", [y, onnx.ints([4])]);
    const turned = interleaved
      ? onnx.node("Reshape", [
          onnx.node("Concat", [pair(first), pair(second)], { axis: 4 }),
          onnx.shape([b, t, h, rotated]),
        ])
      : onnx.node("Concat", [first, second], { axis: 3 });
    const whole = rotated === d ? turned : onnx.node("Concat", [turned, cut(x, rotated, d)], { axis: 3 });
    return onnx.node("Reshape", [whole, onnx.ints([0, 0, width])]);
  },
  vjp: (o, { inputs: [, cos, sin, positions], ct, attrs: { heads, interleaved } }) => [
    bind(rotateOp, [ct, cos, o.neg(sin), positions], { heads, interleaved }), // a rotation's transpose turns back
    null,
    null,
    null,
  ],
};

/**
 * Rotary position embedding: pairs of elements of each head turned by an angle that grows with the position, so that scores
 * depend on distances only. Su et al. 2021.
 * `x: [b, t, h, d]`; `cos`, `sin: [positions, r/2]` with `r ≤ d` (the rest stays as it is); `positions: [b, t]` or `[1, t]` int64 → as `x`.
 *
 * @param interleaved pairs are neighbours `(2i, 2i+1)` (GPT-J, GLM) instead of `(i, i + r/2)` (LLaMA, GPT-NeoX). Default false
 */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, { interleaved = false } = {}): Tensor {
  if (x.rank !== 4) throw new TesseraError("shape", `rotate: needs x [b, t, h, d], got ${formatShape(x.shape)}`);
  const [b, t, heads, d] = x.shape as [Dim, Dim, number, number];
  const flat = reshape(x, [b, t, heads * d]);
  const turned = bind(rotateOp, [flat, cos, sin, broadcastTo(positions, [b, t])], { heads, interleaved });
  return reshape(turned, x.shape);
}
