import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder, tinySettings, tinyText } from "../../test/train/tiny-run.js";
import { readModel } from "../pretrained/load-model.js";
import { loadTokenizer } from "../text/load-tokenizer.js";
import { type EvaluationSettings, evaluateModel, evaluationTask } from "./evaluate-model.js";
import { train } from "./loop.js";
import { startRun } from "./run.js";
import { parseTrainSettings, type TrainSettingsInput } from "./settings.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const place = (name: string) => join(folder.path, name);
const lines = (name: string, rows: readonly object[]) =>
  writeFileSync(place(name), rows.map((row) => JSON.stringify(row)).join("\n"));
const sentences = tinyText(60).split("\n");
writeFileSync(place("text.txt"), sentences.join("\n"));

let runs = 0;
/** Trains for a few steps, and returns the folder and the last validation. */
async function trained(settings: Partial<TrainSettingsInput>) {
  const out = place(`run-${runs++}`);
  const all = { ...tinySettings(folder.path, settings), steps: 4, eval_windows: 1e6, dropout: 0.2, out };
  const { validation } = await train(await startRun(parseTrainSettings(all)));
  return { out, validation: validation! };
}

/** A run that has not been trained. */
const fresh = (settings: Partial<TrainSettingsInput>) =>
  startRun(
    parseTrainSettings({ ...tinySettings(folder.path, settings), vocab_size: 300, out: place(`run-${runs++}`) }),
  );

async function evaluated(out: string, task: string, settings: EvaluationSettings) {
  return evaluateModel(readModel(out), await loadTokenizer(out), task, settings);
}

const kinds = (some: readonly string[]) =>
  some.map((text) => ({ text, label: text.includes("whale") ? "beast" : "human" }));
const pairs = (some: readonly string[]) =>
  some.map((text) => ({ source: text.slice(0, 12), target: text.slice(4, 9).trim() }));
const words = (text: string) => text.replace(".", " .").split(" ");
const tags = (some: readonly string[]) =>
  some.map((text) => ({
    tokens: words(text),
    tags: words(text).map((word) => (["whale", "sailor"].includes(word) ? "B-WHO" : "O")),
  }));
const questions = (some: readonly string[]) =>
  some.map((context) => ({
    question: "Who?",
    context,
    answers: { text: [context.slice(0, 3).trim()], answer_start: [0] },
  }));

