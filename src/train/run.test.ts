import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, tinySettings, tinyText } from "../../test/train/tiny-run.js";
import { openSafetensors } from "../hub/safetensors.js";
import { readModel } from "../pretrained/load-model.js";
import { loadTokenizer } from "../text/load-tokenizer.js";
import { listCheckpoints, runPaths } from "./checkpoint.js";
import { type TrainEvent, type TrainResult, train } from "./loop.js";
import { resumeRun, startRun } from "./run.js";
import { parseTrainSettings, type TrainSettingsInput } from "./settings.js";

const start = async (settings: TrainSettingsInput, onEvent?: (event: TrainEvent) => void): Promise<TrainResult> =>
  train(await startRun(parseTrainSettings(settings)), onEvent && { onEvent });

/** Trains until a step, or goes on until a step. */
async function trainUntil(step: number, settings: TrainSettingsInput): Promise<TrainResult> {
  const { out } = settings;
  const run = existsSync(runPaths(out).run) ? await resumeRun(out) : await startRun(parseTrainSettings(settings));
  const stop = new AbortController();
  if (run.state.progress.step >= step) stop.abort();
  return train(run, {
    signal: stop.signal,
    onEvent: (event) => event.type === "step" && event.step >= step && stop.abort(),
  });
}

/** All that a run leaves, without what depends on time. */
function remains(out: string): Record<string, unknown> {
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => {
        const name = path.slice(out.length + 1);
        const bytes = readFileSync(path);
        if (name.endsWith(".jsonl"))
          return [
            name,
            bytes
              .toString()
              .split("\n")
              .filter(Boolean)
              .map((line) => ({ ...JSON.parse(line), seconds: 0, tokens_per_second: 0 })),
          ];
        if (name.endsWith("progress.json")) return [name, { ...JSON.parse(bytes.toString()), seconds: 0 }];
        if (name.endsWith("run.json"))
          return [
            name,
            {
              ...JSON.parse(bytes.toString()),
              settings: { ...JSON.parse(bytes.toString()).settings, out: "", data: [] },
            },
          ];
        return [name, bytes.toString("latin1")];
      }),
  );
}

