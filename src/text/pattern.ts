import { TesseraError } from "../core/errors.js";
import { libraryTokenizer } from "./library.js";

/** A pattern of tokenizer.json: a string that stands for itself, or an expression in Oniguruma's syntax. */
export interface Pattern {
  readonly String?: string;
  readonly Regex?: string;
}

/** The pattern as a JavaScript expression with the flags `g` and `u`; Hugging Face's library translates the syntax. */
export function compilePattern(pattern: Pattern, where: string): RegExp {
  const source = pattern.Regex ?? pattern.String;
  if (typeof source !== "string") {
    throw new TesseraError(
      "tokenizer",
      `${where}: a pattern is {"String": …} or {"Regex": …}, not ${JSON.stringify(pattern)}`,
    );
  }
  if (pattern.Regex === undefined) return new RegExp(source.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu");
  try {
    return libraryTokenizer({ pre_tokenizer: { type: "Split", pattern: { Regex: source } } }).pre_tokenizer!.pattern!;
  } catch (cause) {
    throw new TesseraError("unsupported", `${where}: an expression JavaScript cannot run, ${JSON.stringify(source)}`, {
      cause,
    });
  }
}
