import type { HostTensor } from "../../src/core/host-tensor.js";
import { parametersOf, parameterTree } from "../../src/core/module.js";
import { input, type Tensor } from "../../src/core/tensor.js";
import { withObserver } from "../../src/core/trace.js";
import type { EncoderDecoderHalves } from "../../src/models/model.js";
import { sequenceContext } from "../../src/nn/context.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { compileGraph } from "../../src/runtime/compile.js";
import { nativeRuntime } from "../../src/runtime/native.js";
import { taskLoss } from "../../src/train/task-loss.js";
import { grad } from "../../src/transforms/grad.js";
import { type Comparison, compare, type Golden } from "./golden.js";
import { type InnerPaths, innerPaths, type StackPaths } from "./inner-paths.js";

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
  const answers = withObserver(
    (path, value) => {
      seen.set(path, value);
      return value;
    },
    () => forward(model, given, (path) => params.get(path)!),
  );
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
  for (const name of golden.tensors.keys()) {
    const at = innerPath(name, golden, innerPaths[model.family.modelType]!);
    if (at === undefined) continue;
    // A model without a head has the same paths without the prefix.
    const value = seen.get(at) ?? seen.get(at.replace(model.family.checkpoint?.basePrefix ?? "", ""));
    if (!value)
      throw new Error(
        `${golden.name}: the model shows nothing at ${at} for ${name}; it shows ${[...seen.keys()].join(", ")}`,
      );
    outputs.set(name, value);
  }
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

/** The model's outputs under their names. */
function forward(
  { module, task }: LanguageModel,
  given: ReadonlyMap<string, Tensor>,
  at: (path: string) => Tensor,
): Readonly<Record<string, Tensor>> {
  const tree = parameterTree(module, at);
  const ids = given.get("input_ids")!;
  const attentionMask = given.get("attention_mask");
  const context = (x: Tensor, more: object) => sequenceContext({ batch: x.shape[0]!, length: x.shape[1]!, ...more });
  const ctx = context(ids, { attentionMask, segments: given.get("token_type_ids") });
  if (task === "seq2seq-lm") {
    const { encode, decode } = module(tree) as EncoderDecoderHalves;
    const targets = given.get("decoder_input_ids")!;
    const memory = encode(ids, ctx);
    return { logits: decode(targets, memory, context(targets, { memoryMask: attentionMask })) };
  }
  const answer: Tensor | Readonly<Record<string, Tensor>> = module(tree, ids, ctx);
  return task === "causal-lm" ? { logits: answer as Tensor } : (answer as Readonly<Record<string, Tensor>>);
}

/** The path whose value the original returns under a name; undefined for names that are no inner values. */
function innerPath(name: string, golden: Golden, paths: InnerPaths): string | undefined {
  const [, side, kind, index] =
    /^out\.(?:(encoder|decoder|cross)_)?(hidden_states|attentions|last_hidden_state)(?:\.(\d+))?$/.exec(name) ?? [];
  if (!kind) return undefined;
  const stack: StackPaths = "encoder" in paths ? (side === "encoder" ? paths.encoder : paths.decoder) : paths;
  if (kind === "attentions") return (side === "cross" ? stack.cross! : stack.attention).replace("#", index!);
  if (kind === "last_hidden_state" && side === undefined) return undefined; // an output
  const prefix = `out.${side ? `${side}_` : ""}hidden_states.`;
  const layers = [...golden.tensors.keys()].filter((key) => key.startsWith(prefix)).length - 1;
  const i = index === undefined ? layers : Number(index);
  if (i === 0) return stack.embeddings;
  return i === layers && stack.last ? stack.last : stack.layer.replace("#", String(i - 1));
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
