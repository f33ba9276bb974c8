import { existsSync, statSync } from "node:fs";
import { configReader } from "../core/config-reader.js";
import { TesseraError } from "../core/errors.js";
import type { AnyModule } from "../core/module.js";
import { type RawConfig, readConfig } from "../hub/config.js";
import type { DownloadOptions } from "../hub/download.js";
import { type GenerationConfig, type GenerationConfigFile, readGenerationConfig } from "../hub/generation-config.js";
import { openCheckpoint } from "../hub/safetensors-checkpoint.js";
import { familyOf } from "../models/index.js";
import { labelFields, type ProblemType } from "../models/labels.js";
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

/** The first architecture of a family for a task. @throws TesseraError `unsupported` naming the tasks it has */
export function architectureFor({ architectures, modelType }: AnyModelFamily, task: Task): string {
  const found = Object.entries(architectures).find(([, built]) => built.task === task);
  if (found) return found[0];
  const tasks = [...new Set(Object.values(architectures).map((built) => built.task))].join(", ");
  throw new TesseraError("unsupported", `${modelType}: it has no head for ${task} (${tasks})`);
}

/** The fields that say what a config.json is of, and are therefore not chosen as fields. */
export const identifyingFields = (fields: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.keys(fields).filter((name) => name === "model_type" || name === "architectures");

/**
 * The config.json of a folder with other fields on top.
 *
 * @param changes fields by name, each taking the place of the whole field that the file has
 * @throws TesseraError `argument` for `model_type` and `architectures`, which say what the file is
 */
export function readChangedConfig(folder: string, changes: Readonly<Record<string, unknown>> = {}): RawConfig {
  const config = readConfig(folder);
  const names = Object.keys(changes);
  const fixed = identifyingFields(changes);
  if (fixed.length > 0)
    throw new TesseraError(
      "argument",
      `${config.path}: ${fixed.join(" and ")} cannot be changed. Ask for a task instead`,
    );
  if (names.length === 0) return config;
  return {
    ...config,
    path: `${config.path} with another ${names.join(", ")}`,
    values: { ...config.values, ...changes },
  };
}

/** Another head than that of the checkpoint, or on what it lacks. */
export interface LoadModelOptions {
  /** Class name of the head. Default: the first of config.json. */
  readonly architecture?: string | undefined;
  /** What the head is to answer; picks the family's first architecture for it, unless config.json's own is one. */
  readonly task?: Task | undefined;
  /** Names of the labels of a new head, in place of config.json's. */
  readonly labels?: readonly string[] | undefined;
  /** How many of these labels hold, see {@link Labels}. */
  readonly problemType?: ProblemType | undefined;
  /**
   * Fields of config.json to change, such as rates of dropout. Weights that the checkpoint has must still fit; those that it lacks
   * because of a change start fresh when `initialize` is given.
   */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Seed of fresh weights for what of the head is not in the checkpoint, or has another size there. Default: that is an error. */
  readonly initialize?: number | undefined;
}

/**
 * Loads a model: a folder, or `org/name` of the Hugging Face hub, which is downloaded into the cache that Python uses too unless it is
 * there already.
 *
 * @throws TesseraError as {@link readModel}, and as the download
 * @example const model = await loadModel("checkpoints/ishmael");
 * @example await loadModel("org/name", { revision: "main", onProgress: ({ file, done, total }) => console.log(file, done, total) });
 */
export async function loadModel(
  name: string,
  options: LoadModelOptions & DownloadOptions = {},
): Promise<LanguageModel> {
  const { architecture, task, labels, problemType, config, initialize, ...download } = options;
  const folder = existsSync(name) ? name : await (await import("../hub/download.js")).resolveModel(name, download);
  return readModel(folder, { architecture, task, labels, problemType, config, initialize });
}

/**
 * Reads a model folder in Hugging Face's layout: `config.json`, `model.safetensors` (single or sharded), and, where present,
 * `generation_config.json`. float16 and bfloat16 weights become float32. Weights of another head than the model's are left out with a
 * warning.
 *
 * @throws TesseraError naming the file and the fault; all mismatches of names and shapes at once
 * @example const model = readModel("checkpoints/melville");
 * @example readModel("bert-base-uncased", { task: "sequence-classification", labels: ["ham", "spam"], initialize: 1 });
 * @example readModel("bert-base-uncased", { config: { hidden_dropout_prob: 0.3 } });
 */
export function readModel(folder: string, options: LoadModelOptions = {}): LanguageModel {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new TesseraError("io", `${folder}: no such folder`);
  const describe = ({ path, values }: RawConfig, decided: object = {}, changes: object = {}) => {
    const rawConfig = withOptions(values, path, options);
    return { ...describeModel({ ...rawConfig, ...decided, ...changes }, path), rawConfig };
  };
  const changes = Object.keys(options.config ?? {}).length > 0 ? options.config : undefined;
  const config = readChangedConfig(folder, changes);
  const { checkpoint: layout, architectures } = describe(config).family;
  using checkpoint = openCheckpoint(folder);
  const decided = layout?.fields?.(checkpoint.names);
  const model = describe(config, decided, changes);
  const unchanged = changes && describe(readConfig(folder), decided);
  const formsOf = (config: unknown) => Object.values(architectures).map(({ build }) => build(config));
  const { weights, warnings } = readWeights(model.module, checkpoint, {
    where: changes ? `${folder} with another ${Object.keys(changes).join(", ")}` : folder,
    layout,
    forms: () => [...formsOf(model.config), ...(unchanged ? formsOf(unchanged.config) : [])],
    unchanged: unchanged?.module,
    initialize: options.initialize,
  });
  const { config: generation, extra: generationExtra, warning } = readGenerationConfig(folder);
  return {
    ...model,
    weights,
    generation,
    generationExtra,
    warnings: [...model.warnings, ...warnings, ...(warning ? [warning] : [])],
  };
}

/** The fields of config.json with those that the options ask for. */
function withOptions(
  values: Readonly<Record<string, unknown>>,
  where: string,
  { architecture, task, labels, problemType }: LoadModelOptions,
): Readonly<Record<string, unknown>> {
  const family = familyOf(String(values.model_type ?? ""), where);
  const named = (values.architectures as readonly string[] | undefined)?.[0] ?? "";
  const fits = task === undefined || family.architectures[named]?.task === task;
  const asked = architecture ?? (fits ? undefined : architectureFor(family, task));
  return {
    ...values,
    ...(asked === undefined ? {} : { architectures: [asked] }),
    ...(labels ? { num_labels: undefined, problem_type: undefined } : {}),
    ...(labels ? labelFields({ names: labels, problemType }) : problemType ? { problem_type: problemType } : {}),
  };
}
