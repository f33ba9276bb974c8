#!/usr/bin/env node
import { runCli } from "./run.js";

let gone = false;
const onOutputError = (error: NodeJS.ErrnoException) => {
  if (gone) return;
  gone = true;
  if (error.code === "EPIPE") {
    // The reader, such as head, has had enough: what can be interrupted ends as by Ctrl-C, and saves.
    if (!process.emit("SIGINT")) process.exit(0);
  } else {
    process.stderr.write(`error: the output cannot be written, ${error.message.replaceAll("\n", " ")}\n`);
    process.exit(1);
  }
};
process.stdout.on("error", onOutputError);
process.stderr.on("error", onOutputError);
process.exitCode = await runCli(process.argv.slice(2));
