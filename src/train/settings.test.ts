import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { parseTrainSettings, readTrainSettings, trainSettingsSchema } from "./settings.js";

const least = { data: ["a.txt"], out: "run" };

describe("settings", () => {
  it("have defaults for all but data and out", () => {
    const settings = parseTrainSettings(least);
    expect(settings).toMatchObject({
      ...least,
      model: "gpt2",
      batch_size: 16,
      steps: null,
      seed: 0,
      schedule: "cosine",
    });
    expect(parseTrainSettings(settings, "again", {})).toEqual(settings);
  });

  it("each say what they are", () => {
    for (const [name, field] of Object.entries(trainSettingsSchema.shape)) expect(field.description, name).toBeTruthy();
  });

  it.each([
    [null, "run.json: settings: invalid input: expected object, received null, got null"],
    [{ out: "run" }, "run.json: data is missing"],
    [{ ...least, data: [] }, "run.json: data: too small: expected array to have >=1 items, got []"],
    [{ ...least, lerning_rate: 1 }, 'run.json: there is no setting "lerning_rate"'],
    [
      { ...least, batch_size: -2, steps: 1.5 },
      "run.json: 2 problems: steps: invalid input: expected int, received number, got 1.5; batch_size: too small: expected number to be >=1, got -2",
    ],
    [
      { ...least, learning_rate: "fast" },
      'run.json: learning_rate: invalid input: expected number, received string, got "fast"',
    ],
    [{ ...least, dropout: 1 }, "run.json: dropout: too big: expected number to be <1, got 1"],
    [{ ...least, threads: 1e9 }, "run.json: threads: too big: expected number to be <=1024, got 1000000000"],
    [
      { ...least, schedule: "cosin" },
      'run.json: schedule: invalid option: expected one of "cosine"|"linear"|"constant", got "cosin"',
    ],
    [{ ...least, steps: 5, epochs: 2 }, "run.json: steps and epochs both say how long, 5 and 2. Give one"],
    [{ ...least, layers: 1e9 }, "run.json: layers: too big: expected number to be <=1024, got 1000000000"],
    [
      { ...least, tokenizer: "folder", vocab_size: 99 },
      'run.json: vocab_size cannot be chosen beside the tokenizer "folder", which has its own',
    ],
    [
      { ...least, validation: 0.1, validation_data: ["held.jsonl"] },
      "run.json: validation and validation_data both say what is validated on. Give one",
    ],
    [{ ...least, micro_batch_size: 5 }, "run.json: micro_batch_size must divide batch_size, got 5 and 16"],
    [
      { ...least, learning_rate: 0.1, min_learning_rate: 0.2 },
      "run.json: min_learning_rate is above learning_rate, 0.2 vs 0.1",
    ],
    [{ ...least, momentum: 0.9 }, "run.json: momentum is Muon's, and the optimizer is adamw"],
    [{ ...least, keep: "best", validation: 0 }, 'run.json: keep "best" needs a validation share, got 0'],
    [{ ...least, from: "m", layers: 2, d: 8 }, 'run.json: layers, d cannot be chosen when fine-tuning "m"'],
  ])("refuse %j", (raw, message) => {
    expect(() => parseTrainSettings(raw, "run.json")).toThrow(expect.objectContaining({ code: "config", message }));
  });

  it("come from a file, with others on top", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "settings.json");
    writeFileSync(path, JSON.stringify({ ...least, steps: 10 }));
    expect(readTrainSettings(path, { steps: 20, seed: undefined })).toMatchObject({ steps: 20, seed: 0 });
    writeFileSync(path, JSON.stringify({ ...least, epochs: 2 }));
    expect(readTrainSettings(path, { steps: 20 })).toMatchObject({ steps: 20, epochs: null });
    expect(readTrainSettings(path)).toMatchObject({ steps: null, epochs: 2 });
    expect(() => readTrainSettings(path, { stpes: 1 })).toThrow(`${path}: there is no setting "stpes"`);
  });
});
