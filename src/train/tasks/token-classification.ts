import { TesseraError } from "../../core/errors.js";
import { quote } from "../../core/quote.js";
import { inputLayout } from "../../text/input-layout.js";
import { valueIn } from "../examples.js";
import { headObjective } from "../head-objective.js";
import { accuracy, entityScores } from "../metrics.js";
import { ignored } from "../objective.js";
import { type ExampleData, exampleRows, type LocatedExample, readExampleData } from "./example-data.js";
import type { Meter, TrainingTask } from "./task.js";
import { fillInput, fillRow } from "./text-data.js";
import { wordEncoder } from "./words.js";

/** A tag for every word: `tokens`, a list of words, and `tags`, as many names. The first token of a word carries its tag. */
export const tokenClassification: TrainingTask<ExampleData> = {
  name: "token-classification",
  head: "token-classification",
  tokenizer: "wordpiece",
  columns: ["tokens", "tags"],
  uses: ["text_column", "label_column"],
  async read(settings) {
    const data = await readExampleData(settings, (located) => [wordsOf(located, settings).join(" ")]);
    const names = [...new Set(data.training.flatMap((located) => tagsOf(located, settings)))].sort((a, b) =>
      a === "O" ? -1 : b === "O" ? 1 : a < b ? -1 : 1,
    );
    return { ...data, labels: { names, problemType: undefined } };
  },
  prepare(data, { settings, tokenizer, facts }) {
    const length = settings.context_length;
    const { names } = facts.labels!;
    const numbers = new Map(names.map((name, i) => [name, i]));
    const layout = inputLayout(tokenizer);
    const encode = wordEncoder(tokenizer);
    const pad = tokenizer.specialTokens.pad ?? facts.padding ?? 0;
    const prepared = (located: LocatedExample) => {
      const [words, tags] = [wordsOf(located, settings), tagsOf(located, settings)];
      if (words.length !== tags.length)
        throw new TesseraError(
          "data",
          `${located.where}: every word has a tag (${words.length} words vs ${tags.length} tags)`,
        );
      const tokens = encode(words);
      const room = length - layout.specials.single;
      const laid = layout.single(tokens.ids.slice(0, room));
      const labels = laid.ids.map(() => ignored as number);
      for (const [i, word] of tokens.words.slice(0, room).entries()) {
        if (i > 0 && tokens.words[i - 1] === word) continue;
        const number = numbers.get(tags[word]!);
        if (number === undefined)
          throw new TesseraError(
            "data",
            `${located.where}: tag ${quote(tags[word])} is none of the model's (${names.slice(0, 8).join(", ")})`,
          );
        labels[laid.offsets[0] + i] = number;
      }
      return { ...laid, labels };
    };
    const [training, validation] = [data.training.map(prepared), data.validation.map(prepared)];
    const rows = exampleRows({ training, validation }, settings.seed, ({ ids, typeIds, labels }, batch, row) => {
      fillInput(batch, row, ids, pad, typeIds);
      fillRow(batch, "labels", row, labels, ignored);
    });
    return {
      objective: headObjective({ task: "token-classification", length }),
      ...rows,
      tokensPerRow: length,
      meter: () =>
        tagMeter(
          validation.map(({ labels }) => labels),
          names,
        ),
      mainMetric: "f1",
    };
  },
};

function tagMeter(expected: readonly (readonly number[])[], names: readonly string[]): Meter {
  const predicted: number[][] = [];
  return {
    add(first, count, { logits }) {
      const [, t, n] = logits!.shape as [number, number, number];
      const values = logits!.data as Float32Array;
      for (let r = 0; r < count; r++)
        predicted[first + r] = Array.from({ length: t }, (_, i) => {
          const scores = values.subarray((r * t + i) * n, (r * t + i + 1) * n);
          return scores.indexOf(Math.max(...scores));
        });
    },
    result() {
      const counted = expected.map((labels) => labels.flatMap((label, i) => (label === ignored ? [] : [i])));
      const [ours, theirs] = [predicted, expected].map((all) => counted.map((at, r) => at.map((i) => all[r]![i]!)));
      const tags = (all: readonly (readonly number[])[]) => all.map((row) => row.map((id) => names[id]!));
      const scores = entityScores(tags(ours!), tags(theirs!));
      return { ...scores, accuracy: accuracy(ours!.flat(), theirs!.flat()) };
    },
  };
}

type Columns = { readonly text_column: string | null; readonly label_column: string | null };
const wordsOf = (located: LocatedExample, { text_column }: Columns) => list(located, text_column ?? "tokens");
const tagsOf = (located: LocatedExample, { label_column }: Columns) => list(located, label_column ?? "tags");

/** A list of texts; in CSV they stand in one cell with spaces between them. */
function list({ example, where }: LocatedExample, column: string): readonly string[] {
  const value = valueIn(example, column, where);
  if (typeof value === "string") return value.split(/\s+/).filter((word) => word !== "");
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new TesseraError("data", `${where}: ${column} must be a list of texts, got ${quote(value)}`);
}
