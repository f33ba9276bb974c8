import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder, tinyText } from "../../../test/train/tiny-run.js";
import { readModel } from "../../pretrained/load-model.js";
import { type TrainEvent, train } from "../loop.js";
import { startRun } from "../run.js";
import { parseTrainSettings, type TrainSettingsInput } from "../settings.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const place = (name: string) => join(folder.path, name);
const lines = (name: string, rows: readonly object[]) =>
  writeFileSync(place(name), rows.map((row) => JSON.stringify(row)).join("\n"));

beforeAll(() => {
  const sentences = tinyText().split("\n");
  writeFileSync(place("text.txt"), sentences.join("\n"));
  const kind = (text: string) => (text.includes("whale") ? "beast" : "human");
  lines(
    "kinds.jsonl",
    sentences.map((text) => ({ text, label: kind(text) })),
  );
  lines(
    "pairs.jsonl",
    sentences.map((text) => ({ text, other: "A beast ?", label: kind(text) })),
  );
  lines(
    "several.jsonl",
    sentences.map((text) => ({ text, label: [kind(text), text.includes("sea") ? "wet" : "dry"] })),
  );
  lines(
    "numbers.jsonl",
    sentences.map((text) => ({ text, label: text.includes("whale") ? 2.5 : -1 })),
  );
  const words = (text: string) => text.replace(".", " .").split(" ");
  const tag = (word: string) => (["whale", "sailor", "captain"].includes(word) ? "B-WHO" : "O");
  lines(
    "tags.jsonl",
    sentences.map((text) => ({ tokens: words(text), tags: words(text).map(tag) })),
  );
  const who = (text: string) => /whale|sailor|captain/.exec(text)!;
  lines(
    "questions.jsonl",
    sentences.map((context) => ({
      question: "Who?",
      context,
      answers: { text: [who(context)[0]], answer_start: [who(context).index] },
    })),
  );
  lines(
    "dictation.jsonl",
    sentences.slice(0, 200).map((text) => ({ source: text.slice(0, 12), target: text.slice(0, 6) })),
  );
});

const base = {
  layers: 1,
  heads: 2,
  d: 32,
  dropout: 0,
  steps: 60,
  batch_size: 16,
  micro_batch_size: 16,
  vocab_size: 400,
};

let runs = 0;
async function run(data: string, settings: Partial<TrainSettingsInput>) {
  const ready = await startRun(
    parseTrainSettings({
      ...base,
      data: [place(data)],
      out: place(`run-${runs++}`),
      context_length: 24,
      learning_rate: 0.01,
      eval_every: 60,
      eval_windows: 32,
      threads: 1,
      ...settings,
    }),
  );
  const losses: number[] = [];
  const onEvent = (event: TrainEvent) => void (event.type === "step" && losses.push(event.loss));
  const result = await train(ready, { onEvent });
  return { ready, losses, result, metrics: result.validation?.metrics };
}

describe("training for a task", { timeout: 120_000 }, () => {
  it("labels of texts", async () => {
    const { metrics, ready } = await run("kinds.jsonl", { task: "sequence-classification", model: "bert" });
    expect(metrics!.accuracy).toBe(1);
    expect(metrics!.f1).toBe(1);
    expect(readModel(ready.settings.out).facts.labels!.names).toEqual(["beast", "human"]);
  });

  it("labels of pairs, from a checkpoint with another head", async () => {
    const { ready: before } = await run("text.txt", { task: "masked-lm", model: "bert", whole_word: true, steps: 5 });
    const { metrics } = await run("pairs.jsonl", {
      ...{ layers: undefined, heads: undefined, d: undefined, dropout: undefined, vocab_size: undefined },
      ...{ task: "sequence-classification", from: before.settings.out, pair_column: "other", learning_rate: 0.01 },
    });
    expect(metrics!.accuracy).toBe(1);
  });

  it("several labels of a text, and numbers", async () => {
    const several = await run("several.jsonl", {
      task: "sequence-classification",
      model: "bert",
      steps: 200,
      learning_rate: 0.004,
    });
    expect(several.metrics!.f1).toBeGreaterThan(0.95);
    const numbers = await run("numbers.jsonl", {
      task: "sequence-classification",
      model: "bert",
      problem_type: "regression",
    });
    expect(numbers.metrics!.pearson).toBeGreaterThan(0.95);
  });

  it("tags of words", async () => {
    const { metrics } = await run("tags.jsonl", { task: "token-classification", model: "bert" });
    expect(metrics).toMatchObject({ f1: 1, precision: 1, recall: 1, accuracy: 1 });
  });

  it("answers in a context", async () => {
    const { metrics } = await run("questions.jsonl", { task: "question-answering", model: "bert" });
    expect(metrics!.exact_match).toBeGreaterThan(0.9);
  });

  it("targets of sources, and stops early where it gets no better", async () => {
    const { metrics, result } = await run("dictation.jsonl", {
      task: "text-to-text",
      model: "transformer",
      tokenizer: "roberta",
      steps: 400,
      eval_every: 40,
      early_stopping: 2,
      keep: "best",
      learning_rate: 0.003,
    });
    expect(result.best!.metric).toBeGreaterThan(0.9);
    expect(metrics!.token_accuracy).toBeGreaterThan(0.9);
    expect(["finished", "stopped"]).toContain(result.status);
    if (result.status === "stopped") expect(result.step - result.best!.step).toBe(80);
  });

  it.each([
    ["pre-training", "bert", {}],
    ["span-corruption", "t5", {}],
    ["denoising", "bart", { noise: ["infilling", "permutation", "deletion"] }],
    ["blank-infilling", "glm-2022", {}],
    ["permutation-lm", "xlnet", {}],
  ] as const)("%s lowers the loss of %s", async (task, model, more) => {
    const { losses, ready } = await run("text.txt", {
      ...(task === "pre-training" ? { task } : {}), // the others are what these families are trained for on text
      model,
      ...more,
      noise: more && "noise" in more ? [...more.noise] : undefined,
    });
    const mean = (part: readonly number[]) => part.reduce((a, b) => a + b, 0) / part.length;
    expect(mean(losses.slice(-10))).toBeLessThan(0.75 * mean(losses.slice(0, 5)));
    expect(ready.task.name).toBe(task);
  });

  it("unfreezes from the head down, and never what is frozen", async () => {
    const { ready } = await run("kinds.jsonl", {
      task: "sequence-classification",
      model: "bert",
      layers: 2,
      steps: 10,
      unfreeze_every: 5,
      layer_rate_decay: 2.6,
      freeze: "LayerNorm",
      weight_decay: 0,
    });
    const fresh = await startRun(parseTrainSettings({ ...ready.settings, out: place("fresh"), steps: 10 }));
    const changed = [...ready.state.weights].filter(([path, { data }]) =>
      (data as Float32Array).some((x, i) => x !== fresh.state.weights.get(path)!.data[i]),
    );
    const names = changed.map(([path]) => path).join("\n");
    expect(names).toContain("classifier.weight");
    expect(names).toContain("encoder.layer.1.");
    expect(names).not.toContain("encoder.layer.0."); // its turn would have come at step 10
    expect(names).not.toContain("LayerNorm");
  });
});

