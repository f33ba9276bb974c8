import { module } from "../../src/core/module.js";
import type { Tensor } from "../../src/core/tensor.js";
import { withObserver } from "../../src/core/trace.js";
import { sequenceContext } from "../../src/nn/context.js";
import { layerNorm } from "../../src/nn/layer-norm.js";
import { multiHeadedAttention } from "../../src/nn/multi-headed-attention.js";
import { transformerBlock, transformerDecoderBlock } from "../../src/nn/transformer-block.js";
import { gelu, relu } from "../../src/ops/activation.js";
import type { Block } from "./block-case.js";
import type { Golden } from "./golden.js";

interface Settings {
  readonly d: number;
  readonly heads: number;
  readonly ffn: number;
  readonly norm_first?: boolean;
  readonly layers?: readonly [number, number];
  readonly activation?: "relu" | "gelu";
  readonly norm?: "post" | "pre";
}

const contextOf = (x: Tensor) => sequenceContext({ batch: x.shape[0]!, length: x.shape[1]! });

const multiheadAttention = ({ d, heads }: Settings): Block => {
  const attention = multiHeadedAttention({ d, heads, names: "packed" });
  return {
    module: attention,
    forward(params, { q, kv }) {
      let weights: Tensor | undefined;
      const y = withObserver(
        (path, value) => {
          if (path === "attention_weights") weights = value;
          return value;
        },
        () => attention(params, q!, kv!, contextOf(q!)),
      );
      return { y, weights: weights! };
    },
  };
};

const encoderLayer = ({ d, heads, ffn, norm_first, activation = "relu" }: Settings): Block => {
  const block = transformerBlock({
    d,
    heads,
    dFf: ffn,
    norm: norm_first ? "pre" : "post",
    activation: activation === "gelu" ? gelu : relu,
  });
  return { module: block, forward: (params, { x }) => ({ y: block(params, x!, contextOf(x!)) }) };
};

/** torch's `nn.Transformer` under the name `t`: both stacks end in a norm of their own. */
const transformer = ({ d, heads, ffn, layers = [2, 2], activation = "relu", norm = "post" }: Settings): Block => {
  const options = { d, heads, dFf: ffn, norm, activation: activation === "gelu" ? gelu : relu };
  const encoder = module(
    { layers: Array.from({ length: layers[0] }, () => transformerBlock(options)), norm: layerNorm(d) },
    ({ layers, norm }, x: Tensor) => norm(layers.reduce((y, layer) => layer(y, contextOf(x)), x)),
  );
  const decoder = module(
    { layers: Array.from({ length: layers[1] }, () => transformerDecoderBlock(options)), norm: layerNorm(d) },
    ({ layers, norm }, x: Tensor, memory: Tensor) =>
      norm(layers.reduce((y, layer) => layer(y, memory, contextOf(x)), x)),
  );
  const whole = module(
    { t: module({ encoder, decoder }, ({ encoder, decoder }, src: Tensor, tgt: Tensor) => decoder(tgt, encoder(src))) },
    ({ t }, src: Tensor, tgt: Tensor) => t(src, tgt),
  );
  return { module: whole, forward: (params, { src, tgt }) => ({ y: whole(params, src!, tgt!) }) };
};

const kinds: Readonly<Record<string, (settings: Settings) => Block>> = {
  "torch-multihead-attention": multiheadAttention,
  "torch-encoder-layer": encoderLayer,
  "torch-transformer-2017": transformer,
};

/** The block of a case, or undefined when it is of another kind. */
export function attentionBlock(golden: Golden): Block | undefined {
  const name = String(golden.json.case);
  const kind = Object.keys(kinds).find((part) => name.includes(part));
  return kind === undefined ? undefined : kinds[kind]!(golden.json as unknown as Settings);
}
