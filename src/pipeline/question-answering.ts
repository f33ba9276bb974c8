import { TesseraError } from "../core/errors.js";
import { tokenSpans } from "../text/offsets.js";
import { type AnswerSpan, answerSpans } from "./answer-spans.js";
import { checkInputs, checkOptions, type OptionNames, question } from "./check-call.js";
import { openEncoder } from "./encoder-session.js";
import type { OpenedModel } from "./open-model.js";
import { checkCount } from "./probabilities.js";
import { textInput } from "./text-input.js";

/** A question and the text that answers it. */
export interface Question {
  readonly question: string;
  readonly context: string;
}

/** A stretch of the context. */
export interface Answer {
  /** Its probability, where it was found several times their sum. */
  readonly score: number;
  /** In UTF-16 units of the context. */
  readonly start: number;
  readonly end: number;
  /** Empty: the context has no answer. */
  readonly answer: string;
}

/** How questions are answered. */
export interface AnswerOptions {
  /** Answers for each question, best first; fewer where there are no more. Default: the best alone. */
  readonly topK?: number;
  /** Tokens that neighbouring windows of a long context share. Default 128, or half of `maxSeqLen`. */
  readonly docStride?: number;
  /** Most tokens of question and window together. Default 384, or what the model reads. */
  readonly maxSeqLen?: number;
  /** Most tokens of an answer. Default 15. */
  readonly maxAnswerLen?: number;
  /** Whether the answer may be that there is none. Default false. */
  readonly handleImpossibleAnswer?: boolean;
  /** Whether an answer is widened to whole words. Default true. */
  readonly alignToWords?: boolean;
  readonly signal?: AbortSignal;
}

/** The answer to a question, or with `topK` a list of answers. */
export interface QuestionAnswering {
  (question: Question, options: AnswerOptions & { readonly topK: number }): Promise<readonly Answer[]>;
  (
    questions: readonly Question[],
    options: AnswerOptions & { readonly topK: number },
  ): Promise<readonly (readonly Answer[])[]>;
  (question: Question, options?: AnswerOptions & { readonly topK?: undefined }): Promise<Answer>;
  (questions: readonly Question[], options?: AnswerOptions & { readonly topK?: undefined }): Promise<readonly Answer[]>;
}

const optionNames: OptionNames<AnswerOptions> = {
  topK: true,
  docStride: true,
  maxSeqLen: true,
  maxAnswerLen: true,
  handleImpossibleAnswer: true,
  alignToWords: true,
  signal: true,
};

