import type { Command } from "commander";
import { TesseraError } from "../core/errors.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import type { Tokenizer } from "../text/index.js";
import type { EvaluationSettings } from "../train/index.js";
import type { TextPair } from "../train/tasks/index.js";
import { modelFolder } from "./model-folder.js";
import { whole } from "./options.js";

interface Flags {
  readonly task?: string;
  readonly textColumn?: string;
  readonly pairColumn?: string;
  readonly labelColumn?: string;
  readonly separator?: string;
  readonly contextLength?: number;
  readonly targetLength?: number;
  readonly limit?: number;
  readonly beams: number;
  readonly out?: string;
  readonly seed?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

/** `tessera evaluate`. */
export function addEvaluate(program: Command): void {
  program
    .command("evaluate")
    .description("say how good a model is on data: loss, and the metrics of its task")
    .argument("<model>", "a model that comes with the package, a model folder, or org/name of the hub")
    .argument("<files...>", "text files, or data sets: JSONL, JSON, CSV, TSV, Parquet")
    .option("--task <name>", "what it is evaluated for, as tessera train has it (default: by its head and the data)")
    .option("--text-column <name>", "column of the text, question, source or words (default: by the task)")
    .option("--pair-column <name>", "column of a second text, or of a question's context")
    .option("--label-column <name>", "column of the label, tags, answers or target (default: by the task)")
    .option("--separator <text>", "text between the documents of a file (default: a file is a document)")
    .option(
      "--context-length <n>",
      "tokens seen at once (default: what the model sees, at most 1024; 128 where it has no bound)",
      whole("--context-length", { min: 1 }),
    )
    .option(
      "--target-length <n>",
      "tokens of an encoder-decoder's target (default: context-length)",
      whole("--target-length", { min: 1 }),
    )
    .option("--limit <n>", "most examples or windows of text, at even distances", whole("--limit", { min: 1 }))
    .option("--beams <n>", "beams that text-to-text generates with", whole("--beams", { min: 1 }), 1)
    .option("--out <file>", "write what text-to-text generates, a JSON object a line: source, target, prediction")
    .option("--seed <n>", "decides what is masked or spoiled (default 0)", whole("--seed", { min: 0 }))
    .option("--threads <n>", "processor threads (default: one a core)", whole("--threads", { min: 1, max: 1024 }))
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
Loss is in nats; accuracy, F1 and exact match are shares of 1; chrF and BLEU are 0 … 100, as sacreBLEU computes them.
For text-to-text the model writes a text for each source: exact match, chrF and BLEU are of these.

Examples:
  tessera evaluate my-model held-out.txt
  tessera evaluate spam-filter mails.jsonl --json
  tessera evaluate dates held-out.csv --beams 4 --out predictions.jsonl`,
    )
    .action(evaluate);
}

async function evaluate(name: string, files: readonly string[], flags: Flags): Promise<void> {
  const folder = await modelFolder(name);
  const [{ readModel }, { loadTokenizer }, { evaluateModel, evaluationTask }, { taskOf }] = await Promise.all([
    import("../pretrained/load-model.js"),
    import("../text/load-tokenizer.js"),
    import("../train/index.js"),
    import("../train/tasks/index.js"),
  ]);
  const model = readModel(folder, flags.task === undefined ? {} : { task: taskOf(flags.task).head });
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const tokenizer = await loadTokenizer(folder);
  const task = flags.task ?? evaluationTask(model, files);
  if (task !== "text-to-text" && (flags.out !== undefined || flags.beams > 1))
    throw new TesseraError("argument", `${flags.out === undefined ? "--beams" : "--out"}: ${task} generates no texts`);

  const { pairs, metrics: own, ...figures } = await evaluateModel(model, tokenizer, task, settingsOf(files, flags));
  const metrics = { ...own, ...(pairs && (await scoreTexts(model, tokenizer, pairs, flags))) };
  if (flags.json) {
    console.log(JSON.stringify({ model: name, data: files, ...figures, metrics }));
    return;
  }
  const { examples, loss, perplexity } = figures;
  const rows = Object.entries({ loss, ...(perplexity === undefined ? {} : { perplexity }), ...metrics });
  const width = Math.max(...rows.map(([title]) => title.length));
  const unit = taskOf(task).uses.includes("text_column") ? "example" : "window";
  console.log(`${task}, ${examples} ${unit}${examples === 1 ? "" : "s"} of ${files.join(", ")}`);
  for (const [title, value] of rows) console.log(`  ${title.replaceAll("_", " ").padEnd(width)}  ${value.toFixed(4)}`);
}

/** What the flags say, under the settings' names. */
function settingsOf(files: readonly string[], flags: Flags): EvaluationSettings {
  const given = {
    text_column: flags.textColumn,
    pair_column: flags.pairColumn,
    label_column: flags.labelColumn,
    separator: flags.separator,
    context_length: flags.contextLength,
    target_length: flags.targetLength,
    limit: flags.limit,
    seed: flags.seed,
    threads: flags.threads,
  };
  return { data: [...files], ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

const AT_ONCE = 16;

/** Lets the model write a text for each source, and holds it against the target. */
async function scoreTexts(
  model: LanguageModel,
  tokenizer: Tokenizer,
  pairs: readonly TextPair[],
  { beams, out, threads }: Flags,
): Promise<Readonly<Record<"exact_match" | "chrf" | "bleu", number>>> {
  const [{ compileModel, generate, settingsOf }, { bleu, chrf }] = await Promise.all([
    import("../generate/index.js"),
    import("../train/index.js"),
  ]);
  const { eos } = tokenizer.specialTokens;
  const ended = settingsOf(model, {}).eosTokenId.length > 0 || eos === undefined;
  const options = {
    numBeams: beams,
    doSample: false,
    // What is twice as long as the longest target is no translation any more.
    maxNewTokens: 2 * Math.max(...pairs.map(({ targetIds }) => targetIds.length)),
    ...(ended ? {} : { eosTokenId: eos }),
  };
  const predictions: string[] = [];
  using compiled = await compileModel(model, threads === undefined ? {} : { threads });
  for (let start = 0; start < pairs.length; start += AT_ONCE) {
    const sources = pairs.slice(start, start + AT_ONCE).map(({ sourceIds }) => sourceIds);
    for (const { ids } of await generate(compiled, sources, options))
      predictions.push(tokenizer.decode(ids, { skipSpecialTokens: true }).trim());
    if (process.stderr.isTTY) process.stderr.write(`\rgenerating ${predictions.length} of ${pairs.length}\u001b[K`);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  if (out !== undefined) {
    const { writeFileAtomic } = await import("../hub/atomic-write.js");
    const lines = pairs.map(({ source, target }, i) => JSON.stringify({ source, target, prediction: predictions[i] }));
    writeFileAtomic(out, `${lines.join("\n")}\n`);
  }
  const targets = pairs.map(({ target }) => target.trim());
  return {
    exact_match: predictions.filter((text, i) => text === targets[i]).length / targets.length,
    chrf: chrf(predictions, targets),
    bleu: bleu(predictions, targets).score,
  };
}
