import { mkdirSync } from "node:fs";
import type { HostTensor } from "../core/host-tensor.js";
import { writeConfig } from "../hub/config.js";
import { writeGenerationConfig } from "../hub/generation-config.js";
import { float32ToBfloat16, float32ToFloat16 } from "../hub/half.js";
import { writeCheckpoint } from "../hub/safetensors-shards.js";
import type { LanguageModel } from "./load-model.js";

/** How a model is written. */
export interface SaveModelOptions {
  /** Element type on disk. Default `float32`. */
  readonly dtype?: "float32" | "float16" | "bfloat16";
}

/** The part of a model that is written. */
export type SavedModel = Pick<LanguageModel, "architecture" | "family" | "rawConfig" | "weights"> &
  Partial<Pick<LanguageModel, "generation" | "generationExtra">>;

/**
 * Writes a model folder in Hugging Face's layout: `config.json`, `model.safetensors` (in shards when it is larger than a file may be),
 * and `generation_config.json` where the model has such settings. Each file appears atomically.
 *
 * @throws TesseraError `io` when the folder cannot be written
 */
export function saveModel(folder: string, model: SavedModel, { dtype = "float32" }: SaveModelOptions = {}): void {
  mkdirSync(folder, { recursive: true });
  const { rawConfig, architecture, family, generation = {}, generationExtra = {} } = model;
  const tensors = [...model.weights].map(([name, tensor]) => [name, inDtype(tensor, dtype)] as const);
  writeCheckpoint(folder, tensors, { metadata: { format: "pt" } });
  writeConfig(folder, { ...rawConfig, architectures: [architecture], dtype, model_type: family.modelType });
  writeGenerationConfig(folder, generation, generationExtra);
}

/** Converted only when its turn to be written comes, so that a copy of all weights is never held. */
function inDtype(tensor: HostTensor, dtype: NonNullable<SaveModelOptions["dtype"]>): HostTensor {
  if (dtype === "float32") return tensor;
  const convert = dtype === "float16" ? float32ToFloat16 : float32ToBfloat16;
  return {
    dtype,
    shape: tensor.shape,
    get data() {
      return convert(tensor.data as Float32Array);
    },
  };
}
