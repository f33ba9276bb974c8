// Kills training again and again and checks that the end is that of a run that was left alone: tsx test/train/kill-resume-main.ts [kills] [seed]
import { join } from "node:path";
import { randomStream } from "../../src/core/random-stream.js";
import { startRun, train } from "../../src/train/index.js";
import { parseTrainSettings } from "../../src/train/settings.js";
import { sameEnd, trainWithKills } from "./kill-resume.js";
import { temporaryFolder, tinySettings } from "./tiny-run.js";

const [kills = 20, seed = 1] = process.argv.slice(2).map(Number);
using folder = temporaryFolder();
const settings = tinySettings(folder.path, {
  steps: 600,
  d: 64,
  layers: 2,
  checkpoint_every: 3,
  eval_every: 100,
  log_every: 3,
});
const whole = { ...settings, out: join(folder.path, "whole"), checkpoint_every: settings.steps ?? 0 };

const log = await trainWithKills(settings, kills, randomStream(seed).next);
for (const [i, { moment, step, unfinished }] of log.entries())
  console.log(
    `kill ${i + 1}: ${moment}, resumes at step ${step ?? "none"}, unfinished: ${unfinished.join(", ") || "nothing"}`,
  );
await train(await startRun(parseTrainSettings(whole)));
const same = sameEnd(settings.out, whole.out);
console.log(
  same ? "the finished weights, moments and log are those of the run that was left alone" : "the ends DIFFER",
);
process.exitCode = same ? 0 : 1;
