import { join } from "node:path";
import { expect, it } from "vitest";
import { randomStream } from "../../src/core/random-stream.js";
import { startRun, train } from "../../src/train/index.js";
import { parseTrainSettings } from "../../src/train/settings.js";
import { sameEnd, trainWithKills, unfinishedIn } from "./kill-resume.js";
import { temporaryFolder, tinySettings } from "./tiny-run.js";

it("ends in the same bits when it is killed at random moments and resumed", async () => {
  using folder = temporaryFolder();
  const settings = tinySettings(folder.path, { steps: 120, d: 32, checkpoint_every: 2, eval_every: 30, log_every: 3 });
  const kills = await trainWithKills(settings, 5, randomStream(7).next);
  expect(new Set(kills.map(({ moment }) => moment))).toEqual(new Set(["start", "training", "writing"]));
  const whole = { ...settings, out: join(folder.path, "whole"), checkpoint_every: 120 };
  await train(await startRun(parseTrainSettings(whole)));
  expect(sameEnd(settings.out, whole.out)).toBe(true);
  expect(unfinishedIn(settings.out)).toEqual([]);
}, 180_000);
