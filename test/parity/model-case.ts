import type { HostTensor } from "../../src/core/host-tensor.js";
import { parametersOf } from "../../src/core/module.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { namedValues } from "../../src/inspect/inner-values.js";
import { traceModel } from "../../src/inspect/trace-model.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { taskLoss } from "../../src/train/task-loss.js";
import { grad } from "../../src/transforms/grad.js";
import { type Comparison, compare, type Golden } from "./golden.js";

/** Runs a model on a case's input and compares its outputs, every hidden state and attention map, the loss and every gradient. */
export async function runModelCase(golden: Golden, model: LanguageModel): Promise<readonly Comparison[]> {
  const feeds: Record<string, HostTensor> = {};
  const given = new Map<string, Tensor>();
  for (const [key, tensor] of golden.tensors) {
    const name = /^in\.(.*)$/.exec(key)?.[1];
    if (name === undefined) continue;
    feeds[name] = tensor;
    given.set(name, input(name, tensor.shape, tensor.dtype));
  }
  const all = parametersOf(model.module);
  const params = new Map([...all].map(([path, { shape }]) => [path, input(path, shape)]));
  for (const [path, tensor] of model.weights) feeds[path] = tensor;

  const seen = new Map<string, Tensor>();
  const [ids, attentionMask, segments, target] = [
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "decoder_input_ids",
  ].map((name) => given.get(name));
  const symbols = {
    given: {
      ids: ids!,
      ...(attentionMask ? { attentionMask } : {}),
      ...(segments ? { segments } : {}),
      ...(target ? { target } : {}),
    },
    parameters: params,
  };
  const answers = traceModel(model, symbols, (path, value) => {
    seen.set(path, value);
    return value;
  });
  const outputs = new Map(Object.entries(answers).map(([name, value]) => [`out.${name}`, value]));
  if (golden.tensors.has("out.loss")) {
    const loss = taskLoss(model.task, answers, Object.fromEntries(given), {
      problemType: model.facts.labels?.problemType ?? problemTypeOf(model, given),
    });
    outputs.set("out.loss", loss);
    const trained = [...all].filter(([, { fixed }]) => !fixed).map(([path]) => path);
    const gradients = grad(
      loss,
      trained.map((path) => params.get(path)!),
    );
    for (const [i, g] of gradients.entries()) outputs.set(`grad.${trained[i]!}`, g);
  }
  const values = [...seen].map(([path, { dtype, shape }]) => ({ path, dtype, shape }));
  for (const [name, path] of namedValues(model, values)) outputs.set(`out.${name}`, seen.get(path)!);
  const graph = { inputs: [...given.values(), ...params.values()], outputs: [...outputs.values()] };
  using session = await compileGraph(nativeRuntime(), graph, { outputNames: [...outputs.keys()] });
  const results = await session.run(feeds);
  // Recorded order is by name; the layer report wants the order of computation: states, maps, outputs, loss, gradients.
  const order = [/^out\.(encoder_)?hidden/, /^out\.(encoder_)?atten/, /^out\.decoder_hidden/, /^out\.(decoder|cross)_/];
  const rank = (name: string) => {
    const at = [...order, /^out\.(?!loss)/, /^out\.loss/, /^grad\./].findIndex((p) => p.test(name));
    return at;
  };
  const floor = GRADIENT_FLOOR * largestGradient(golden);
  return [...golden.tensors.entries()]
    .filter(([name]) => /^(out|grad)\./.test(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, expected]) =>
      compare(name, name.startsWith("grad.") ? "gradient" : "forward", results[name] ?? missing, expected, floor),
    );
}

/** What a classifier without a problem type is, by its labels, as transformers decides. */
function problemTypeOf({ facts }: LanguageModel, given: ReadonlyMap<string, Tensor>) {
  if (facts.labels?.names.length === 1) return "regression";
  return given.get("labels")?.dtype === "float32" ? "multi_label_classification" : "single_label_classification";
}

/** Share of the model's largest gradient below which a parameter's own is rounding: recorded ones of key biases are at 1e-9 of it. */
const GRADIENT_FLOOR = 1e-3;

function largestGradient({ tensors }: Golden): number {
  let largest = 0;
  for (const [name, { data }] of tensors)
    if (name.startsWith("grad.")) for (const g of data as Float32Array) largest = Math.max(largest, Math.abs(g));
  return largest;
}

const missing: HostTensor = { dtype: "float32", shape: [0], data: new Float32Array(0) };