export async function openQuestionAnswering(opened: OpenedModel): Promise<QuestionAnswering & Disposable> {
  const { tokenizer, where } = opened;
  const session = await openEncoder(opened, ({ start_logits, end_logits }) => ({
    start: start_logits!,
    end: end_logits!,
  }));
  const { layout, limit } = textInput(opened);
  const { cls } = tokenizer.specialTokens;

  /** A question with each window of its context. */
  function windowsOf({ question, context }: Question, row: number, options: AnswerOptions) {
    for (const [name, text] of Object.entries({ question, context }))
      if (text === "") throw new TesseraError("argument", `${where}: the ${name} of question ${row} is empty`);
    const asked = tokenizer.encode(question, { addSpecialTokens: false });
    const ids = tokenizer.encode(context, { addSpecialTokens: false });
    const spans = tokenSpans(tokenizer, context);
    const length = Math.min(options.maxSeqLen ?? 384, limit);
    const room = length - layout().specials.pair - asked.length;
    const overlap = options.docStride ?? Math.min(Math.floor(length / 2), 128);
    if (room < 1)
      throw new TesseraError(
        "argument",
        `${where}: question ${row} has ${asked.length} tokens, which leaves no room for the context (${asked.length} vs ${length})`,
      );
    const starts = [0];
    if (ids.length > room && overlap >= room)
      throw new TesseraError(
        "argument",
        `${where}: windows of question ${row} have room for ${room} tokens of the context, and docStride is ${overlap}. Give a smaller docStride`,
      );
    while (starts.at(-1)! + room < ids.length) starts.push(starts.at(-1)! + room - overlap);
    return starts.map((start) => {
      const own = ids.slice(start, start + room);
      const laid = layout().pair(asked, own);
      const [, from] = laid.offsets;
      const eligible = laid.ids.map((id, i) => (i >= from && i < from + own.length) || id === cls);
      return { row, context, laid, from, eligible, spans: spans.slice(start, start + own.length) };
    });
  }

  async function answer(given: readonly Question[], options: AnswerOptions): Promise<Answer[][]> {
    const { topK = 1, maxAnswerLen = 15, handleImpossibleAnswer = false, alignToWords = true, signal } = options;
    checkCount(where, "topK", topK);
    checkCount(where, "maxAnswerLen", maxAnswerLen);
    if (options.maxSeqLen !== undefined) checkCount(where, "maxSeqLen", options.maxSeqLen);
    if (options.docStride !== undefined && !(Number.isSafeInteger(options.docStride) && options.docStride >= 0))
      throw new TesseraError("argument", `${where}: docStride must be a whole number ≥ 0, got ${options.docStride}`);
    const windows = given.flatMap((asked, row) => windowsOf(asked, row, options));
    const results = await session.run(
      windows.map(({ laid }) => laid),
      ["start", "end"],
      signal,
    );
    const answers = given.map(() => new Map<string, Answer>());
    const none = given.map(() => Number.POSITIVE_INFINITY);
    for (const [w, { row, context, from, eligible, spans }] of windows.entries()) {
      const { start, end } = results[w]!;
      const { candidates, nullScore } = answerSpans(
        start!.data as Float32Array,
        end!.data as Float32Array,
        eligible,
        maxAnswerLen,
        alignToWords ? 2 * topK + 10 : topK, // some become one when they are widened to words
      );
      none[row] = Math.min(none[row]!, nullScore);
      for (const candidate of candidates) {
        const place = placeOf(candidate, from, spans, alignToWords);
        if (place === undefined) continue;
        const text = context.slice(...place);
        const known = answers[row]!.get(text.toLowerCase());
        answers[row]!.set(
          text.toLowerCase(),
          known
            ? { ...known, score: known.score + candidate.score }
            : { score: candidate.score, start: place[0], end: place[1], answer: text },
        );
      }
    }
    return answers.map((found, row) => {
      const impossible: Answer = { score: none[row]!, start: 0, end: 0, answer: "" };
      const all = [...found.values(), ...(handleImpossibleAnswer ? [impossible] : [])];
      return all.sort((a, b) => b.score - a.score).slice(0, topK);
    });
  }

  const call = async (given: Question | readonly Question[], options: AnswerOptions = {}) => {
    checkInputs(where, given, question);
    checkOptions(where, options, optionNames);
    const list = Array.isArray(given) ? (given as readonly Question[]) : [given as Question];
    const all = await answer(list, options);
    const nothing: Answer = { score: 0, start: 0, end: 0, answer: "" };
    const chosen = options.topK === undefined ? all.map(([best]) => best ?? nothing) : all;
    return Array.isArray(given) ? chosen : chosen[0]!;
  };
  return Object.assign(call as unknown as QuestionAnswering, { [Symbol.dispose]: () => session[Symbol.dispose]() });
}

/** The characters of a candidate, in whole words of the window where asked for; undefined outside the context. */
function placeOf(
  { start, end }: AnswerSpan,
  from: number,
  spans: ReturnType<typeof tokenSpans>,
  alignToWords: boolean,
): readonly [number, number] | undefined {
  const [first, last] = [spans[start - from], spans[end - from]];
  if (first === undefined || last === undefined) return undefined;
  if (!alignToWords) return [first.start, last.end];
  return [spans.find(({ word }) => word === first.word)!.start, spans.findLast(({ word }) => word === last.word)!.end];
}
