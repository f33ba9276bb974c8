import { createInterface } from "node:readline";
import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import type { Pipeline, PipelineTask } from "../pipeline/index.js";
import { modelFolder } from "./model-folder.js";
import { whole } from "./options.js";

/** Flags of every command that asks a model something about texts. */
export interface VerbFlags {
  readonly model: string;
  readonly threads?: number;
  readonly batchSize?: number;
  readonly json?: boolean;
}

const LINES_AT_ONCE = 32;

/**
 * Declares a command that takes texts, or a line of standard input each, and a model folder.
 *
 * @param texts what the arguments are called in the help
 */
export function addVerb(program: Command, name: string, description: string, texts: string): Command {
  return program
    .command(name)
    .description(description)
    .argument(`[${texts}...]`, "default: a line each of standard input")
    .requiredOption("--model <name|folder>", "a model folder, or a name on the hub")
    .option("--batch-size <n>", "texts that are read at once (default 8)", whole("--batch-size", { min: 1, max: 1024 }))
    .option("--threads <n>", "processor threads (default: one a core)", whole("--threads", { min: 1, max: 1024 }))
    .option("--json", "print one JSON object for each text");
}

/**
 * Opens the pipeline of a task and prints what it makes of texts, many at a time; at a terminal, of each line as it comes.
 *
 * @param texts those of the command line
 * @param ask what the pipeline is called with; one result for each text
 * @param show the result as a person reads it
 */
export async function runVerb<T extends PipelineTask, R>(
  task: T,
  texts: readonly string[],
  flags: VerbFlags,
  ask: (pipeline: Pipeline<T>, texts: readonly string[]) => Promise<readonly R[]>,
  show: (result: R, text: string) => string,
): Promise<void> {
  const { model, threads, batchSize, json } = flags;
  const folder = await modelFolder(model);
  const { pipeline } = await import("../pipeline/index.js");
  using opened = await pipeline(task, folder, {
    ...(threads === undefined ? {} : { threads }),
    ...(batchSize === undefined ? {} : { batchSize }),
  });
  for (const warning of opened.model.warnings) console.error(`warning: ${warning}`);
  for await (const some of groupsOf(texts)) {
    const results = await ask(opened, some);
    for (const [i, result] of results.entries()) {
      const text = some[i]!;
      process.stdout.write(`${json ? JSON.stringify({ text, result }) : show(result, text)}\n`);
    }
  }
}

/** The texts of the command line, or the lines of standard input that are not empty. */
async function* groupsOf(texts: readonly string[]): AsyncGenerator<readonly string[]> {
  if (texts.length > 0) {
    if (texts.some((text) => text === "")) throw new TesseraError("argument", "a text is empty");
    yield texts;
    return;
  }
  const atOnce = process.stdin.isTTY ? 1 : LINES_AT_ONCE;
  let group: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    group.push(line);
    if (group.length < atOnce) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** `0.9312 ██████████████████▋ `, of a fixed width. */
export function scoreBar(score: number): string {
  const width = 20;
  const eighths = Math.round(Math.min(1, Math.max(0, score)) * width * 8);
  const bar = "█".repeat(Math.floor(eighths / 8)) + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]!;
  return `${score.toFixed(4).padStart(7)} ${bar.padEnd(width)}`;
}

/** The text above its results, where there are results of several lines. */
export function under(text: string, lines: readonly string[]): string {
  return [text, ...lines.map((line) => `  ${line}`.trimEnd())].join("\n");
}
