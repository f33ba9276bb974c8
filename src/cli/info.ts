import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { formatShape } from "../core/dim.js";
import { type Param, parametersOf } from "../core/module.js";
import { readJsonObject } from "../hub/json-file.js";
import { families } from "../models/index.js";
import { describeModel } from "../pretrained/load-model.js";
import { forwardFlops } from "./forward-flops.js";
import { modelFolder } from "./model-folder.js";

/** `tessera info`. */
export function addInfo(program: Command): void {
  program
    .command("info")
    .description("what a model is: parameters, memory and work, from its config.json alone")
    .argument(
      "<folder>",
      `a model's name or folder, a config.json, or one of ${presetNames().join(", ")}; no weights are loaded or downloaded`,
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
  /** Multiplications and additions for one token at a full context: forward, and forward with backward. */
  readonly flopsPerToken: { readonly inference: number; readonly training: number };
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

const presetsByName = new Map(
  [...families.values()].flatMap(({ modelType, presets = {} }) =>
    Object.entries(presets).map(([name, config]) => [
      `${modelType}-${name}`.toLowerCase(),
      { ...(config as object), model_type: modelType },
    ]),
  ),
);

/** Models that are reported on without a folder: `gpt3-xl`. */
export const presetNames = (): readonly string[] => [...presetsByName.keys()];

/** Reports on a model of {@link presetNames}; undefined where the name is none, or a file or folder of that name is there. */
export function reportPreset(name: string): ReturnType<typeof reportModel> | undefined {
  const config = existsSync(name) ? undefined : presetsByName.get(name.toLowerCase());
  return config && report(config, name);
}

function report(rawConfig: Readonly<Record<string, unknown>>, where: string): ReturnType<typeof reportModel> {
  const { family, architecture, module, facts, warnings } = describeModel(rawConfig, where);
  const params = parametersOf(module);
  const parameters = [...params.values()].reduce((sum, p) => sum + sizeOf(p), 0);
  const length = facts.contextLength ?? 1024;
  const forward = forwardFlops(module, 1, length) / length;
  return {
    family: family.modelType,
    architecture,
    contextLength: facts.contextLength ?? null,
    vocabSize: facts.vocabSize,
    parameters,
    memory: { float32: 4 * parameters, float16: 2 * parameters },
    trainingMemory: 16 * parameters,
    flopsPerToken: { inference: forward, training: 3 * forward },
    table: rows(params),
    warnings,
  };
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
  const { flopsPerToken, memory } = report;
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
    `  work          ${short(flopsPerToken.inference)}FLOP a token at full context, ${short(flopsPerToken.training)}FLOP to train on it`,
    "",
    ...table,
  ].join("\n");
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
