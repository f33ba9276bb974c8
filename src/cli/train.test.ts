import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { parseTrainSettings, trainSettingsSchema } from "../train/settings.js";
import { addTrain, trainFlags } from "./train.js";

const required = { data: ["a.txt"], out: "out" };

describe("tessera train's flags", () => {
  it("are the settings, all of them", () => {
    const settings = Object.keys(trainSettingsSchema.shape).filter((name) => name !== "data" && name !== "out");
    expect(Object.keys(trainFlags).sort()).toEqual(settings.sort());
  });

  it.each(Object.entries(trainFlags).filter(([, [kind]]) => Array.isArray(kind)))(
    "--%s takes the words that the setting takes",
    (name, [words]) => {
      for (const word of words as readonly string[])
        expect(() => parseTrainSettings({ ...required, [name]: word })).not.toThrow();
      expect(() => parseTrainSettings({ ...required, [name]: "nothing of the kind" })).toThrow(
        (words as readonly string[])[0],
      );
    },
  );

  it("say the defaults that the settings have", () => {
    const defaults = parseTrainSettings(required) as unknown as Record<string, unknown>;
    for (const [name, [, description]] of Object.entries(trainFlags)) {
      const said = /\(default (\S+?)[),;]/.exec(`${description} `)?.[1];
      if (said === undefined || defaults[name] === null || name === "tokenizer") continue;
      expect(`${name} ${Number.isNaN(Number(said)) ? said : Number(said)}`).toBe(`${name} ${defaults[name]}`);
    }
  });

  it.each([
    [["a.txt"], "train: --out is missing, the folder for the model and the state of the run"],
    [["--out", "run"], "train: no files are given to train on. Name text files or data sets"],
  ])("are asked for by their names: %j", async (args, message) => {
    const program = new Command("tessera").exitOverride();
    addTrain(program);
    await expect(program.parseAsync(["train", ...args], { from: "user" })).rejects.toThrow(message);
  });

  it("stand in the help", () => {
    const program = new Command("tessera");
    addTrain(program);
    const help = program.commands[0]!.helpInformation();
    for (const name of Object.keys(trainFlags)) expect(help).toContain(`--${name.replaceAll("_", "-")} <`);
  });
});
