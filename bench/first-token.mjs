// Start-up: from process start to the first token of the default model, warm file cache.
//   node bench/first-token.mjs [--runs 10]
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { runs: { type: "string", default: "10" } } });
const cli = new URL("../dist/cli/main.js", import.meta.url).pathname;
process.stdout.write(
  execFileSync(process.execPath, [cli, "bench", "load", "--runs", values.runs, "--json"], { encoding: "utf8" }),
);
