import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { TesseraError } from "../core/errors.js";
import { median } from "./median.js";

/** Starts `tessera generate` as a process of its own and times it up to the first character after the prompt. */
export async function benchLoad({
  model,
  runs,
}: {
  readonly model: string;
  readonly runs: number;
}): Promise<Readonly<Record<string, number | string>>> {
  await firstToken(model); // files into memory
  const times: number[] = [];
  for (let i = 0; i < runs; i++) times.push(await firstToken(model));
  return {
    model,
    runs,
    millisecondsToFirstToken: median(times),
    fastest: Math.min(...times),
    slowest: Math.max(...times),
  };
}

const PROMPT = "The";

function firstToken(model: string): Promise<number> {
  const main = fileURLToPath(new URL(`./main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [
      ...process.execArgv,
      main,
      "generate",
      PROMPT,
      "--model",
      model,
      "--max-tokens",
      "4",
      "--seed",
      "1",
    ]);
    let [seen, complaints] = ["", ""];
    child.stderr.on("data", (chunk) => (complaints += chunk));
    child.stdout.on("data", (chunk) => {
      const before = seen.length > PROMPT.length;
      seen += chunk;
      if (!before && seen.length > PROMPT.length) resolve(performance.now() - start);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0)
        reject(new TesseraError("runtime", `bench load: the process ended with code ${code}, ${complaints.trim()}`));
    });
  });
}
