import { TesseraError } from "../../core/errors.js";
import { endSource } from "../../text/end-source.js";
import { inputLayout } from "../../text/input-layout.js";
import { textIn } from "../examples.js";
import { headObjective } from "../head-objective.js";
import { type ExampleData, exampleRows, type LocatedExample, readExampleData } from "./example-data.js";
import { seq2seqWriter, targetMeter } from "./seq2seq-rows.js";
import type { TextPair, TrainingTask } from "./task.js";
import { requireSpecial } from "./text-data.js";

/** A text made of another: `source` and `target`. Translation, summaries, rewriting. */
export const textToText: TrainingTask<ExampleData> = {
  name: "text-to-text",
  head: "seq2seq-lm",
  tokenizer: "roberta",
  columns: ["source", "target"],
  uses: ["text_column", "label_column", "target_length", "label_smoothing"],
  read: (settings) =>
    readExampleData(settings, ({ example, where }) => [
      textIn(example, settings.text_column ?? "source", where),
      textIn(example, settings.label_column ?? "target", where),
    ]),
  prepare(data, context) {
    const { settings, tokenizer } = context;
    const length = settings.context_length;
    const targetLength = settings.target_length ?? length;
    const layout = inputLayout(tokenizer);
    const eos = requireSpecial(context, "eos", "text-to-text");
    if (Math.min(length, targetLength) <= layout.specials.single)
      throw new TesseraError("config", `context_length: ${Math.min(length, targetLength)} leaves no room for a text`);
    const framed = (text: string, most: number) =>
      layout.single(
        tokenizer.encode(text, { addSpecialTokens: false }).slice(0, most - Math.max(1, layout.specials.single)),
      ).ids;
    const asSource = endSource(tokenizer);
    const ended = (ids: readonly number[]) => (ids.at(-1) === eos ? ids : [...ids, eos]);
    const prepared = ({ example, where }: LocatedExample): TextPair => {
      const source = textIn(example, settings.text_column ?? "source", where);
      const target = textIn(example, settings.label_column ?? "target", where);
      return {
        source,
        target,
        sourceIds: asSource(framed(source, length)),
        targetIds: ended(framed(target, targetLength)),
      };
    };
    const [training, validation] = [data.training.map(prepared), data.validation.map(prepared)];
    const write = seq2seqWriter(context);
    return {
      objective: headObjective({ task: "seq2seq-lm", length, targetLength, labelSmoothing: settings.label_smoothing }),
      ...exampleRows({ training, validation }, settings.seed, ({ sourceIds, targetIds }, batch, row) =>
        write({ source: sourceIds, target: targetIds }, batch, row),
      ),
      tokensPerRow: length + targetLength,
      meter: () => targetMeter(validation.map(({ targetIds }) => targetIds)),
      pairs: validation,
      mainMetric: "exact_match",
    };
  },
};
