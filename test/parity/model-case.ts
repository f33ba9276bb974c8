import type { HostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { withObserver } from "../../src/core/trace.js";
import { sequenceContext } from "../../src/nn/context.js";
import { crossEntropy } from "../../src/nn/losses.js";
import { slice } from "../../src/ops/shape.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { grad } from "../../src/transforms/grad.js";
import { type Comparison, compare, type Golden } from "./golden.js";

/** Where a family shows what the original returns as hidden states and attentions: module paths, `#` for the layer. */
export interface InnerPaths {
  readonly embeddings: string;
  readonly layer: string;
  readonly last: string;
  readonly attention: string;
}

/** By `model_type`. A family without an entry has no recorded cases yet. */
export const innerPaths: Readonly<Record<string, InnerPaths>> = {
  gpt2: {
    embeddings: "transformer.embeddings",
    layer: "transformer.h.#",
    last: "transformer.ln_f",
    attention: "transformer.h.#.attn.attention_weights",
  },
};

/** Runs a causal model on a case's input and compares logits, every hidden state and attention map, the loss and every gradient. */
export async function runCausalCase(golden: Golden, model: LanguageModel): Promise<readonly Comparison[]> {
  const ids = golden.tensors.get("in.input_ids")!;
  const [batch, length] = ids.shape as [number, number];
  const feeds: Record<string, HostTensor> = {};
  const given = (name: string): Tensor | undefined => {
    const tensor = golden.tensors.get(`in.${name}`);
    if (!tensor) return undefined;
    feeds[name] = tensor;
    return input(name, tensor.shape, tensor.dtype);
  };
  const [inputIds, attentionMask, labels] = [given("input_ids")!, given("attention_mask"), given("labels")];
  const params = [...parametersOf(model.module)].map(([path, { shape }]) => input(path, shape));
  for (const [path, tensor] of model.weights) feeds[path] = tensor;

  const seen = new Map<string, Tensor>();
  const logits = withObserver(
    (path, value) => {
      seen.set(path, value);
      return value;
    },
    () => {
      const tree = parameterTree(model.module, (path) => params.find((p) => p.name === path));
      return model.module(tree, inputIds, sequenceContext({ batch, length, attentionMask }));
    },
  );
  const outputs = new Map<string, Tensor>([["out.logits", logits]]);
  if (labels) {
    const loss = crossEntropy(slice(logits, 1, 0, length - 1), slice(labels, 1, 1, length));
    outputs.set("out.loss", loss);
    for (const [i, g] of grad(loss, params).entries()) outputs.set(`grad.${params[i]!.name}`, g);
  }
  const paths = innerPaths[model.family.modelType]!;
  const layers = [...golden.tensors.keys()].filter((name) => name.startsWith("out.hidden_states.")).length - 1;
  for (const name of golden.tensors.keys()) {
    const [, kind, index] = /^out\.(hidden_states|attentions)\.(\d+)$/.exec(name) ?? [];
    if (!kind) continue;
    const i = Number(index);
    const at =
      kind === "attentions"
        ? paths.attention.replace("#", String(i))
        : i === 0
          ? paths.embeddings
          : i === layers
            ? paths.last
            : paths.layer.replace("#", String(i - 1));
    const value = seen.get(at);
    if (!value)
      throw new Error(
        `${golden.name}: the model shows nothing at ${at} for ${name}; it shows ${[...seen.keys()].join(", ")}`,
      );
    outputs.set(name, value);
  }
  const graph = {
    inputs: [inputIds, ...[attentionMask, labels].filter((x) => x !== undefined), ...params],
    outputs: [...outputs.values()],
  };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: [...outputs.keys()] });
  const results = await session.run(feeds);
  // Recorded order is by name; the layer report wants the order of computation: states, maps, logits, loss, gradients.
  const rank = (name: string) =>
    ["out.hidden", "out.atten", "out.logit", "out.loss", "grad."].findIndex((p) => name.startsWith(p));
  return [...golden.tensors.entries()]
    .filter(([name]) => /^(out|grad)\./.test(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, expected]) =>
      compare(name, name.startsWith("grad.") ? "gradient" : "forward", results[name] ?? missing, expected),
    );
}

const missing: HostTensor = { dtype: "float32", shape: [0], data: new Float32Array(0) };