describe("a run", () => {
  it("learns, and leaves a model folder, a log and a curve", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, { steps: 150, eval_every: 50, checkpoint_every: 50 });
    const events: TrainEvent[] = [];
    const result = await start(settings, (event) => events.push(event));
    expect(result).toMatchObject({ status: "finished", step: 150, validation: { step: 150 } });
    const evaluations = events.filter((event) => event.type === "evaluation");
    expect(evaluations.map(({ step }) => step)).toEqual([50, 100, 150]);
    expect(evaluations[0]!.loss).toBeLessThan(3.2);
    expect(evaluations[2]!.loss).toBeLessThan(1);
    expect(evaluations[2]!.perplexity).toBeCloseTo(Math.exp(evaluations[2]!.loss), 9);
    expect(events.filter((event) => event.type === "step")).toHaveLength(150);

    const { out } = settings;
    const model = readModel(out);
    const tokenizer = await loadTokenizer(out);
    expect(model.facts).toMatchObject({ vocabSize: tokenizer.vocabSize, contextLength: 24 });
    expect(model.generation).toEqual({ bos_token_id: 0, eos_token_id: 0 });
    expect(model.warnings).toEqual([]);
    expect(readdirSync(out).sort()).toEqual([
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "training",
    ]);
    expect(readdirSync(runPaths(out).training).sort()).toEqual([
      "log.jsonl",
      "loss.svg",
      "run.json",
      "step-00000100",
      "step-00000150",
    ]);
    expect(readFileSync(runPaths(out).curve, "utf8")).toContain("best");
  });

  it.each(["adamw", "muon"] as const)(
    "with %s that is interrupted again and again ends as one that is not, bit for bit",
    async (optimizer) => {
      using folder = temporaryFolder();
      const settings = tinySettings(folder.path, { optimizer });
      const whole = { ...settings, out: join(folder.path, "whole", "run") };
      expect((await start(whole)).status).toBe("finished");
      for (const step of [1, 7, 7, 12, 20]) {
        const result = await trainUntil(step, settings);
        expect(result).toMatchObject({ status: "interrupted", step });
        expect(listCheckpoints(settings.out).at(-1)!.step).toBe(step);
      }
      expect((await trainUntil(100, settings)).status).toBe("finished");
      expect((await trainUntil(100, settings)).status).toBe("finished"); // nothing left to do
      const [a, b] = [remains(settings.out), remains(whole.out)];
      const latest = Object.keys(b).filter((name) => !/step-000000(20|22)\//.test(name)); // which older checkpoint is left differs
      for (const name of latest) expect(a[name], name).toEqual(b[name]);
      expect(Object.keys(b)).toContain("training/step-00000024/optimizer.safetensors");
    },
  );

  it("goes on from its last checkpoint where it was killed, whatever lies around", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path);
    const whole = { ...settings, out: join(folder.path, "whole", "run") };
    await start(whole);
    await trainUntil(13, settings);
    const { training, log } = runPaths(settings.out);
    for (const name of ["step-00000014.new", "step-00000005.old"]) {
      mkdirSync(join(training, name));
      writeFileSync(join(training, name, "weights.safetensors"), "cut sho");
    }
    writeFileSync(log, `${JSON.stringify({ type: "train", step: 14, loss: 1 })}\n{"type":"tr`, { flag: "a" });
    await trainUntil(100, settings);
    const [a, b] = [remains(settings.out), remains(whole.out)];
    for (const name of ["model.safetensors", "training/log.jsonl", "training/loss.svg"])
      expect(a[name], name).toEqual(b[name]);
    expect(readdirSync(training).filter((name) => /new|old/.test(name))).toEqual([]);
  });

  it("refuses, before anything is written, to freeze nothing or everything", async () => {
    using folder = temporaryFolder();
    for (const [freeze, message] of [
      [".", 'freeze: "." leaves no parameter to train'],
      ["no_such", 'freeze: "no_such" fits no parameter'],
    ] as const) {
      const settings = tinySettings(folder.path, { freeze });
      await expect(startRun(parseTrainSettings(settings))).rejects.toThrow(message);
      expect(existsSync(settings.out)).toBe(false);
    }
  });

  it("can change its length and rate on the way, but not its data", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, { steps: 8 });
    await start(settings);
    const longer = await resumeRun(settings.out, { steps: 10, learning_rate: 1e-4, threads: undefined as never });
    expect(await train(longer)).toMatchObject({ status: "finished", step: 10 });
    expect((await resumeRun(settings.out)).settings).toEqual(longer.settings); // what was changed stays changed
    await expect(resumeRun(settings.out, { steps: 9 })).rejects.toThrow("steps: the run is past that, 9 vs step 10");
    await expect(resumeRun(settings.out, { seed: 3, d: 8 })).rejects.toThrow(
      `${settings.out}: seed, d cannot change once a run has started`,
    );
    await expect(resumeRun(settings.out, { steps: -1 })).rejects.toThrow(/run\.json: steps: too small/);
    writeFileSync(settings.data[0]!, tinyText(401));
    await expect(resumeRun(settings.out)).rejects.toThrow(
      /text\.txt: the file is not what the run began with, \d+ bytes then, \d+ now/,
    );
  });

  it.each([
    [6, 24, 6],
    [48, 24, 24],
    [12, 400, 2],
    [7, 2000, 1],
  ])("of %i windows of %i tokens is processed %i at a time", async (batch_size, context_length, expected) => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, { batch_size, context_length, micro_batch_size: null, validation: 0.2 });
    expect((await startRun(parseTrainSettings(settings))).settings.micro_batch_size).toBe(expected);
  });

  it("takes further fields of the model's configuration, and warns of those it does not know", async () => {
    using folder = temporaryFolder();
    const run = await startRun(
      parseTrainSettings(tinySettings(folder.path, { model_config: { activation_function: "relu", n_haed: 3 } })),
    );
    expect(run.model.config).toMatchObject({ activation_function: "relu", n_head: 2 });
    expect(run.warnings).toEqual(["model_config: unknown keys are ignored, n_haed"]);
  });

  it("warns of sizes that the family has no use for, and of a separator that occurs nowhere", async () => {
    using folder = temporaryFolder();
    const run = await startRun(
      parseTrainSettings(
        tinySettings(folder.path, { model: "rnn-lm", layers: 1, heads: 2, dropout: 0, separator: "<|nowhere|>" }),
      ),
    );
    expect(run.warnings).toEqual([
      "heads: rnn-lm has no such setting, 2 is ignored",
      'separator: "<|nowhere|>" occurs nowhere, a file is one document',
    ]);
  });

  it("keeps the best weights where it is asked to, in the type it is asked to", async () => {
    using folder = temporaryFolder();
    // The rate is far too high at the end: validation gets worse.
    const settings = tinySettings(folder.path, {
      keep: "best",
      dtype: "float16",
      steps: 40,
      eval_every: 4,
      checkpoint_every: 20,
      schedule: "constant",
      learning_rate: 0.3,
      max_gradient_norm: 0,
    });
    const result = await start(settings);
    expect(result.best!.step).toBeLessThan(40);
    expect(result.validation!.loss).toBeGreaterThan(result.best!.loss);
    using best = openSafetensors(join(settings.out, "model.safetensors"));
    using last = openSafetensors(join(runPaths(settings.out).training, "step-00000040", "weights.safetensors"));
    expect(best.tensors.get("transformer.wte.weight")!.dtype).toBe("float16");
    expect(last.read("transformer.wte.weight").dtype).toBe("float32");
  });

  it("stops when the loss is no longer finite, and keeps the last good checkpoint", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, {
      schedule: "constant",
      warmup_steps: 0,
      learning_rate: 1e-3,
      max_gradient_norm: 0,
    });
    await trainUntil(10, settings);
    const good = remains(settings.out);
    const broken = await resumeRun(settings.out, { learning_rate: 1e30 });
    await expect(train(broken)).rejects.toMatchObject({
      code: "diverged",
      message: expect.stringMatching(
        /run: the (loss|gradient norm) became (NaN|Infinity) in step 1\d, .*, learning rate 1\.00e\+30\. The last good checkpoint is .*step-00000010: resume from it with a lower learning_rate$/,
      ),
    });
    expect(remains(settings.out)).toEqual(good);
    expect((await train(await resumeRun(settings.out))).status).toBe("finished");
  });

  it("never saves weights that are not finite", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, { checkpoint_every: 1, eval_every: 50 });
    const run = await startRun(parseTrainSettings(settings));
    const poison = () => run.model.weights.get("transformer.ln_f.bias")!.data.fill(Number.NaN as never);
    await expect(
      train(run, { onEvent: (event) => event.type === "step" && event.step === 3 && poison() }),
    ).rejects.toMatchObject({
      code: "diverged",
      message: expect.stringMatching(/the weights are no longer finite after step 3, transformer\.ln_f\.bias/),
    });
    expect(listCheckpoints(settings.out).at(-1)!.step).toBe(2);
    expect(readModel(settings.out).weights.get("transformer.ln_f.bias")!.data.some(Number.isNaN)).toBe(false);
  });

  it("fine-tunes a model that was trained", async () => {
    using folder = temporaryFolder();
    const first = tinySettings(folder.path, { steps: 60, eval_every: 60 });
    const before = await start(first);
    const { model_config: _, tokenizer, layers, heads, d, dropout, ...rest } = first;
    const run = await startRun(
      parseTrainSettings({
        ...rest,
        from: first.out,
        out: join(folder.path, "tuned"),
        steps: 2,
        learning_rate: null,
        context_length: null,
        eval_every: 2,
      }),
    );
    expect(run.settings).toMatchObject({ context_length: 24, learning_rate: 1e-4, warmup_steps: 1 });
    const after = await train(run);
    expect(after.validation!.loss).toBeLessThan(before.validation!.loss + 0.05);
    await expect(
      startRun(parseTrainSettings({ ...rest, from: first.out, out: join(folder.path, "wide"), context_length: 48 })),
    ).rejects.toThrow("context_length: more than the model sees, 48 vs 24");
  });

  it("fine-tunes with a changed configuration, interrupted or not", async () => {
    using folder = temporaryFolder();
    const first = tinySettings(folder.path, { steps: 6 });
    await start(first);
    const { tokenizer, layers, heads, d, dropout, ...rest } = first;
    const settings = {
      ...rest,
      from: first.out,
      model_config: { n_layer: 2, resid_pdrop: 0.3 },
      steps: 12,
      out: join(folder.path, "tuned"),
    };
    const whole = { ...settings, out: join(folder.path, "whole") };
    const run = await startRun(parseTrainSettings(whole));
    expect(run.warnings).toEqual([
      expect.stringContaining("with another n_layer, resid_pdrop: weights that the checkpoint lacks are fresh"),
    ]);
    expect(run.model.weights.get("transformer.wte.weight")).toEqual(
      readModel(first.out).weights.get("transformer.wte.weight"),
    );
    await train(run);
    for (const step of [5, 12]) await trainUntil(step, settings);
    const [a, b] = [remains(settings.out), remains(whole.out)];
    for (const name of ["model.safetensors", "config.json", "training/run.json"])
      expect(a[name], name).toEqual(b[name]);
    expect(readModel(whole.out).config).toMatchObject({ n_layer: 2, resid_pdrop: 0.3 });
    await expect(resumeRun(whole.out, { model_config: {} })).rejects.toThrow(
      "model_config cannot change once a run has started",
    );
    await expect(
      startRun(parseTrainSettings({ ...settings, out: join(folder.path, "wider"), model_config: { n_embd: 32 } })),
    ).rejects.toThrow(
      /run with another n_embd: \d+ problems: transformer\.wte\.weight is \[\d+, 16\], the model needs \[\d+, 32\]/,
    );
  });

  it("takes the sizes of a configuration that a paper names, the data's vocabulary and context", async () => {
    using folder = temporaryFolder();
    const { layers, heads, d, ...rest } = tinySettings(folder.path, { steps: 2, eval_every: 2 });
    const settings = { ...rest, model: "GPT3-Small", model_config: { n_embd: 24, n_head: 2 } };
    await start(settings);
    const { config, facts, family } = readModel(settings.out);
    expect(family.modelType).toBe("gpt3");
    expect(config).toMatchObject({ n_layer: 12, n_embd: 24, n_head: 2, d_head: null, attention_window: 256 });
    expect(facts.contextLength).toBe(settings.context_length);
    expect(facts.vocabSize).toBe((await loadTokenizer(settings.out)).vocabSize);
    const more = { ...settings, out: join(folder.path, "more") };
    expect(() => parseTrainSettings({ ...more, layers: 2, d: 32 })).toThrow(
      'layers, d cannot be chosen beside "GPT3-Small", which has its own',
    );
    await expect(startRun(parseTrainSettings({ ...more, context_length: 4096 }))).rejects.toThrow(
      "context_length: more tokens than GPT3-Small has, 4096 vs 2048",
    );
  });

  it.each(["feed-forward-lm", "rnn-lm"])("trains %s", async (model) => {
    using folder = temporaryFolder();
    const result = await start(tinySettings(folder.path, { model, steps: 30, eval_every: 30, context_length: 12 }));
    expect(result.validation!.loss).toBeLessThan(3);
  });
});