describe("without a task", () => {
  const guess = async (file: string, settings: Partial<TrainSettingsInput>) => {
    const out = place(`run-${runs++}`);
    return startRun(parseTrainSettings({ ...base, ...settings, data: [place(file)], out }));
  };

  it.each([
    ["kinds.jsonl", "bert", "sequence-classification"],
    ["tags.jsonl", "bert", "token-classification"],
    ["questions.jsonl", "bert", "question-answering"],
    ["dictation.jsonl", "bart", "text-to-text"],
    ["kinds.jsonl", "bart", "sequence-classification"],
    ["text.txt", "bart", "denoising"],
  ])("%s trains %s for %s", async (file, model, task) => {
    expect((await guess(file, { model })).task.name).toBe(task);
  });

  it("a checkpoint goes on with its own task, or gets the head that the columns are for", async () => {
    const { ready } = await run("tags.jsonl", { model: "bert", steps: 1 });
    const own = { layers: undefined, heads: undefined, d: undefined, dropout: undefined, vocab_size: undefined };
    const more = { ...own, from: ready.settings.out };
    const both = { text: "The whale sang .", label: "beast", tokens: ["whale"], tags: ["B-WHO"] };
    lines("both.jsonl", Array(40).fill(both));
    expect((await guess("both.jsonl", more)).task.name).toBe("token-classification");
    const { task, warnings } = await guess("questions.jsonl", more);
    expect(task.name).toBe("question-answering");
    expect(warnings.join()).toContain("qa_outputs.weight");
  });
});

describe("refused", () => {
  it.each([
    [
      "a head that the family lacks",
      { task: "question-answering", model: "gpt3" },
      "task: gpt3 has no head for question-answering",
    ],
    ["a task that there is not", { task: "poetry" }, 'task: there is no task "poetry"'],
    ["settings of another task", { task: "causal-lm", mask_rate: 0.2 }, "mask_rate: causal-lm does not use it"],
    ["a metric that the task lacks", { best_by: "rouge" }, 'best_by: causal-lm has no metric "rouge"'],
    ["a bad expression", { freeze: "(" }, "freeze is no regular expression"],
    [
      "a tokenizer without a mask",
      { task: "masked-lm", model: "bert", tokenizer: "characters" },
      "masked-lm needs a tokenizer with a mask token",
    ],
  ] as const)("%s", async (_, settings, message) => {
    await expect(run("text.txt", settings)).rejects.toThrow(message);
  });

  it("columns that are not there, and labels that say nothing", async () => {
    const task = "sequence-classification";
    await expect(run("kinds.jsonl", { task, model: "bert", label_column: "kind" })).rejects.toThrow(
      "kinds.jsonl: example 1: there is nothing in column kind (it has text, label)",
    );
    lines("same.jsonl", [
      { text: "a", label: "x" },
      { text: "b", label: "x" },
    ]);
    await expect(run("same.jsonl", { task, model: "bert", validation: 0 })).rejects.toThrow(
      "all examples have the same label",
    );
  });
});
