import type { Command } from "commander";
import { addGenerationFlags, type GenerationFlags, generationOptions } from "./generation-flags.js";
import { real, whole } from "./options.js";
import { addVerb, runVerb, under, type VerbFlags } from "./verb.js";

interface Flags extends VerbFlags, Omit<GenerationFlags, "maxTokens"> {
  readonly maxTokens?: number;
  readonly minTokens?: number;
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly completions?: number;
  readonly prefix?: string;
  readonly truncate?: true;
  readonly from?: string;
  readonly to?: string;
}

/** `tessera translate`, `tessera summarize` and `tessera rewrite`: a text for each text, with an encoder-decoder. */
export function addRewrite(program: Command): void {
  declare(program, "translate", "translate texts, with an encoder-decoder")
    .option("--from <language>", "with --to: a pair of languages that config.json names, for example en and de")
    .option("--to <language>", "see --from")
    .addHelpText(
      "after",
      `
Examples:
  tessera translate --model my-marian "The whale dived."
  tessera translate --model my-t5 --from en --to de --beams 6 < english.txt`,
    )
    .action((texts: readonly string[], flags: Flags) =>
      runVerb<"translation", OneOrSeveral<{ readonly translation_text: string }>>(
        "translation",
        texts,
        flags,
        (translate, some) => {
          const { from, to } = flags;
          const languages = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
          return translate(some, { ...optionsOf(flags), ...languages });
        },
        shown(({ translation_text }) => translation_text),
      ),
    );
  declare(program, "summarize", "summarize texts, with an encoder-decoder")
    .addHelpText("after", "\nExample:\n  tessera summarize --model my-bart --truncate < articles.txt")
    .action((texts: readonly string[], flags: Flags) =>
      runVerb<"summarization", OneOrSeveral<{ readonly summary_text: string }>>(
        "summarization",
        texts,
        flags,
        (summarize, some) => summarize(some, optionsOf(flags)),
        shown(({ summary_text }) => summary_text),
      ),
    );
  declare(program, "rewrite", "make other texts of texts, as an encoder-decoder was trained to")
    .addHelpText("after", '\nExample:\n  tessera rewrite --model my-dates "March 4th, 1851" --json')
    .action((texts: readonly string[], flags: Flags) =>
      runVerb<"text2text-generation", OneOrSeveral<{ readonly generated_text: string }>>(
        "text2text-generation",
        texts,
        flags,
        (rewrite, some) => rewrite(some, optionsOf(flags)),
        shown(({ generated_text }) => generated_text),
      ),
    );
}

/** What a pipeline makes of a text: a list where several are asked for, by a flag or by the model. */
type OneOrSeveral<R> = R | readonly R[];

/** The text that was made, or below the one it was made of the several that were. */
const shown =
  <R extends object>(textOf: (result: R) => string) =>
  (result: OneOrSeveral<R>, text: string): string =>
    Array.isArray(result) ? under(text, result.map(textOf)) : textOf(result as R);

function declare(program: Command, name: string, description: string): Command {
  return addGenerationFlags(addVerb(program, name, description, "texts"))
    .option("--min-tokens <n>", "least tokens to generate", whole("--min-tokens", { min: 0 }))
    .option(
      "--beams <n>",
      "texts that beam search follows; 1 is none (default: the model's, or 4)",
      whole("--beams", { min: 1 }),
    )
    .option("--length-penalty <x>", "of beam search: above 0 long texts gain", real("--length-penalty"))
    .option(
      "--completions <n>",
      "texts for each: the best of beam search, or drawn",
      whole("--completions", { min: 1 }),
    )
    .option("--prefix <text>", "set before each text (default: config.json's for the task)")
    .option("--truncate", "cut texts longer than the model reads");
}

function optionsOf(flags: Flags) {
  const { minTokens, beams, lengthPenalty, completions, prefix, truncate } = flags;
  return {
    ...generationOptions(flags),
    ...(minTokens === undefined ? {} : { minNewTokens: minTokens }),
    ...(beams === undefined ? {} : { numBeams: beams }),
    ...(lengthPenalty === undefined ? {} : { lengthPenalty }),
    ...(completions === undefined ? {} : { numReturnSequences: completions }),
    ...(prefix === undefined ? {} : { prefix }),
    truncation: truncate ?? false,
  };
}
