// Trains in a process of its own, to be killed: starts the run of a settings file, or goes on with it.
import { existsSync, readFileSync, writeSync } from "node:fs";
import { resumeRun, runPaths, startRun, train } from "../../src/train/index.js";
import { parseTrainSettings } from "../../src/train/settings.js";

writeSync(1, "ready\n");
const settings = parseTrainSettings(JSON.parse(readFileSync(process.argv[2]!, "utf8")));
const run = existsSync(runPaths(settings.out).run) ? await resumeRun(settings.out) : await startRun(settings);
await train(run, { onEvent: ({ type, step }) => writeSync(1, `${type} ${step}\n`) });
