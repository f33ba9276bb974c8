import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listCheckpoints, runPaths } from "../../src/train/checkpoint.js";
import type { TrainSettingsInput } from "../../src/train/settings.js";

/** When a process was killed. */
export interface Kill {
  readonly moment: "start" | "training" | "writing";
  /** What was half done: files of a checkpoint that was not complete, or of the model. */
  readonly unfinished: readonly string[];
  /** Checkpoint that the next process goes on from; undefined when there was none yet. */
  readonly step: number | undefined;
}

/**
 * Trains in child processes that are killed with SIGKILL, each at a moment by chance: soon after its start, some steps into training, or
 * while it writes a checkpoint. The last child runs to the end.
 *
 * @param kills how many; more where a moment has not come by then
 * @param random uniform in [0, 1)
 * @throws Error when a child fails by itself
 */
export async function trainWithKills(
  settings: TrainSettingsInput,
  kills: number,
  random: () => number,
): Promise<readonly Kill[]> {
  const file = join(settings.out, "..", "settings.json");
  writeFileSync(file, JSON.stringify(settings));
  const { training, run } = runPaths(settings.out);
  const done: Kill[] = [];
  // On a slow machine the first processes are killed before there is a run: then some more are started, until each moment has had its turn.
  const missing = () =>
    (["training", "writing"] as const).find((wanted) => !done.some(({ moment }) => moment === wanted));
  while (done.length < kills || missing()) {
    const chance = (["training", "writing", "writing"] as const)[Math.floor(3 * random())]!;
    const moment = !existsSync(run) ? "start" : done.length >= kills - 2 ? (missing() ?? chance) : chance;
    const child = startChild(file);
    const end = ending(child);
    await Promise.race([
      says(child, moment === "start" ? "ready" : "step", moment === "training" ? 12 * random() : 0),
      end,
    ]);
    if (moment === "start") await wait(300 * random() * (done.length + 1), end);
    else {
      if (moment === "writing") await beginsToWrite(training, end);
      await wait(12 * random() ** 2, end);
    }
    child.kill("SIGKILL");
    if ((await end) === 0) throw new Error(`the run finished before it was killed ${kills} times (${done.length})`);
    const unfinished = unfinishedIn(settings.out);
    done.push({ moment, unfinished, step: existsSync(run) ? listCheckpoints(settings.out).at(-1)?.step : undefined });
  }
  const code = await ending(startChild(file));
  if (code !== 0) throw new Error(`the last process ended with ${code}`);
  return done;
}

/** What is half written or half deleted in the folder of a run. */
export function unfinishedIn(out: string): string[] {
  return existsSync(out)
    ? readdirSync(out, { recursive: true })
        .map(String)
        .filter((name) => /\.new|\.old|\.tmp/.test(name))
    : [];
}

/** Whether two runs ended in the same weights and moments, byte for byte, and logged the same steps. */
export function sameEnd(a: string, b: string): boolean {
  const state = (out: string) => {
    const last = listCheckpoints(out).at(-1)!.path;
    const files = [
      join(out, "model.safetensors"),
      join(last, "weights.safetensors"),
      join(last, "optimizer.safetensors"),
    ];
    const log = readFileSync(runPaths(out).log, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => ({ ...JSON.parse(line), seconds: 0, tokens_per_second: 0 }));
    return [...files.map((path) => readFileSync(path, "latin1")), JSON.stringify(log)];
  };
  const [x, y] = [state(a), state(b)];
  return x.every((content, i) => content === y[i]);
}

function startChild(file: string): ChildProcess {
  const script = fileURLToPath(new URL("train-child.ts", import.meta.url));
  return spawn(process.execPath, ["--import", import.meta.resolve("tsx"), script, file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Resolves when the process has printed a word more than `times` times. */
function says(child: ChildProcess, word: string, times: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) =>
    child.stdout!.on("data", (text: Buffer) => {
      seen += text.toString().split(word).length - 1;
      if (seen > times) resolve();
    }),
  );
}

/** Resolves with the exit code, null for a process that was killed; a failure rejects. */
function ending(child: ChildProcess): Promise<number | null> {
  child.stdout!.resume();
  return new Promise((resolve, reject) => {
    child.once("exit", (code) =>
      code === 0 || code === null ? resolve(code) : reject(new Error(`the training process failed with ${code}`)),
    );
  });
}

const wait = (milliseconds: number, end: Promise<unknown>) =>
  Promise.race([new Promise((resolve) => setTimeout(resolve, milliseconds)), end]);

/** Resolves when a new checkpoint's folder appears. */
async function beginsToWrite(training: string, end: Promise<unknown>): Promise<void> {
  const watcher = watch(training);
  try {
    await Promise.race([
      new Promise<void>((resolve) => watcher.on("change", (_, name) => String(name).endsWith(".new") && resolve())),
      end,
    ]);
  } finally {
    watcher.close();
  }
}
