import type { Command } from "commander";
import { formatShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { AttentionKind, AttentionMap } from "../inspect/index.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import type { Tokenizer } from "../text/index.js";
import { modelFolder } from "./model-folder.js";
import { choice, whole } from "./options.js";

interface Flags {
  readonly model: string;
  readonly target?: string;
  readonly kind?: AttentionKind;
  readonly layer: number;
  readonly head: number | "mean";
  readonly svg?: string;
  readonly html?: string;
  readonly list?: boolean;
  readonly lens?: boolean;
  readonly compare?: string;
  readonly json?: boolean;
}

/** `tessera inspect`. */
export function addInspect(program: Command): void {
  const head = whole("--head", { min: 0 });
  program
    .command("inspect")
    .description("look inside a model: attention, what each layer would say, where it differs from a recording")
    .argument("[text]", "what the model reads; - reads it from standard input")
    .option(
      "--model <name|folder>",
      "a model that comes with the package, a model folder, or org/name of the hub",
      "ishmael",
    )
    .option("--target <text>", "what an encoder-decoder has written (default: its most probable answer)")
    .option("--layer <n>", "which layer's attention, from 0", whole("--layer", { min: 0 }), 0)
    .option(
      "--head <n|mean>",
      "which head, from 0, or the mean of all",
      (text) => (text === "mean" ? text : head(text)),
      "mean",
    )
    .option(
      "--kind <kind>",
      "self, or of an encoder-decoder encoder or cross (default: cross where there is one)",
      choice("--kind", "self", "encoder", "cross"),
    )
    .option("--svg <file>", "write that map as a picture")
    .option("--html <file>", "write a page with every layer and head")
    .option("--lens", "the token that each layer finds most probable, read by the model's head")
    .option("--list", "what can be captured and edited: paths and shapes")
    .option("--compare <folder>", "hold the model against a recording, golden.safetensors, layer by layer")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  tessera inspect "Call me Ishmael."
  tessera inspect "床前明月光" --model tang --layer 2 --head 1
  tessera inspect "Call me Ishmael." --svg attention.svg --html attention.html
  tessera inspect "Call me Ishmael." --lens
  tessera inspect --model ishmael --list`,
    )
    .action(inspect);
}

async function inspect(given: string | undefined, flags: Flags): Promise<void> {
  const folder = await modelFolder(flags.model);
  const [{ readModel }, inside] = await Promise.all([
    import("../pretrained/load-model.js"),
    import("../inspect/index.js"),
  ]);
  const model = readModel(folder);
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const say = (text: () => string, json: unknown) => console.log(flags.json ? JSON.stringify(json) : text());

  if (flags.list) {
    const values = inside.paths(model);
    say(() => values.map(({ path, dtype, shape }) => `${path}  ${dtype}${formatShape(shape)}`).join("\n"), values);
    return;
  }
  if (flags.compare !== undefined) {
    const report = await inside.compare(model, flags.compare);
    say(() => String(report), report);
    if (report.firstDifference) process.exitCode = 1;
    return;
  }
  if (given === undefined)
    throw new TesseraError("argument", "inspect: a text is missing. Give one, or --list or --compare");
  const { loadTokenizer } = await import("../text/load-tokenizer.js");
  const tokenizer = await loadTokenizer(folder);
  const text = given === "-" ? (await import("./read-text.js")).readTexts(["-"])[0]!.replace(/\n$/, "") : given;
  const input = await inputOf(model, tokenizer, text, flags.target);
  const name = (id: number) => inside.tokenLabels(tokenizer, [id])[0]!;
  const columns = process.stdout.columns ?? 80;

  if (flags.lens) {
    const lens = await inside.logitLens(model, input);
    const tokens = ("target" in input ? input.target : input.ids).map(name);
    const layers = lens.map((layer) => ({ path: layer.path, tokens: inside.bestTokens(layer).map(name) }));
    say(() => inside.lensTable(lens, tokens, name, columns), { tokens, layers });
    return;
  }
  const maps = await inside.attentionMaps(model, input, { tokenizer });
  const map = chosen(maps, flags);
  const written: string[] = [];
  if (flags.svg !== undefined) written.push(await write(flags.svg, inside.attentionSvg(map, flags.head)));
  if (flags.html !== undefined) written.push(await write(flags.html, inside.attentionHtml(maps, { title: text })));
  const { path, kind, layer, queries, keys } = map;
  const color = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  say(() => inside.heatMap(map, flags.head, { columns, color }), {
    path,
    kind,
    layer,
    head: flags.head,
    queries,
    keys,
    weights: inside.headWeights(map, flags.head).map((row) => Array.from(row)),
  });
  for (const file of written) console.error(`written: ${file}`);
}

/** Ids of a text, with token types where it has two; of an encoder-decoder those of source and target. */
async function inputOf(model: LanguageModel, tokenizer: Tokenizer, text: string, target: string | undefined) {
  const { ids, typeIds } = tokenizer.encoding(text);
  const { endSource } = await import("../text/end-source.js");
  if (model.task !== "seq2seq-lm") {
    if (target !== undefined) throw new TesseraError("argument", `--target: a model for ${model.task} has none`);
    return { ids, segments: typeIds };
  }
  const start = model.facts.decoderStart ?? model.generation.decoder_start_token_id;
  const first = typeof start === "number" ? start : start?.[0];
  if (first === undefined)
    throw new TesseraError("config", "inspect: the model does not say which token its target starts with");
  const source = endSource(tokenizer)(ids);
  return { source, target: [first, ...(await targetOf(model, tokenizer, source, target))] };
}

/** A target's tokens behind the first, without the end of the text. */
async function targetOf(
  model: LanguageModel,
  tokenizer: Tokenizer,
  source: readonly number[],
  target: string | undefined,
): Promise<readonly number[]> {
  const { generate } = await import("../generate/index.js");
  const room = (model.facts.contextLength ?? Number.POSITIVE_INFINITY) - 1; // beside the first; generated is one more than is read
  const ids =
    target === undefined
      ? (await generate(model, source, { temperature: 0, maxNewTokens: 40 })).ids.slice(0, room)
      : tokenizer.encode(target);
  return ids.at(-1) === tokenizer.specialTokens.eos ? ids.slice(0, -1) : ids;
}

function chosen(maps: readonly AttentionMap[], { kind, layer }: Flags): AttentionMap {
  const kinds = [...new Set(maps.map((map) => map.kind))];
  const wanted = kind ?? (kinds.includes("cross") ? "cross" : kinds[0]!);
  if (!kinds.includes(wanted))
    throw new TesseraError("argument", `--kind: the model has no ${wanted} attention (${kinds.join(", ")})`);
  const found = maps.find((map) => map.kind === wanted && map.layer === layer);
  if (found) return found;
  const count = maps.filter((map) => map.kind === wanted).length;
  throw new TesseraError("argument", `--layer: there is no layer ${layer} (${count} with ${wanted} attention, from 0)`);
}

async function write(file: string, content: string): Promise<string> {
  const { writeFileAtomic } = await import("../hub/atomic-write.js");
  writeFileAtomic(file, content);
  return file;
}
