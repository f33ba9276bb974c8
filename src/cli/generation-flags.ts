import type { Command } from "commander";
import type { GenerationOptions } from "../generate/index.js";
import { real, whole } from "./options.js";

/** Flags that say how tokens are chosen, as {@link addGenerationFlags} declares them. */
export interface GenerationFlags {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly banRepeats?: number;
  readonly seed?: number;
}

/**
 * Adds the flags of {@link GenerationFlags} to a command.
 *
 * @param most default of `--max-tokens`; without one it is left to the model
 */
export function addGenerationFlags(command: Command, most?: number): Command {
  return command
    .option(
      "--max-tokens <n>",
      most === undefined ? "most tokens to generate (default: as the model says, or 256)" : "most tokens to generate",
      whole("--max-tokens", { min: 1 }),
      most,
    )
    .option(
      "--temperature <x>",
      "0 takes the most probable token, 1 draws as the model says",
      real("--temperature", { min: 0 }),
    )
    .option("--top-k <n>", "draw from the n most probable tokens; 0 is all", whole("--top-k", { min: 0 }))
    .option("--top-p <x>", "draw from the most probable tokens that add up to x", real("--top-p", { min: 0, max: 1 }))
    .option(
      "--min-p <x>",
      "draw from tokens at least x times as probable as the most probable",
      real("--min-p", { min: 0, max: 1 }),
    )
    .option(
      "--repetition-penalty <x>",
      "above 1: tokens that occurred become less probable",
      real("--repetition-penalty", { above: 0 }),
    )
    .option("--ban-repeats <n>", "no run of n tokens occurs twice", whole("--ban-repeats", { min: 1 }))
    .option("--seed <n>", "equal seeds draw equal texts (default: another one each time)", whole("--seed", { min: 0 }));
}

/** The options that the flags ask for. */
export function generationOptions(
  flags: Omit<GenerationFlags, "maxTokens"> & { readonly maxTokens?: number },
): Pick<
  GenerationOptions,
  "maxNewTokens" | "noRepeatNgramSize" | Exclude<keyof GenerationFlags, "maxTokens" | "banRepeats">
> {
  const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, banRepeats: noRepeatNgramSize, seed } = flags;
  const given = { maxNewTokens: maxTokens, temperature, topK, topP, minP, repetitionPenalty, noRepeatNgramSize, seed };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
