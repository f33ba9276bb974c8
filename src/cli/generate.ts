import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import type { CompiledModel, TextOptions } from "../generate/index.js";
import type { Tokenizer } from "../text/index.js";
import { converse } from "./converse.js";
import { addGenerationFlags, type GenerationFlags, generationOptions } from "./generation-flags.js";
import { interruptible } from "./interruptible.js";
import { modelFolder } from "./model-folder.js";
import { real, whole } from "./options.js";

interface Flags extends GenerationFlags {
  readonly model: string;
  readonly minTokens?: number;
  readonly stop?: readonly string[];
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly completions?: number;
  readonly logprobs?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

/** `tessera generate`. */
export function addGenerate(program: Command): void {
  const command = program
    .command("generate")
    .description("continue a text; without one, read prompts line by line")
    .argument("[prompt]", "the text to continue; - reads it from standard input")
    .option("--model <name|folder>", "a model that comes with the package, or a model folder", "ishmael");
  addGenerationFlags(command, 200)
    .option("--min-tokens <n>", "least tokens to generate", whole("--min-tokens", { min: 0 }))
    .option(
      "--stop <text>",
      "end before this text; may be given several times",
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option(
      "--beams <n>",
      "texts that beam search follows; 1 is none (default: the model's)",
      whole("--beams", { min: 1 }),
    )
    .option("--length-penalty <x>", "of beam search: above 0 long texts gain", real("--length-penalty"))
    .option("--completions <n>", "completions, drawn or the best of beam search", whole("--completions", { min: 1 }))
    .option(
      "--logprobs <n>",
      "with --json: log-probabilities of the tokens, and of the n most probable in their places",
      whole("--logprobs", { min: 0 }),
    )
    .option("--threads <n>", "processor threads (default: one a core)", whole("--threads", { min: 1, max: 1024 }))
    .option("--json", "print one JSON object a completion: prompt, text, ids, finishReason")
    .addHelpText(
      "after",
      `
Examples:
  tessera generate "Call me Ishmael."
  tessera generate "床前明月光" --model tang --seed 7
  tessera generate "We the people" --temperature 0 --max-tokens 40 --json
  tessera generate "Call me" --beams 4 --completions 2 --ban-repeats 3
  tessera generate                      read prompts, Ctrl-C ends a completion, Ctrl-D the session`,
    )
    .action(generate);
}

async function generate(prompt: string | undefined, flags: Flags): Promise<void> {
  if (flags.logprobs !== undefined && !flags.json)
    throw new TesseraError("argument", "--logprobs: they are printed with --json only");
  const folder = await modelFolder(flags.model);
  const [{ readModel }, { loadTokenizer }, { nativeRuntime }, { compileModel, generationOf, tokenChoice }] =
    await Promise.all([
      import("../pretrained/load-model.js"),
      import("../text/load-tokenizer.js"),
      import("../runtime/native.js"),
      import("../generate/index.js"),
    ]);
  const runtime = nativeRuntime(); // its environment is made on another thread while the files are read
  const model = readModel(folder);
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const [tokenizer, compiled] = await Promise.all([
    loadTokenizer(folder),
    compileModel(model, { runtime, ...(flags.threads === undefined ? {} : { threads: flags.threads }) }),
  ]);
  const { stop, json } = flags;
  const given = {
    minNewTokens: flags.minTokens,
    numBeams: flags.beams,
    lengthPenalty: flags.lengthPenalty,
    numReturnSequences: flags.completions,
    logprobs: flags.logprobs,
  };
  const beams = flags.beams ?? generationOf(model).num_beams ?? 1;
  const translates = model.task === "seq2seq-lm"; // its text is another one, not the prompt's continuation
  const options: TextOptions = {
    ...generationOptions(flags),
    overflow: translates || beams > 1 ? "stop" : "slide",
    ...(stop ? { stop } : {}),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  if (flags.seed !== undefined && !tokenChoice(generationOf(model), options).sampling)
    console.error("warning: --seed decides nothing, the model takes the most probable token; --temperature 1 draws");
  using open = compiled;
  if (prompt === undefined && (process.stdin.isTTY || !json))
    await converse((line, signal) => complete(open, tokenizer, line, { ...options, signal }, false));
  else {
    const text = prompt === undefined || prompt === "-" ? await standardInput() : prompt;
    await interruptible((signal) => complete(open, tokenizer, text, { ...options, signal }, json ?? false));
  }
}

/** Prints a text and its continuation as it comes. */
async function complete(
  model: CompiledModel,
  tokenizer: Tokenizer,
  prompt: string,
  options: TextOptions,
  json: boolean,
): Promise<void> {
  const { generateText, generationOf, streamText } = await import("../generate/index.js");
  const before = model.model.task === "seq2seq-lm" ? "" : prompt;
  const several = (options.numReturnSequences ?? generationOf(model.model).num_return_sequences ?? 1) > 1;
  if (json || several) {
    const completions = await generateText(model, tokenizer, [prompt], options);
    const shown = completions.map((one) => (json ? JSON.stringify({ prompt, ...one }) : before + one.text));
    process.stdout.write(`${shown.join(json ? "\n" : "\n\n")}\n`);
    return;
  }
  process.stdout.write(before);
  try {
    for await (const piece of streamText(model, tokenizer, prompt, options)) process.stdout.write(piece);
  } finally {
    process.stdout.write("\n");
  }
}

async function standardInput(): Promise<string> {
  const { readTexts } = await import("./read-text.js");
  return readTexts(["-"])[0]!.replace(/\n$/, "");
}
