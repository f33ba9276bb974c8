#!/usr/bin/env node
import { runCli } from "./run.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0); // the reader, such as head, has had enough
  throw error;
});
process.exitCode = await runCli(process.argv.slice(2));
