import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import type { LogitsProcessor } from "../generate/index.js";
import type { Tokenizer } from "../text/index.js";
import { addGenerationFlags, type GenerationFlags } from "./generation-flags.js";
import { interruptible } from "./interruptible.js";
import { modelFolder } from "./model-folder.js";

interface Flags extends GenerationFlags {
  readonly model: string;
  readonly json?: boolean;
}

/** `tessera fill-blanks`. */
export function addFillBlanks(program: Command): void {
  const command = program
    .command("fill-blanks")
    .description("write what a text's blanks leave out, with a model for blank infilling")
    .argument("<texts...>", "[MASK] is a blank of any length, [gMASK] at the end the rest of the text")
    .requiredOption("--model <name|folder>", "a model folder, or a name on the hub");
  addGenerationFlags(command, 64)
    .option("--json", "print one JSON object for each text: text, filled, contents")
    .addHelpText(
      "after",
      `
What was filled in is underlined at a terminal, and stands in brackets elsewhere. A blank holds the space before its words:
"The[MASK] sank." Without --temperature, --top-k, --top-p, --min-p or --seed the most probable tokens are taken.

Examples:
  tessera fill-blanks --model my-glm "床前[MASK]光，疑是[MASK]霜。"
  tessera fill-blanks --model my-glm "床前明月光[gMASK]" --temperature 0.8 --seed 7 --json`,
    )
    .action(fillTexts);
}

async function fillTexts(texts: readonly string[], flags: Flags): Promise<void> {
  const folder = await modelFolder(flags.model);
  const [{ readModel }, { loadTokenizer }, generation, { blankIds, blankTokens }] = await Promise.all([
    import("../pretrained/load-model.js"),
    import("../text/load-tokenizer.js"),
    import("../generate/index.js"),
    import("../train/tasks/blank-infilling.js"),
  ]);
  const model = readModel(folder);
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  if (model.task !== "blank-infilling")
    throw new TesseraError("unsupported", `${folder}: it fills no blanks, its task is ${model.task}`);
  const tokenizer = await loadTokenizer(folder);
  const { mask, end, start, stop } = blankIds(tokenizer, folder);
  const banned = Array.from({ length: model.facts.vocabSize }, (_, id) => id).filter(
    (id) => id !== stop && (tokenizer.specialIds.has(id) || tokenizer.tokenOf(id) === undefined),
  );
  const { processors, seed } = choosing(generation, flags);
  for (const text of texts) {
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    if (ids.slice(0, -1).includes(end))
      throw new TesseraError(
        "argument",
        `fill-blanks: ${blankTokens.end} stands at the end of a text, got ${quote(text)}`,
      );
    await interruptible(async (signal) => {
      const { contents } = await generation.fillBlanks(model, ids, {
        blanks: [mask, end],
        start,
        stop,
        maxNewTokens: flags.maxTokens,
        processors: [generation.suppressTokens(banned), ...processors],
        seed,
        signal,
      });
      const parts = partsOf(tokenizer, ids, [mask, end], contents);
      const show = (mark: (text: string) => string) =>
        parts.map(({ text, blank }) => (blank ? mark(text) : text)).join("");
      const found = parts.filter(({ blank }) => blank).map(({ text }) => text);
      console.log(flags.json ? JSON.stringify({ text, filled: show((it) => it), contents: found }) : show(marked));
    });
  }
}

/** What the flags say about how tokens are chosen; no seed where the most probable ones are taken. */
function choosing(
  { noRepeatNgram, repetitionPenalty, temperature, topK, topP, minP }: typeof import("../generate/index.js"),
  flags: GenerationFlags,
): { readonly processors: readonly LogitsProcessor[]; readonly seed: number | undefined } {
  const { temperature: t, topK: k, topP: p, minP: q, seed } = flags;
  const draws = t !== 0 && [t, k, p, q, seed].some((value) => value !== undefined);
  const penalty = [
    ...(flags.repetitionPenalty === undefined ? [] : [repetitionPenalty(flags.repetitionPenalty)]),
    ...(flags.banRepeats === undefined ? [] : [noRepeatNgram(flags.banRepeats)]),
  ];
  if (!draws) return { processors: penalty, seed: undefined };
  return {
    processors: [
      ...penalty,
      ...(t === undefined ? [] : [temperature(t)]),
      ...(k ? [topK(k)] : []),
      ...(p === undefined ? [] : [topP(p)]),
      ...(q === undefined ? [] : [minP(q)]),
    ],
    seed: seed ?? Math.floor(Math.random() * 2 ** 32),
  };
}

/** A stretch of a filled text: what was there, or a blank's content. */
interface Part {
  text: string;
  readonly blank: boolean;
}

/** The filled text by its parts. Characters of several tokens are whole: where one ends behind a part, it is of the next. */
function partsOf(
  tokenizer: Tokenizer,
  ids: readonly number[],
  blanks: readonly number[],
  contents: readonly (readonly number[])[],
): readonly Part[] {
  const stream = tokenizer.stream({ skipSpecialTokens: true });
  const parts: Part[] = [{ text: "", blank: false }];
  let filled = 0;
  for (const id of ids) {
    if (!blanks.includes(id)) {
      parts.at(-1)!.text += stream.push(id);
      continue;
    }
    const content = { text: "", blank: true };
    for (const inner of contents[filled++]!) content.text += stream.push(inner);
    parts.push(content, { text: "", blank: false });
  }
  parts.at(ids.length > 0 && blanks.includes(ids.at(-1)!) ? -2 : -1)!.text += stream.flush();
  return parts;
}

function marked(text: string): string {
  const terminal = process.stdout.isTTY === true && process.env.TERM !== "dumb";
  return terminal ? `\u001b[4m${text}\u001b[24m` : `[${text}]`;
}
