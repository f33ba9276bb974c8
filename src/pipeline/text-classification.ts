import { TesseraError } from "../core/errors.js";
import { checkInputs, checkOptions, type OptionNames, textOrPair } from "./check-call.js";
import { openEncoder } from "./encoder-session.js";
import type { OpenedModel } from "./open-model.js";
import { checkCount, largestIndices, sigmoid, softmax } from "./probabilities.js";
import { type TextOrPair, type TruncationOptions, textInput } from "./text-input.js";

/** A label and how sure it is. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** How texts are classified. */
export interface ClassifyOptions extends TruncationOptions {
  /** Labels for each text, most probable first; null is all of them. Default: the first alone. */
  readonly topK?: number | null;
  /**
   * What makes the model's numbers into scores. Default as the problem is: `softmax` for one label of several, `sigmoid` for any number of
   * them or a single one, `none` for a number to estimate.
   */
  readonly functionToApply?: "softmax" | "sigmoid" | "none";
  readonly signal?: AbortSignal;
}

/** With a number of labels, a list of them for each text; without one, the most probable, for a single text as a list of one. */
export interface TextClassification {
  (text: TextOrPair, options?: ClassifyOptions): Promise<readonly LabelScore[]>;
  (
    texts: readonly TextOrPair[],
    options: ClassifyOptions & { readonly topK: number | null },
  ): Promise<readonly (readonly LabelScore[])[]>;
  (texts: readonly TextOrPair[], options?: Omit<ClassifyOptions, "topK">): Promise<readonly LabelScore[]>;
}

const optionNames: OptionNames<ClassifyOptions> = {
  topK: true,
  functionToApply: true,
  truncation: true,
  maxLength: true,
  signal: true,
};

const functions = { softmax, sigmoid, none: (x: Float32Array) => Float64Array.from(x) } as const;

export async function openTextClassification(opened: OpenedModel): Promise<TextClassification & Disposable> {
  const { model, where } = opened;
  const session = await openEncoder(opened, ({ logits }) => ({ logits: logits! }));
  const texts = textInput(opened);
  const { names = [], problemType } = model.facts.labels ?? {};
  const usual =
    problemType === "regression"
      ? "none"
      : problemType === "multi_label_classification" || names.length === 1
        ? "sigmoid"
        : "softmax";

  async function classify(given: readonly TextOrPair[], options: ClassifyOptions): Promise<LabelScore[][]> {
    const { topK = 1, functionToApply = usual, signal } = options;
    if (topK !== null) checkCount(where, "topK", topK);
    const apply = functions[functionToApply];
    if (apply === undefined)
      throw new TesseraError(
        "argument",
        `${where}: functionToApply must be one of ${Object.keys(functions).join(", ")}, got ${String(functionToApply)}`,
      );
    const inputs = given.map((text, i) => texts.encode(text, i, options));
    const results = await session.run(inputs, ["logits"], signal);
    return results.map(({ logits }) => {
      const scores = apply(logits!.data as Float32Array);
      return largestIndices(scores, topK ?? scores.length).map((i) => ({
        label: names[i] ?? `LABEL_${i}`,
        score: scores[i]!,
      }));
    });
  }

  const call = async (given: TextOrPair | readonly TextOrPair[], options: ClassifyOptions = {}) => {
    checkInputs(where, given, textOrPair);
    checkOptions(where, options, optionNames);
    if (!isList(given)) return (await classify([given], options))[0]!;
    const all = await classify(given, options);
    return options.topK === undefined ? all.map(([first]) => first!) : all;
  };
  return Object.assign(call as TextClassification, { [Symbol.dispose]: () => session[Symbol.dispose]() });
}

const isList = (given: TextOrPair | readonly TextOrPair[]): given is readonly TextOrPair[] => Array.isArray(given);
