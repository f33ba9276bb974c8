import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { formatShape } from "../core/dim.js";
import { type Param, parametersOf } from "../core/module.js";
import { readJsonObject } from "../hub/json-file.js";
import { presetNames, presetOf } from "../models/index.js";
import type { CausalLm, Encoder, EncoderDecoder, ModelFacts } from "../models/model.js";
import { describeModel } from "../pretrained/load-model.js";
import { encoderDecoderFlops, forwardFlops } from "./forward-flops.js";
import { modelFolder } from "./model-folder.js";

/** `tessera info`. */
export function addInfo(program: Command): void {
  program
    .command("info")
    .description("what a model is: parameters, memory and work, from its config.json alone")
    .argument(
      "<folder>",
      `a model's name or folder, a config.json, or one of ${presetNames.join(", ")}; no weights are loaded or downloaded`,
    )
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  tessera info checkpoints/tang\n  tessera info gpt3-xl")
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const report = reportPreset(folder) ?? reportModel(await modelFolder(folder, ["config.json"]));
      for (const warning of report.warnings) console.error(`warning: ${warning}`);
      console.log(json ? JSON.stringify(report) : formatReport(report));
    });
}

/** What `tessera info` reports of a configuration, whatever its size: nothing is allocated. */
export interface ModelReport {
  readonly family: string;
  readonly architecture: string;
  readonly contextLength: number | null;
  readonly vocabSize: number;
  readonly parameters: number;
  /** Weights in bytes, by element type. */
  readonly memory: { readonly float32: number; readonly float16: number };
  /** Training with AdamW: weights, gradients and two moments in float32, in bytes; activations come on top. */
  readonly trainingMemory: number;
  /**
   * Multiplications and additions for one token at a full context: forward, and forward with backward. Of an encoder-decoder for a token
   * of the source that is read and one of the target that is written; `source` and `target` are the forward parts of each.
   */
  readonly flopsPerToken: {
    readonly inference: number;
    readonly training: number;
    readonly source?: number;
    readonly target?: number;
  };
  readonly table: readonly ParameterRow[];
}

/** A parameter, or several that differ in their layer only. */
export interface ParameterRow {
  /** Path, with `#` for the layer. */
  readonly name: string;
  readonly shape: readonly number[];
  /** How many there are. */
  readonly count: number;
  readonly parameters: number;
}

/**
 * Reads a model folder's `config.json` (or the file itself) and reports on it.
 *
 * @throws TesseraError as reading and parsing the configuration do
 */
export function reportModel(path: string): ModelReport & { readonly warnings: readonly string[] } {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, "config.json") : path;
  return report(readJsonObject(file), file);
}

/** Reports on a preset; undefined where the name is of none, or a file or folder of that name is there. */
export function reportPreset(name: string): ReturnType<typeof reportModel> | undefined {
  const preset = existsSync(name) ? undefined : presetOf(name);
  return preset && report({ ...preset.config, model_type: preset.family.modelType }, name);
}

function report(rawConfig: Readonly<Record<string, unknown>>, where: string): ReturnType<typeof reportModel> {
  const { family, architecture, module, task, facts, warnings } = describeModel(rawConfig, where);
  const params = parametersOf(module);
  const parameters = [...params.values()].reduce((sum, p) => sum + sizeOf(p), 0);
  return {
    family: family.modelType,
    architecture,
    contextLength: facts.contextLength ?? null,
    vocabSize: facts.vocabSize,
    parameters,
    memory: { float32: 4 * parameters, float16: 2 * parameters },
    trainingMemory: 16 * parameters,
    flopsPerToken: task === "seq2seq-lm" ? flopsOfPair(module, facts) : flopsOfToken(module, facts),
    table: rows(params),
    warnings,
  };
}

const UNBOUNDED = 1024; // length that stands for one without a bound

function flopsOfToken(module: CausalLm | Encoder, { contextLength = UNBOUNDED }: ModelFacts) {
  const inference = forwardFlops(module, 1, contextLength) / contextLength;
  return { inference, training: 3 * inference };
}

function flopsOfPair(
  module: EncoderDecoder,
  { sourceLength = UNBOUNDED, contextLength = UNBOUNDED }: ModelFacts,
): ModelReport["flopsPerToken"] {
  const lengths = { source: sourceLength, target: contextLength };
  const work = encoderDecoderFlops(module, 1, lengths);
  const [source, target] = [work.source / lengths.source, work.target / lengths.target];
  return { inference: source + target, training: 3 * (source + target), source, target };
}

const sizeOf = ({ shape }: Param) => shape.reduce((a, b) => a * b, 1);

function rows(params: ReadonlyMap<string, Param>): ParameterRow[] {
  const found = new Map<string, ParameterRow>();
  for (const [path, param] of params) {
    const name = path.replace(/(?<=^|\.)\d+(?=\.|$)/g, "#");
    const key = `${name}${formatShape(param.shape)}`;
    const row = found.get(key) ?? { name, shape: param.shape, count: 0, parameters: 0 };
    found.set(key, { ...row, count: row.count + 1, parameters: row.parameters + sizeOf(param) });
  }
  return [...found.values()];
}

/** The report as text. */
export function formatReport(report: ModelReport): string {
  const { memory } = report;
  const cells = report.table.map(
    (r) => [r.name, formatShape(r.shape), `× ${r.count}`, r.parameters.toLocaleString("en")] as const,
  );
  const width = [0, 1, 2, 3].map((i) => Math.max(...cells.map((row) => row[i]!.length)));
  const table = cells.map(
    ([name, shape, count, total]) =>
      `  ${name.padEnd(width[0]!)}  ${shape.padEnd(width[1]!)}  ${count.padStart(width[2]!)}  ${total.padStart(width[3]!)}`,
  );
  return [
    `${report.architecture} (${report.family})`,
    `  context       ${report.contextLength ?? "unbounded"}${report.contextLength ? " tokens" : ""}`,
    `  vocabulary    ${report.vocabSize.toLocaleString("en")} tokens`,
    `  parameters    ${report.parameters.toLocaleString("en")} (${short(report.parameters)})`,
    `  memory        ${bytes(memory.float32)} in float32, ${bytes(memory.float16)} in float16; ${bytes(report.trainingMemory)} to train, activations aside`,
    `  work          ${workOf(report)}`,
    "",
    ...table,
  ].join("\n");
}

function workOf({ contextLength, flopsPerToken }: ModelReport): string {
  const { inference, training, source, target } = flopsPerToken;
  const at = contextLength === null ? `at ${UNBOUNDED.toLocaleString("en")} tokens` : "at full context";
  if (source === undefined || target === undefined)
    return `${short(inference)}FLOP a token ${at}, ${short(training)}FLOP to train on it`;
  return `${short(source)}FLOP a token of the source read, ${short(target)}FLOP one of the target written, both ${at}; ${short(training)}FLOP to train on one of each`;
}

/** `1.2G`-like magnitudes; below a thousand the number itself. */
export function short(n: number): string {
  const units = ["", "k", "M", "G", "T", "P", "E"];
  const power = n < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  return power === 0 ? `${n}` : `${(n / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

/** Bytes in decimal units: `7.5 MB`. */
export function bytes(n: number): string {
  return `${short(n)}${n < 1000 ? " " : ""}B`;
}
