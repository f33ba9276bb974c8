import { TesseraError } from "../../core/errors.js";
import { quote } from "../../core/quote.js";
import type { Labels, ProblemType } from "../../models/labels.js";
import { inputLayout, truncatePair } from "../../text/input-layout.js";
import { textIn, valueIn } from "../examples.js";
import { headObjective } from "../head-objective.js";
import { accuracy, f1, macroF1, pearson } from "../metrics.js";
import { ignored } from "../objective.js";
import { type ExampleData, exampleRows, type LocatedExample, readExampleData } from "./example-data.js";
import type { Meter, TrainingTask } from "./task.js";
import { fillInput, fillRow, trains } from "./text-data.js";

/** A text, or a pair, and what it is: one label of several, any number of them, or a number to estimate. */
export const sequenceClassification: TrainingTask<ExampleData> = {
  name: "sequence-classification",
  head: "sequence-classification",
  tokenizer: "wordpiece",
  columns: ["text", "label"],
  uses: ["text_column", "pair_column", "label_column", "problem_type"],
  async read(settings) {
    const { text_column = "text", pair_column } = columns(settings);
    const data = await readExampleData(settings, ({ example, where }) =>
      [text_column, ...(pair_column ? [pair_column] : [])].map((column) => textIn(example, column, where)),
    );
    // What is only evaluated need not have every label.
    return trains(settings)
      ? { ...data, labels: labelsOf(data, settings.label_column ?? "label", settings.problem_type) }
      : data;
  },
  prepare(data, { settings, tokenizer, facts, where }) {
    const length = settings.context_length;
    const { text_column, pair_column } = columns(settings);
    const label_column = settings.label_column ?? "label";
    const labels = facts.labels!;
    const problemType =
      labels.problemType ?? settings.problem_type ?? problemTypeOf(data, label_column, labels.names.length);
    const layout = inputLayout(tokenizer);
    const pad = tokenizer.specialTokens.pad ?? facts.padding ?? 0;
    const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    const numbers = new Map(labels.names.map((name, i) => [name, i]));
    const numberOf = (label: unknown, at: string) => {
      const number = numbers.get(String(label));
      if (number === undefined)
        throw new TesseraError(
          "data",
          `${at}: label ${quote(label)} is none of the model's (${labels.names.slice(0, 8).join(", ")})`,
        );
      return number;
    };
    const targetOf = (value: unknown, at: string): readonly number[] => {
      if (problemType === "regression") {
        const number = Number(value);
        if (!Number.isFinite(number))
          throw new TesseraError("data", `${at}: ${label_column} must be a number, got ${quote(value)}`);
        return [number];
      }
      if (problemType === "single_label_classification") return [numberOf(value, at)];
      const list = Array.isArray(value) ? value : [value];
      const chosen = new Set(list.map((label) => numberOf(label, at)));
      return labels.names.map((_, i) => (chosen.has(i) ? 1 : 0));
    };
    const prepared = ({ example, where: at }: LocatedExample) => {
      const first = encode(textIn(example, text_column, at));
      const laid = pair_column
        ? layout.pair(...truncatePair(first, encode(textIn(example, pair_column, at)), length - layout.specials.pair))
        : layout.single(first.slice(0, length - layout.specials.single));
      if (laid.ids.length === 0) throw new TesseraError("data", `${at}: the text has no tokens`);
      return { ...laid, target: targetOf(valueIn(example, label_column, at), at) };
    };
    if (length <= layout.specials[pair_column ? "pair" : "single"])
      throw new TesseraError("config", `${where}: context_length ${length} leaves no room for a text`);
    const [training, validation] = [data.training.map(prepared), data.validation.map(prepared)];
    const rows = exampleRows({ training, validation }, settings.seed, ({ ids, typeIds, target }, batch, row) => {
      fillInput(batch, row, ids, pad, typeIds);
      if (problemType === "single_label_classification") fillRow(batch, "labels", row, target, ignored);
      else (batch.labels!.data as Float32Array).set(target, row * target.length);
    });
    const expected = validation.map(({ target }) => target);
    return {
      objective: headObjective({
        task: "sequence-classification",
        length,
        labels: { count: labels.names.length, problemType },
      }),
      ...rows,
      tokensPerRow: length,
      meter: () => meters[problemType](expected),
      mainMetric: { regression: "pearson", single_label_classification: "accuracy", multi_label_classification: "f1" }[
        problemType
      ],
    };
  },
};

const columns = ({ text_column, pair_column }: { text_column: string | null; pair_column: string | null }) => ({
  text_column: text_column ?? "text",
  pair_column,
});

/** What labels are where nothing says it: lists are any number of them; a model for a single one estimates a number. */
function problemTypeOf({ training, validation }: ExampleData, column: string, names: number): ProblemType {
  const values = [...training, ...validation].map(({ example, where }) => valueIn(example, column, where));
  if (values.some(Array.isArray)) return "multi_label_classification";
  return names === 1 ? "regression" : "single_label_classification";
}

/** The labels of the training examples, by name; numbers to estimate have one that stands for them. */
function labelsOf({ training }: ExampleData, column: string, chosen: ProblemType | null): Labels {
  const values = training.map(({ example, where }) => valueIn(example, column, where));
  const problemType =
    chosen ?? (values.some(Array.isArray) ? "multi_label_classification" : "single_label_classification");
  if (problemType === "regression") return { names: ["LABEL_0"], problemType };
  const names = [...new Set(values.flat().map(String))];
  const numeric = names.every((name) => /^\d+$/.test(name));
  names.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
  if (names.length < 2 && problemType === "single_label_classification")
    throw new TesseraError(
      "data",
      `${training[0]!.where}: all examples have the same ${column}, ${quote(names[0])}. There is nothing to tell apart`,
    );
  return { names, problemType };
}

/** Reads the logits of all examples, a row each. */
function logitsMeter(result: (logits: readonly (readonly number[])[]) => ReturnType<Meter["result"]>): Meter {
  const rows: number[][] = [];
  return {
    add(first, count, { logits }) {
      const width = logits!.data.length / (logits!.shape[0] as number);
      const values = Array.from(logits!.data as Float32Array);
      for (let i = 0; i < count; i++) rows[first + i] = values.slice(i * width, (i + 1) * width);
    },
    result: () => result(rows),
  };
}

const meters: Readonly<Record<ProblemType, (expected: readonly (readonly number[])[]) => Meter>> = {
  single_label_classification: (expected) =>
    logitsMeter((logits) => {
      const [predicted, right] = [
        logits.map((row) => row.indexOf(Math.max(...row))),
        expected.map(([label]) => label!),
      ];
      return { accuracy: accuracy(predicted, right), f1: macroF1(predicted, right) };
    }),
  multi_label_classification: (expected) =>
    logitsMeter((logits) => {
      const [chosen, right] = [logits.flat().map((x) => (x > 0 ? 1 : 0)), expected.flat()];
      const count = (all: readonly number[]) => all.filter((x) => x === 1).length;
      const hits = chosen.filter((x, i) => x === 1 && right[i] === 1).length;
      const exact = logits.filter((row, r) => row.every((x, i) => (x > 0 ? 1 : 0) === expected[r]![i])).length;
      return { f1: f1(hits, count(chosen), count(right)), exact_match: exact / logits.length };
    }),
  regression: (expected) =>
    logitsMeter((logits) => {
      const [xs, ys] = [logits.map(([x]) => x!), expected.map(([y]) => y!)];
      return {
        pearson: pearson(xs, ys),
        mean_squared_error: xs.reduce((sum, x, i) => sum + (x - ys[i]!) ** 2, 0) / xs.length,
      };
    }),
};
