import { mkdirSync } from "node:fs";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { quote } from "../core/quote.js";
import { writeConfig } from "../hub/config.js";
import { writeGenerationConfig } from "../hub/generation-config.js";
import { float32ToBfloat16, float32ToFloat16 } from "../hub/half.js";
import { ioError } from "../hub/regular-file.js";
import { writeCheckpoint } from "../hub/safetensors-shards.js";
import type { LanguageModel } from "./load-model.js";
import { weightDtypes } from "./weights.js";

/** How a model is written. */
export interface SaveModelOptions {
  /** Element type on disk. Default `float32`. */
  readonly dtype?: (typeof weightDtypes)[number];
}

/** The part of a model that is written. */
export type SavedModel = Pick<LanguageModel, "architecture" | "family" | "rawConfig" | "weights"> &
  Partial<Pick<LanguageModel, "generation" | "generationExtra">>;

/**
 * Writes a model folder in Hugging Face's layout: `config.json`, `model.safetensors` (in shards when it is larger than a file may be),
 * and `generation_config.json` where the model has such settings. Each file appears atomically.
 *
 * @throws TesseraError `io` when the folder cannot be written, `argument` for another element type
 */
export function saveModel(folder: string, model: SavedModel, { dtype = "float32" }: SaveModelOptions = {}): void {
  if (!weightDtypes.includes(dtype))
    throw new TesseraError("argument", `saveModel: dtype must be float32, float16 or bfloat16, got ${quote(dtype)}`);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw ioError(folder, "written", cause);
  }
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
