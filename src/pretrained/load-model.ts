import { existsSync, statSync } from "node:fs";
import { configReader } from "../core/config-reader.js";
import { TesseraError } from "../core/errors.js";
import type { AnyModule } from "../core/module.js";
import { readConfig } from "../hub/config.js";
import { type GenerationConfig, type GenerationConfigFile, readGenerationConfig } from "../hub/generation-config.js";
import { openCheckpoint } from "../hub/safetensors-checkpoint.js";
import { familyOf } from "../models/index.js";
import type { AnyModelFamily, ModelFacts, Task } from "../models/model.js";
import { readWeights, type Weights } from "./weights.js";

/** A model with its weights: what training ends in and generation starts from. */
export interface LanguageModel {
  readonly family: AnyModelFamily;
  /** Class name of the head, as in config.json. */
  readonly architecture: string;
  /** The configuration as the family reads it. */
  readonly config: unknown;
  /** All fields of config.json, kept so that saving loses none. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly facts: ModelFacts;
  /** What it answers, which also says how its module is called: see {@link Architecture}. */
  readonly task: Task;
  readonly module: AnyModule;
  readonly weights: Weights;
  /** How it generates unless told otherwise. */
  readonly generation: GenerationConfig;
  /** Further fields of generation_config.json, kept so that saving loses none. */
  readonly generationExtra: GenerationConfigFile["extra"];
  /** What is unusual about the files, one line each. */
  readonly warnings: readonly string[];
}

/**
 * A model from its config.json alone, without weights.
 *
 * @param rawConfig the object of a config.json
 * @param where how messages name it
 * @throws TesseraError `unsupported` for an unknown family or option, `config` for wrong fields, all at once
 */
export function describeModel(
  rawConfig: Readonly<Record<string, unknown>>,
  where: string,
): Omit<LanguageModel, "weights" | "generation" | "generationExtra"> {
  const family = familyOf(String(rawConfig.model_type ?? ""), where);
  const fields = configReader(rawConfig, where);
  const config: unknown = family.parse(fields);
  const warning = fields.done();
  const names = Array.isArray(rawConfig.architectures) ? (rawConfig.architectures as string[]) : [];
  const architecture = names[0] ?? Object.keys(family.architectures)[0]!;
  const built = family.architectures[architecture];
  if (!built)
    throw new TesseraError(
      "unsupported",
      `${where}: architecture ${architecture} is not supported (${Object.keys(family.architectures).join(", ")})`,
    );
  return {
    family,
    architecture,
    config,
    rawConfig,
    facts: family.facts(config),
    task: built.task,
    module: built.build(config),
    warnings: warning ? [warning] : [],
  };
}

/**
 * Loads a model folder in Hugging Face's layout: `config.json`, `model.safetensors` (single or sharded), and, where present,
 * `generation_config.json`. float16 and bfloat16 weights become float32.
 *
 * @throws TesseraError naming the file and the fault; all mismatches of names and shapes at once
 * @example const model = loadModel("checkpoints/melville");
 */
export function loadModel(folder: string): LanguageModel {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new TesseraError("io", `${folder}: no such folder`);
  const { path, values } = readConfig(folder);
  const model = describeModel(values, path);
  using checkpoint = openCheckpoint(folder);
  const weights = readWeights(model.module, checkpoint, model.family.checkpoint, folder);
  const { config: generation, extra: generationExtra, warning } = readGenerationConfig(folder);
  return {
    ...model,
    weights,
    generation,
    generationExtra,
    warnings: [...model.warnings, ...(warning ? [warning] : [])],
  };
}
