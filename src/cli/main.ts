#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { messageOf, TesseraError } from "../core/errors.js";
import { addBench } from "./bench.js";
import { addGenerate } from "./generate.js";
import { addInfo } from "./info.js";
import { addTokenizer } from "./tokenizer.js";
import { addTrain } from "./train.js";

const { version, description } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
  description: string;
};

const program = new Command("tessera")
  .description(description)
  .version(version)
  .showHelpAfterError("(--help lists what there is)")
  .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
  .exitOverride()
  .addHelpText(
    "after",
    "\nExit codes: 0 done, 1 an error (one line on standard error), 130 interrupted. TESSERA_DEBUG=1 shows where an error came from.",
  );

addGenerate(program);
addTrain(program);
addTokenizer(program);
addInfo(program);
addBench(program);

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0); // the reader, such as head, has had enough
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** One line for what went wrong, and the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1; // commander has printed it
  if (process.env.TESSERA_DEBUG) console.error(error);
  else if (error instanceof TesseraError) console.error(`error: ${error.message.replaceAll("\n", " ")}`);
  else
    console.error(
      `error: ${messageOf(error).replaceAll("\n", " ")} (unexpected; TESSERA_DEBUG=1 shows where it came from)`,
    );
  return error instanceof TesseraError && error.code === "aborted" ? 130 : 1;
}