describe("evaluating a model", { timeout: 60_000 }, () => {
  it.each([
    ["sequence-classification", "bert", kinds, ["accuracy", "f1"]],
    ["token-classification", "bert", tags, ["precision", "recall", "f1", "accuracy"]],
    ["question-answering", "bert", questions, ["exact_match", "f1"]],
    ["text-to-text", "transformer", pairs, ["exact_match", "token_accuracy"]],
  ] as const)("on held-out examples of %s is what training's own validation says", async (task, model, rows, names) => {
    lines("train.jsonl", rows(sentences.slice(0, 40)));
    lines("held.jsonl", rows(sentences.slice(40, 57)));
    const tokenizer = task === "text-to-text" ? "roberta" : "wordpiece";
    const { out, validation } = await trained({
      data: [place("train.jsonl")],
      validation_data: [place("held.jsonl")],
      task,
      model,
      tokenizer,
      vocab_size: 300,
      label_smoothing: task === "text-to-text" ? 0 : undefined,
    });
    const before = readdirSync(out, { recursive: true });
    const { loss, metrics, examples, perplexity, pairs } = await evaluated(out, task, {
      data: [place("held.jsonl")],
      context_length: 24,
      threads: 1,
    });
    expect(examples).toBe(17);
    expect(loss).toBeCloseTo(validation.loss, 5);
    expect(Object.keys(metrics).sort()).toEqual([...names].sort());
    for (const name of names) expect(metrics[name]).toBeCloseTo(validation.metrics![name]!, 6);
    expect(perplexity).toBe(task === "text-to-text" ? Math.exp(loss) : undefined);
    expect(pairs?.map(({ source }) => source)).toEqual(
      task === "text-to-text"
        ? rows(sentences.slice(40, 57)).map((row) => (row as { source: string }).source)
        : undefined,
    );
    expect(readdirSync(out, { recursive: true })).toEqual(before);
  });

  it("on a text is what training's validation on that end of the text says", async () => {
    const { out, validation } = await trained({ validation: 0.3 });
    const text = readFileSync(join(folder.path, "text.txt"), "utf8"); // a token for each character, and one for the end
    const kept = Math.round(0.3 * (text.length + 1)) - 1;
    writeFileSync(place("tail.txt"), text.slice(-kept));
    const { loss, perplexity, metrics, examples } = await evaluated(out, "causal-lm", { data: [place("tail.txt")] });
    expect(loss).toBeCloseTo(validation.loss, 5);
    expect(perplexity).toBe(Math.exp(loss));
    expect(metrics).toEqual({});
    expect(examples).toBe(Math.ceil(kept / 24));
    const some = await evaluated(out, "causal-lm", { data: [place("tail.txt")], limit: 3 });
    expect(some.examples).toBe(3);
    // A text shorter than a window is evaluated as well: the mean over its own tokens.
    writeFileSync(place("short.txt"), "The sea.");
    expect((await evaluated(out, "causal-lm", { data: [place("short.txt")] })).examples).toBe(1);
    expect((await evaluated(out, "causal-lm", { data: [place("short.txt")], context_length: 8 })).loss).toBeCloseTo(
      (await evaluated(out, "causal-lm", { data: [place("short.txt")] })).loss,
      5,
    );
  });

  it.each([
    ["masked-lm", "bert", "wordpiece"],
    ["pre-training", "bert", "wordpiece"],
    ["span-corruption", "t5", "unigram"],
    ["denoising", "bart", "roberta"],
    ["blank-infilling", "glm-2022", "blanks"],
    ["permutation-lm", "xlnet", "unigram"],
  ] as const)(
    "with %s spoils the text the same way every time, another way with another seed",
    async (task, model, tokenizer) => {
      const run = await fresh({ data: [place("text.txt")], task, model, tokenizer });
      const settings = { data: [place("text.txt")], context_length: 24, mask_rate: 0.4 };
      const at = (seed: number) => evaluateModel(run.model, run.tokenizer, task, { ...settings, seed });
      const first = await at(1);
      expect(await at(1)).toEqual(first);
      expect((await at(2)).loss).not.toBe(first.loss);
      expect(first.perplexity).toBe(task === "pre-training" ? undefined : Math.exp(first.loss));
    },
  );

  it("needs not every label, takes examples at even distances, and knows how a text fits in", async () => {
    lines("train.jsonl", kinds(sentences));
    const task = "sequence-classification";
    const { model, tokenizer } = await fresh({
      data: [place("train.jsonl")],
      task,
      model: "bert",
      tokenizer: "wordpiece",
    });
    const beasts = kinds(sentences).filter(({ label }) => label === "beast");
    lines("one.jsonl", beasts);
    const { examples, loss } = await evaluateModel(model, tokenizer, task, { data: [place("one.jsonl")] });
    expect(examples).toBe(beasts.length);
    const limit = 2;
    const few = await evaluateModel(model, tokenizer, task, { data: [place("one.jsonl")], limit });
    expect(few.examples).toBe(2);
    lines("few.jsonl", [beasts[0]!, beasts[Math.floor(beasts.length / 2)]!]);
    expect((await evaluateModel(model, tokenizer, task, { data: [place("few.jsonl")] })).loss).toBeCloseTo(few.loss, 6);
    expect(few.loss).not.toBe(loss);

    const refuse = (task: string, settings: Partial<EvaluationSettings>, message: string) =>
      expect(evaluateModel(model, tokenizer, task, { data: [place("one.jsonl")], ...settings })).rejects.toThrow(
        message,
      );
    await refuse(
      "masked-lm",
      {},
      "task: masked-lm needs a head for masked-lm, the model has one for sequence-classification",
    );
    await refuse("poetry", {}, 'task: there is no task "poetry"');
    await refuse(task, { mask_rate: 0.2 }, "mask_rate: sequence-classification does not use it");
    await refuse(task, { context_length: 25 }, "context_length: more than the model sees, 25 vs 24");
    await refuse(task, { limit: 0 }, "evaluate: limit must be a whole number ≥ 1, got 0");
    await refuse(
      task,
      { label_column: "kind" },
      "one.jsonl: example 1: there is nothing in column kind (it has text, label)",
    );
    lines("strange.jsonl", [{ text: "A whale.", label: "ship" }]);
    await refuse(task, { data: [place("strange.jsonl")] }, 'label "ship" is none of the model\'s (beast, human)');
    expect(evaluationTask(model, ["a.jsonl"])).toBe(task);
  });
});

it("what a model is evaluated for depends on its head and on the data", () => {
  const of = (task: string, modelType: string, pretraining?: string) =>
    ({ task, family: { modelType, pretraining } }) as unknown as Parameters<typeof evaluationTask>[0];
  expect(evaluationTask(of("seq2seq-lm", "t5", "span-corruption"), ["a.txt"])).toBe("span-corruption");
  expect(evaluationTask(of("seq2seq-lm", "bart", "denoising"), ["a.txt", "b.txt"])).toBe("denoising");
  expect(evaluationTask(of("seq2seq-lm", "t5", "span-corruption"), ["a.CSV"])).toBe("text-to-text");
  expect(evaluationTask(of("causal-lm", "gpt2"), ["a.txt"])).toBe("causal-lm");
  expect(evaluationTask(of("causal-lm", "gpt2"), ["a.json"])).toBe("causal-lm");
  expect(() => evaluationTask(of("features", "bert"), ["a.txt"])).toThrow(
    "task: there is none for a model of features",
  );
});
