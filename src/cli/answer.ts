import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import type { Answer } from "../pipeline/index.js";
import { whole } from "./options.js";
import { readTexts } from "./read-text.js";
import { addVerb, runVerb, scoreBar, under, type VerbFlags } from "./verb.js";

interface Flags extends VerbFlags {
  readonly context?: string;
  readonly contextFile?: string;
  readonly topK: number;
  readonly maxAnswerLength: number;
  readonly impossible?: true;
}

/** `tessera answer`. */
export function addAnswer(program: Command): void {
  addVerb(program, "answer", "find the answers to questions in a text", "questions")
    .option("--context <text>", "the text that has the answers")
    .option("--context-file <file>", "the same in a file; - is standard input")
    .option("--top-k <n>", "answers for each question", whole("--top-k", { min: 1 }), 1)
    .option("--max-answer-length <n>", "most tokens of an answer", whole("--max-answer-length", { min: 1 }), 15)
    .option("--impossible", "the text may have no answer")
    .addHelpText(
      "after",
      `
Examples:
  tessera answer --model my-qa --context "Ahab sails from Nantucket." "Where does Ahab sail from?"
  tessera answer --model my-qa --context-file moby-dick.txt --top-k 3 < questions.txt`,
    )
    .action((questions: readonly string[], flags: Flags) => {
      const { context: given, contextFile, topK, maxAnswerLength, impossible = false } = flags;
      if ((given === undefined) === (contextFile === undefined))
        throw new TesseraError("argument", "answer: give the text to look in, either --context or --context-file");
      if (contextFile === "-" && questions.length === 0)
        throw new TesseraError("argument", "answer: standard input is the text, so give the questions as arguments");
      const context = given ?? readTexts([contextFile!])[0]!;
      return runVerb<"question-answering", readonly Answer[]>(
        "question-answering",
        questions,
        flags,
        (answer, some) =>
          answer(
            some.map((question) => ({ question, context })),
            { topK, maxAnswerLen: maxAnswerLength, handleImpossibleAnswer: impossible },
          ),
        (answers, question) =>
          under(
            question,
            answers.map(({ score, start, end, answer }) =>
              answer === ""
                ? `${scoreBar(score)} (no answer)`
                : `${scoreBar(score)} ${answer.trim()}  (${start}–${end}: ${surroundings(context, start, end)})`,
            ),
          ),
      );
    });
}

/** A stretch of a text in the middle of what stands around it. */
function surroundings(text: string, start: number, end: number): string {
  const around = 24;
  const [from, to] = [Math.max(0, start - around), Math.min(text.length, end + around)];
  const line = `${text.slice(from, start)}[${text.slice(start, end)}]${text.slice(end, to)}`.replaceAll(/\s+/g, " ");
  return `${from > 0 ? "…" : ""}${line}${to < text.length ? "…" : ""}`;
}
