import { TesseraError } from "../../core/errors.js";
import { quote } from "../../core/quote.js";
import { isObject } from "../../hub/json-file.js";
import { inputLayout } from "../../text/input-layout.js";
import { textIn, valueIn } from "../examples.js";
import { headObjective } from "../head-objective.js";
import { type ExampleData, exampleRows, type LocatedExample, readExampleData } from "./example-data.js";
import type { Meter, TrainingTask } from "./task.js";
import { fillInput, fillRow } from "./text-data.js";
import { wordEncoder } from "./words.js";

/**
 * Answers that are spans of a context, as in SQuAD (Rajpurkar et al. 2016): `question`, `context`, and `answers` with `text` and
 * `answer_start`, lists or single values; none where the context does not answer. Spans are of whole words. Where a context is too
 * long, the part around the answer is kept.
 */
export const questionAnswering: TrainingTask<ExampleData> = {
  name: "question-answering",
  head: "question-answering",
  tokenizer: "wordpiece",
  columns: ["question", "context", "answers"],
  uses: ["text_column", "pair_column", "label_column"],
  read: (settings) =>
    readExampleData(settings, ({ example, where }) => [
      textIn(example, settings.text_column ?? "question", where),
      textIn(example, settings.pair_column ?? "context", where),
    ]),
  prepare(data, { settings, tokenizer, facts }) {
    const length = settings.context_length;
    const layout = inputLayout(tokenizer);
    const encode = wordEncoder(tokenizer);
    const pad = tokenizer.specialTokens.pad ?? facts.padding ?? 0;
    const prepared = ({ example, where }: LocatedExample) => {
      const question = tokenizer.encode(textIn(example, settings.text_column ?? "question", where), {
        addSpecialTokens: false,
      });
      const context = textIn(example, settings.pair_column ?? "context", where);
      const answer = answerOf(valueIn(example, settings.label_column ?? "answers", where), context, where);
      const words = [...context.matchAll(/\S+/g)].map((match) => ({ text: match[0], start: match.index }));
      const tokens = encode(words.map(({ text }) => text));
      const wordAt = (place: number) => words.findLastIndex(({ start }) => start <= place);
      const span = answer && {
        first: tokens.words.indexOf(wordAt(answer.start)),
        last: tokens.words.lastIndexOf(wordAt(answer.end - 1)),
      };
      const room = length - layout.specials.pair - question.length;
      if (room < 1)
        throw new TesseraError(
          "data",
          `${where}: the question leaves no room for a context (${question.length} tokens of ${length})`,
        );
      const middle = span ? (span.first + span.last) / 2 : 0;
      const from = Math.max(0, Math.min(tokens.ids.length - room, Math.round(middle - room / 2)));
      const laid = layout.pair(question, tokens.ids.slice(from, from + room));
      const inside = span && span.first >= from && span.last < from + room && span.first >= 0;
      const shift = laid.offsets[1] - from;
      return { ...laid, start: inside ? span.first + shift : 0, end: inside ? span.last + shift : 0 };
    };
    const [training, validation] = [data.training.map(prepared), data.validation.map(prepared)];
    const rows = exampleRows({ training, validation }, settings.seed, ({ ids, typeIds, start, end }, batch, row) => {
      fillInput(batch, row, ids, pad, typeIds);
      fillRow(batch, "start_positions", row, [start], length);
      fillRow(batch, "end_positions", row, [end], length);
    });
    return {
      objective: headObjective({ task: "question-answering", length }),
      ...rows,
      tokensPerRow: length,
      meter: () => spanMeter(validation),
      mainMetric: "f1",
    };
  },
};

/** Exact match and F1 of the tokens of the most probable span, without an answer the first token. Rajpurkar et al. 2016, section 6.1. */
function spanMeter(
  expected: readonly { readonly start: number; readonly end: number; readonly ids: readonly number[] }[],
): Meter {
  const spans: (readonly [number, number])[] = [];
  return {
    add(first, count, { start_logits, end_logits }) {
      const t = start_logits!.shape[1] as number;
      for (let r = 0; r < count; r++) {
        const [starts, ends] = [start_logits!, end_logits!].map(({ data }) =>
          (data as Float32Array).subarray(r * t, (r + 1) * t),
        );
        spans[first + r] = bestSpan(starts!, ends!, expected[first + r]!.ids.length);
      }
    },
    result() {
      let [exact, total] = [0, 0];
      for (const [i, { start, end }] of expected.entries()) {
        const [from, to] = spans[i]!;
        if (from === start && to === end) exact++;
        const overlap = Math.max(0, Math.min(to, end) - Math.max(from, start) + 1);
        total += (2 * overlap) / (to - from + 1 + (end - start + 1));
      }
      return { exact_match: exact / expected.length, f1: total / expected.length };
    },
  };
}

const LONGEST_ANSWER = 30; // tokens; BERT's code for SQuAD

function bestSpan(starts: Float32Array, ends: Float32Array, length: number): readonly [number, number] {
  let best: readonly [number, number] = [0, 0];
  let score = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++)
    for (let j = i; j < Math.min(length, i + LONGEST_ANSWER); j++)
      if (starts[i]! + ends[j]! > score) {
        score = starts[i]! + ends[j]!;
        best = [i, j];
      }
  return best;
}

/** The characters of an answer; undefined where there is none. */
function answerOf(
  value: unknown,
  context: string,
  where: string,
): { readonly start: number; readonly end: number } | undefined {
  const refuse = () =>
    new TesseraError(
      "data",
      `${where}: answers must be { text, answer_start }, lists or single values, got ${quote(value)}`,
    );
  if (!isObject(value)) throw refuse();
  const [text, start] = [value.text, value.answer_start].map((field) => (Array.isArray(field) ? field[0] : field));
  if (text === undefined || text === null || text === "") return undefined;
  if (typeof text !== "string" || !Number.isSafeInteger(Number(start))) throw refuse();
  const at = Number(start);
  if (context.slice(at, at + text.length) !== text)
    throw new TesseraError(
      "data",
      `${where}: the answer ${quote(text)} does not stand at ${at} of the context, ${quote(context.slice(at, at + text.length))} does`,
    );
  return { start: at, end: at + text.length };
}
