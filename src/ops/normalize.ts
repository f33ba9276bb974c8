import { formatShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { bind, bindAll, type Ops, type Primitive } from "../core/primitive.js";
import type { Aval, Tensor } from "../core/tensor.js";
import { floating } from "./elementwise.js";

function withAxis(x: Aval): Aval {
  if (x.shape.length === 0) throw new TesseraError("shape", "needs an axis, got a scalar");
  return floating(x);
}

const softmaxOp: Primitive<1> = {
  name: "softmax",
  shape: ([x]) => withAxis(x),
  emit: (onnx, inputs) => onnx.node("Softmax", inputs, { axis: -1 }),
  vjp: (o, { output: y, ct }) => {
    const weighted = o.mul(ct, y);
    return [o.sub(weighted, o.mul(y, o.sum(weighted, { axes: [-1], keepDims: true })))];
  },
  decompose: (o, [x]) => {
    const e = o.exp(o.sub(x, o.max(x, { axes: [-1], keepDims: true })));
    return o.div(e, o.sum(e, { axes: [-1], keepDims: true }));
  },
};

/** `e^{x_i} / Σ_j e^{x_j}` over the last axis. */
export function softmax(x: Tensor): Tensor {
  return bind(softmaxOp, [x], {});
}

const logSoftmaxOp: Primitive<1> = {
  name: "log_softmax",
  shape: ([x]) => withAxis(x),
  emit: (onnx, inputs) => onnx.node("LogSoftmax", inputs, { axis: -1 }),
  vjp: (o, { output: y, ct }) => [o.sub(ct, o.mul(o.exp(y), o.sum(ct, { axes: [-1], keepDims: true })))],
  decompose: (o, [x]) => {
    const shifted = o.sub(x, o.max(x, { axes: [-1], keepDims: true }));
    return o.sub(shifted, o.log(o.sum(o.exp(shifted), { axes: [-1], keepDims: true })));
  },
};

/** `x_i − log Σ_j e^{x_j}` over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return bind(logSoftmaxOp, [x], {});
}

function scaled(x: Aval, ...vectors: readonly Aval[]): void {
  floating(x);
  for (const v of vectors)
    if (v.shape.length !== 1 || v.shape[0] !== x.shape.at(-1))
      throw new TesseraError(
        "shape",
        `weight and bias must be [${x.shape.at(-1)}], got ${formatShape(v.shape)} for ${formatShape(x.shape)}`,
      );
}

/** Size of the last axis, which the gradients divide by. */
const width = (x: Aval) => Number(x.shape.at(-1));

/** Gradients of gradients also come through the inverse deviation `r`: dr/dx = −r²·unit/n. */
function withInverse(o: Ops, dx: Tensor, unit: Tensor, inverse: Tensor, ct: Tensor | undefined): Tensor {
  return ct ? o.sub(dx, o.mul(o.mul(ct, o.mul(o.mul(inverse, inverse), 1 / width(unit))), unit)) : dx;
}

const layerNormalizeOp: Primitive<3, { eps: number }> = {
  name: "layer_normalize",
  shape: ([x, weight, bias]) => {
    scaled(x, weight, bias);
    const statistic = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
    return [x, statistic, statistic];
  },
  emit: (onnx, inputs, { eps }) => onnx.nodes("LayerNormalization", inputs, 3, { axis: -1, epsilon: { f: eps } }),
  vjp: (o, { inputs: [x, weight], outputs: [, , inverse], ct, cts: [, ctMean, ctInverse], wanted, attrs: { eps } }) => {
    const d = [x.shape.at(-1)!];
    const unit = o.layerNormalize(x, o.full(d, 1, x.dtype), o.full(d, 0, x.dtype), eps); // one pass, where (x − μ)·r is two
    const g = o.mul(ct, weight);
    const means = o.add(
      o.mean(g, { axes: [-1], keepDims: true }),
      o.mul(unit, o.mean(o.mul(g, unit), { axes: [-1], keepDims: true })),
    );
    const direct = o.mul(inverse!, o.sub(g, means));
    const dx = ctMean ? o.add(direct, o.mul(ctMean, 1 / width(x))) : direct;
    return [withInverse(o, dx, unit, inverse!, ctInverse), wanted[1] ? o.mul(ct, unit) : null, ct];
  },
  decompose: (o, [x, weight, bias], { eps }) => {
    const mean = o.mean(x, { axes: [-1], keepDims: true });
    const centred = o.sub(x, mean);
    const inverse = o.pow(o.add(o.mean(o.mul(centred, centred), { axes: [-1], keepDims: true }), eps), -0.5);
    return [o.add(o.mul(o.mul(centred, inverse), weight), bias), mean, inverse];
  },
};

/**
 * Layer normalization over the last axis: `(x − μ)/√(σ² + ε) · weight + bias`. Ba et al. 2016.
 * `x: [..., d]`, `weight: [d]`, `bias: [d]` → `[..., d]`.
 */
export function layerNormalize(x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return bindAll(layerNormalizeOp, [x, weight, bias], { eps })[0]!;
}

const rmsNormalizeOp: Primitive<2, { eps: number }> = {
  name: "rms_normalize",
  shape: ([x, weight]) => {
    scaled(x, weight);
    return [x, { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] }];
  },
  emit: (onnx, [x, weight], { eps }, { outputs, used }) => {
    if (onnx.contrib && !used[1])
      return [onnx.node("SimplifiedLayerNormalization", [x, weight], { axis: -1, epsilon: { f: eps } }), ""];
    const { dtype } = outputs[0]!;
    const square = onnx.node("ReduceMean", [onnx.node("Mul", [x, x]), onnx.ints([-1])], { keepdims: 1 });
    const inverse = onnx.node("Reciprocal", [onnx.node("Sqrt", [onnx.node("Add", [square, onnx.scalar(eps, dtype)])])]);
    return [onnx.node("Mul", [onnx.node("Mul", [x, inverse]), weight]), inverse];
  },
  vjp: (o, { inputs: [x, weight], outputs: [, inverse], ct, cts: [, ctInverse], wanted }) => {
    const unit = o.mul(x, inverse!);
    const g = o.mul(ct, weight);
    const dx = o.mul(inverse!, o.sub(g, o.mul(unit, o.mean(o.mul(g, unit), { axes: [-1], keepDims: true }))));
    return [withInverse(o, dx, unit, inverse!, ctInverse), wanted[1] ? o.mul(ct, unit) : null];
  },
  decompose: (o, [x, weight], { eps }) => {
    const inverse = o.pow(o.add(o.mean(o.mul(x, x), { axes: [-1], keepDims: true }), eps), -0.5);
    return [o.mul(o.mul(x, inverse), weight), inverse];
  },
};

/** Root-mean-square normalization over the last axis: `x/√(mean(x²) + ε) · weight`. Zhang & Sennrich 2019. */
export function rmsNormalize(x: Tensor, weight: Tensor, eps = 1e-6): Tensor {
  return bindAll(rmsNormalizeOp, [x, weight], { eps })[0]!;
}
