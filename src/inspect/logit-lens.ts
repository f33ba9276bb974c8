import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { Tensor } from "../core/tensor.js";
import { innerValues, layerPaths } from "./inner-values.js";
import { type InspectedModel, type ModelInput, modelFeeds } from "./model-input.js";
import { compileSymbols, type InspectOptions } from "./probe.js";
import { symbolsOf, traceModel } from "./trace-model.js";

/** What a model would say after one of its layers. */
export interface LensLayer {
  /** Where the hidden state is; the first is what goes into the first layer. */
  readonly path: string;
  /** `[b, t, v]` */
  readonly logits: HostTensor;
}

/**
 * The logit lens: each hidden state of a language model read by its final norm and head, as if the layers behind it were not there.
 * nostalgebraist 2020. Of an encoder-decoder the decoder's.
 *
 * @returns a reading for the embeddings and for each layer; the last is the model's own answer
 * @throws TesseraError `unsupported` for a model without logits of tokens, or a family whose layers are not known; else as {@link capture}
 * @example
 * for (const { path, logits } of await logitLens(model, ids)) console.log(path, logits.data);
 */
export async function logitLens(
  model: InspectedModel,
  input: ModelInput,
  { tokenizer, runtime }: InspectOptions = {},
): Promise<readonly LensLayer[]> {
  if (!["causal-lm", "masked-lm", "seq2seq-lm"].includes(model.task))
    throw new TesseraError("unsupported", `logitLens: a model for ${model.task} has no logits of tokens`);
  const feeds = modelFeeds(model, input, tokenizer);
  const shapes = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, tensor?.shape]));
  const symbols = symbolsOf(model, shapes);
  const layers = layerPaths(model, innerValues(model, symbols));
  if (layers.length < 2)
    throw new TesseraError("unsupported", `logitLens: where the layers of ${model.family.modelType} are is not known`);
  const last = layers.at(-1)!;
  const states = new Map<string, Tensor>();
  const answer = traceModel(model, symbols, (path, value) => {
    states.set(path, value);
    return value;
  });
  // The rest of the model once more for each state; what computes the states is in the graph once.
  const readings = layers.map((layer) =>
    layer === last
      ? answer.logits!
      : traceModel(model, symbols, (path, value) => (path === last ? states.get(layer)! : value)).logits!,
  );
  const names = layers.map((_, i) => `logits.${i}`);
  const results = Object.fromEntries(names.map((name, i) => [name, readings[i]!]));
  using session = await compileSymbols(model, symbols, results, runtime);
  const all = await session.run(feeds);
  return layers.map((path, i) => ({ path, logits: all[names[i]!]! }));
}