describe("what cannot be trained is refused before anything is written", () => {
  it.each([
    ["a data file that is missing", { data: ["/nowhere/a.txt"] }, /^\/nowhere\/a\.txt: cannot be opened, no such file/],
    [
      "too little text",
      { context_length: 20000 },
      /text\.txt: training part: too little text, \d+ tokens for windows of 20000/,
    ],
    ["too little validation text", { validation: 0.0001 }, /text\.txt: validation part: too little text, \d tokens/],
    [
      "an unknown family",
      { model: "gpt9" },
      /^model: model_type "gpt9" is not supported \(.*bert.*, gpt3-small, .*gpt3-175b\)$/,
    ],
    ["sizes that do not fit", { d: 15 }, /n_embd|heads/],
    [
      "a family that is given as a field",
      { model_config: { model_type: "bert" } },
      /^model_config: model_type come from the family and the task$/,
    ],
    [
      "an optimizer that has nothing to update",
      { model: "feed-forward-lm", optimizer: "muon" as const },
      /^optimizer: muon has nothing to update, feed-forward-lm has no matrices in numbered layers$/,
    ],
    [
      "a tokenizer that is missing",
      { tokenizer: "/nowhere/tokenizer.json" },
      /^\/nowhere\/tokenizer\.json: cannot be read/,
    ],
  ])("%s", async (_, changes, message) => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, changes);
    await expect(startRun(parseTrainSettings(settings))).rejects.toThrow(message);
    expect(existsSync(settings.out)).toBe(false);
  });

  it("a folder that cannot be made", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path);
    await expect(startRun(parseTrainSettings({ ...settings, out: settings.data[0]! }))).rejects.toMatchObject({
      code: "io",
      message: expect.stringMatching(/text\.txt\/training: cannot be written, /),
    });
  });

  it("a folder that holds a run or a model", async () => {
    using folder = temporaryFolder();
    const settings = tinySettings(folder.path, { steps: 1 });
    await start(settings);
    await expect(start(settings)).rejects.toThrow(
      `${settings.out}: there is a run already. Resume it, or choose another folder`,
    );
    writeFileSync(join(folder.path, "config.json"), "{}");
    await expect(start({ ...settings, out: folder.path })).rejects.toThrow(
      `${folder.path}: there is a model already. Choose another folder`,
    );
  });

  it("a folder without a run, or with a damaged one", async () => {
    using folder = temporaryFolder();
    await expect(resumeRun(folder.path)).rejects.toThrow(/there is no run to resume/);
    const settings = tinySettings(folder.path, { steps: 1 });
    await start(settings);
    const { run, training } = runPaths(settings.out);
    const weights = join(training, "step-00000001", "weights.safetensors");
    writeFileSync(weights, readFileSync(weights).subarray(0, 200));
    await expect(resumeRun(settings.out)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining(weights),
    });
    writeFileSync(run, "{}");
    await expect(resumeRun(settings.out)).rejects.toThrow(`${run}: not the record of a run, or of another version`);
  });
});
