import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { messageOf, TesseraError } from "../core/errors.js";
import { addAnswer } from "./answer.js";
import { addBench } from "./bench.js";
import { addChat } from "./chat.js";
import { addClassify } from "./classify.js";
import { addEmbed } from "./embed.js";
import { addEvaluate } from "./evaluate.js";
import { addFillBlanks } from "./fill-blanks.js";
import { addFillMask } from "./fill-mask.js";
import { addGenerate } from "./generate.js";
import { addInfo } from "./info.js";
import { addInspect } from "./inspect.js";
import { addRewrite } from "./rewrite.js";
import { addTag } from "./tag.js";
import { addTokenizer } from "./tokenizer.js";
import { addTrain } from "./train.js";

/**
 * Runs the command line.
 *
 * @param args what stands behind `tessera`
 * @returns the exit code: 0 done, 1 an error, 130 interrupted; what went wrong is told in one line on standard error
 */
export async function runCli(args: readonly string[]): Promise<number> {
  const { version, description } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ) as Record<"version" | "description", string>;
  const program = new Command("tessera")
    .description(description)
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${text.trim().replaceAll("\n", " ")}\n`) })
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 an error (one line on standard error), 130 interrupted. TESSERA_DEBUG=1 shows where an error came from.",
    );
  for (const add of [
    addGenerate,
    addChat,
    addFillMask,
    addFillBlanks,
    addClassify,
    addTag,
    addAnswer,
    addEmbed,
    addRewrite,
    addTrain,
    addEvaluate,
    addTokenizer,
    addInfo,
    addInspect,
    addBench,
  ])
    add(program);
  try {
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1; // commander has printed it
  const line = messageOf(error).replaceAll(/[\r\n]+/g, " ");
  // By V8's words: a size in a flag or a config.json is too large.
  const tooLarge = error instanceof RangeError && /array length|buffer allocation|string length/i.test(line);
  const interrupted = error instanceof TesseraError && error.code === "aborted";
  if (process.env.TESSERA_DEBUG) console.error(error);
  else if (interrupted) console.error("interrupted");
  else if (error instanceof TesseraError) console.error(`error: ${line}`);
  else if (tooLarge) console.error(`error: a size is larger than memory allows (${line})`);
  else console.error(`error: ${line} (unexpected; TESSERA_DEBUG=1 shows where it came from)`);
  return interrupted ? 130 : 1;
}
