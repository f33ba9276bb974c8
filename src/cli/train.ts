import { join } from "node:path";
import { type Command, Option } from "commander";
import { TesseraError } from "../core/errors.js";
import type { TrainEvent, TrainSettings } from "../train/index.js";
import { real, whole } from "./options.js";

/** A setting of a run as a flag: what it takes on the command line. */
type Kind = "whole" | "real" | "text" | "list" | "json" | "yes-no" | readonly string[];

/**
 * The settings that are flags. What each means, its bounds and its default are in `train/settings.ts`, which `tessera train --help`
 * does not load for the sake of starting fast; `train.test.ts` holds the two against each other.
 */
export const trainFlags: Readonly<Record<Exclude<keyof TrainSettings, "data" | "out">, readonly [Kind, string]>> = {
  task: [
    "text",
    "what it is trained for, see below (default: by the columns, else what the family is pre-trained for)",
  ],
  from: [
    "text",
    "fine-tune this model folder; its sizes and tokenizer are kept, and a new head is made where it lacks the task's",
  ],
  model: [
    "text",
    "model from scratch: the model_type of a family, such as bert, or a size of GPT-3, such as gpt3-small (default gpt2)",
  ],
  layers: ["whole", "blocks (default 4)"],
  heads: ["whole", "attention heads (default 4)"],
  d: ["whole", "model size (default 256)"],
  dropout: ["real", "dropout (default 0.1)"],
  model_config: ["json", "further fields of config.json, as JSON; with --from, fields to change"],
  tokenizer: [
    "text",
    "a tokenizer.json, a model's folder, or a kind to train on the data: bpe, characters, words, wordpiece, unigram, roberta, blanks (default: by the task)",
  ],
  vocab_size: ["whole", "tokens of a tokenizer that is trained on the data (default 4096)"],
  text_column: ["text", "column of the text, question, source or words (default: by the task)"],
  pair_column: ["text", "column of a second text, or of a question's context"],
  label_column: ["text", "column of the label, tags, answers or target (default: by the task)"],
  problem_type: [
    ["single_label_classification", "multi_label_classification", "regression"],
    "what labels of texts are (default: by the labels)",
  ],
  separator: ["text", "text between the documents of a file (default: a file is a document)"],
  end_of_text: ["yes-no", "set the end token after every document (default true)"],
  context_length: ["whole", "tokens seen at once (default 128)"],
  target_length: ["whole", "tokens of an encoder-decoder's target (default: context-length)"],
  mask_rate: ["real", "share of tokens that are hidden (default: the paper's)"],
  mean_span: ["real", "mean length of hidden spans, in tokens (default: 3)"],
  whole_word: ["yes-no", "hide whole words (default false)"],
  noise: ["list", "ways to spoil a text for denoising: infilling, permutation, deletion (default: the first two)"],
  label_smoothing: ["real", "weight of the uniform distribution in the targets (default 0)"],
  validation_data: ["list", "data sets to validate on, in place of a share"],
  validation: ["real", "share of the text kept for validation (default 0.05)"],
  validation_split: [["tail", "documents"], "what is kept: the end of the text, or documents by chance (default tail)"],
  steps: ["whole", "updates (default 1000)"],
  epochs: ["real", "times through the text, instead of steps"],
  batch_size: ["whole", "windows in a step (default 16)"],
  micro_batch_size: ["whole", "windows processed at a time, dividing the batch (default: about 1024 tokens)"],
  learning_rate: ["real", "highest rate (default 1e-3; 1e-4 when fine-tuning)"],
  min_learning_rate: ["real", "rate at the end (default: a tenth)"],
  schedule: [["cosine", "linear", "constant"], "how the rate falls after the warm-up (default cosine)"],
  warmup_steps: ["whole", "steps over which the rate rises (default: a twentieth, at most 200)"],
  optimizer: [["adamw", "muon"], "what updates: AdamW, or Muon for the matrices within layers (default adamw)"],
  momentum: ["real", "Muon's decay of the mean (default 0.95)"],
  beta1: ["real", "AdamW's decay of the mean (default 0.9)"],
  beta2: ["real", "AdamW's decay of the mean square (default 0.95)"],
  epsilon: ["real", "AdamW's epsilon (default 1e-8)"],
  weight_decay: ["real", "decay of matrices and embeddings (default 0.1)"],
  max_gradient_norm: ["real", "larger gradients are scaled down to it; 0: no clipping (default 1)"],
  freeze: ["text", "regular expression of the parameters that are not trained"],
  layer_rate_decay: ["real", "each layer's rate is the one above divided by this (default 1; 2.6 in ULMFiT)"],
  unfreeze_every: ["whole", "steps after which one more layer is trained, from the head down"],
  seed: ["whole", "decides weights, order and dropout (default 0)"],
  threads: ["whole", "processor threads (default: one a core)"],
  log_every: ["whole", "steps between lines of the log (default 10)"],
  eval_every: ["whole", "steps between evaluations (default: a twentieth)"],
  eval_windows: ["whole", "most windows of an evaluation (default 256)"],
  checkpoint_every: ["whole", "steps between checkpoints (default: as evaluations)"],
  keep_checkpoints: ["whole", "checkpoints that stay (default 2)"],
  keep: [["latest", "best"], "which weights become the model (default latest)"],
  best_by: ["text", "what the best evaluation has most of, or loss for the least (default: the task's metric)"],
  early_stopping: ["whole", "ends after so many evaluations without a better one"],
  dtype: [["float32", "float16", "bfloat16"], "element type of the model on disk (default float32)"],
};

interface Flags extends Readonly<Record<string, unknown>> {
  readonly out?: string;
  readonly config?: string;
  readonly resume?: string;
  readonly json?: boolean;
}

/** `tessera train`. */
export function addTrain(program: Command): void {
  const train = program
    .command("train")
    .description("train a model for a task, from scratch or from a checkpoint")
    .argument("[files...]", "text files, or data sets: JSONL, JSON, CSV, TSV, Parquet")
    .option("--out <folder>", "folder for the model and the state of the run")
    .option("--config <file>", "JSON file of settings, named as the flags with _ for -; flags win")
    .option("--resume <folder>", "go on with an interrupted run; settings of its course may change")
    .option("--json", "print events as JSON lines instead of a progress line");
  for (const [name, [kind, description]] of Object.entries(trainFlags))
    train.addOption(flagOf(name, kind, description));
  train
    .addHelpText(
      "after",
      `
Tasks on running text:
  causal-lm, bidirectional-lm (ELMo), masked-lm, pre-training (masked tokens and next sentence), permutation-lm (XLNet), span-corruption (T5),
  denoising (BART), blank-infilling (GLM)
Tasks on data sets, and their columns:
  sequence-classification   text, label            (a list of labels: any number of them; --problem-type regression: a number)
  token-classification      tokens, tags           (lists)
  question-answering        question, context, answers   (answers as in SQuAD: text and answer_start)
  text-to-text              source, target

Ctrl-C finishes the step, saves and ends; tessera train --resume goes on, to the same weights bit for bit.

Examples:
  tessera train corpus.txt --out my-model
  tessera train poems.txt --out verse --tokenizer characters --layers 6 --d 192 --steps 3000
  tessera train corpus.txt --model rnn-lm --model-config '{"cell":"gru"}' --out my-gru
  tessera train mails.jsonl --task sequence-classification --model bert --out spam --epochs 3
  tessera train mails.jsonl --from spam --model-config '{"hidden_dropout_prob":0.3}' --out spam-2
  tessera train dates.csv --task text-to-text --model transformer --tokenizer characters --out dates
  tessera train --resume my-model`,
    )
    .action(run);
}

const flagName = (setting: string) => `--${setting.replaceAll("_", "-")}`;

function flagOf(name: string, kind: Kind, description: string): Option {
  const flag = flagName(name);
  const readers: Readonly<Record<string, (text: string) => unknown>> = {
    whole: whole(flag),
    real: real(flag),
    text: (text) => text,
    list: (text) => text.split(",").map((item) => item.trim()),
    json: (text) => {
      try {
        return JSON.parse(text);
      } catch {
        throw new TesseraError("argument", `${flag}: must be JSON, got ${JSON.stringify(text.slice(0, 80))}`);
      }
    },
    "yes-no": (text) => {
      if (text !== "true" && text !== "false")
        throw new TesseraError("argument", `${flag}: must be true or false, got ${JSON.stringify(text.slice(0, 80))}`);
      return text === "true";
    },
  };
  const words = typeof kind === "string" ? undefined : kind;
  const placeholder = words
    ? words.join("|")
    : { whole: "n", real: "x", text: "text", list: "a,b", json: "object", "yes-no": "true|false" }[kind as "text"];
  return new Option(`${flag} <${placeholder}>`, description).argParser(readers[words ? "text" : (kind as string)]!);
}

async function run(files: string[], flags: Flags): Promise<void> {
  const [{ parseTrainSettings, readTrainSettings, resumeRun, startRun, train }, { nativeRuntime }] = await Promise.all([
    import("../train/index.js"),
    import("../runtime/native.js"),
  ]);
  const { out, config, resume, json = false } = flags;
  const chosen: Record<string, unknown> = {};
  for (const name of Object.keys(trainFlags)) {
    const value = flags[name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) chosen[name] = value;
  }
  if (files.length > 0) chosen.data = files;
  if (resume !== undefined && (out !== undefined || config !== undefined))
    throw new TesseraError(
      "argument",
      "--resume: a run goes on in its own folder with its own settings; leave out --out and --config",
    );
  if (resume === undefined && out !== undefined) chosen.out = out;
  if (resume === undefined && config === undefined) {
    if (files.length === 0)
      throw new TesseraError("argument", "train: no files are given to train on. Name text files or data sets");
    if (out === undefined)
      throw new TesseraError("argument", "train: --out is missing, the folder for the model and the state of the run");
  }

  const started = performance.now();
  const runtime = nativeRuntime(); // what keeps it from starting is told before anything is written
  const screen = json ? jsonLines() : progressLine();
  const prepared = {
    onProgress: (stage: "tokenizer" | "encoding", done: number) =>
      screen.stage(stage === "tokenizer" ? "training the tokenizer" : "encoding", done),
  };
  const settings = () =>
    config === undefined ? parseTrainSettings(chosen, "train") : readTrainSettings(config, chosen);
  const ready = resume === undefined ? await startRun(settings(), prepared) : await resumeRun(resume, chosen, prepared);
  for (const warning of ready.warnings) console.error(`warning: ${warning}`);

  const { settings: s, model, training, state } = ready;
  const parameters = [...state.weights.values()].reduce((n, { data }) => n + data.length, 0);
  screen.begin({
    task: ready.task.name,
    model: model.family.modelType,
    parameters,
    vocabSize: ready.tokenizer.vocabSize,
    windows: training.size,
    contextLength: s.context_length,
    steps: s.steps,
    startedAt: state.progress.step,
    preparation: (performance.now() - started) / 1000,
  });

  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130); // asked twice: the last checkpoint stays
    controller.abort();
    screen.stopping();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    const result = await train(ready, { onEvent: screen.event, signal: controller.signal, runtime });
    screen.end({
      ...result,
      out: s.out,
      verb: verbs[ready.task.head] ?? "generate",
      curve: join(s.out, "training", "loss.svg"),
    });
    if (result.status === "interrupted") process.exitCode = 130;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

/** The command that a trained head answers to, where it is not `generate`. */
const verbs: Readonly<Record<string, string>> = {
  "masked-lm": "fill-mask",
  "pre-training": "fill-mask",
  "sequence-classification": "classify",
  "token-classification": "tag",
  "question-answering": "answer",
  "blank-infilling": "fill-blanks",
  "permutation-lm": "embed",
  "bidirectional-lm": "embed",
};

/** The metrics of an evaluation, or its perplexity. */
function figures({
  perplexity,
  metrics,
}: {
  perplexity: number;
  metrics?: Readonly<Record<string, number>> | undefined;
}): string {
  if (!metrics) return `perplexity ${perplexity.toFixed(2)}`;
  return Object.entries(metrics)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value.toFixed(4)}`)
    .join(", ");
}

/** What the screen shows before training. */
interface Beginning {
  readonly task: string;
  readonly model: string;
  readonly parameters: number;
  readonly vocabSize: number;
  readonly windows: number;
  readonly contextLength: number;
  readonly steps: number;
  readonly startedAt: number;
  readonly preparation: number;
}

interface Ending {
  readonly status: "finished" | "stopped" | "interrupted";
  readonly step: number;
  readonly validation: { readonly loss: number; readonly metrics?: Readonly<Record<string, number>> } | null;
  readonly best: { readonly step: number; readonly loss: number } | null;
  readonly seconds: number;
  readonly out: string;
  /** The command that shows what it has learned. */
  readonly verb: string;
  readonly curve: string;
}

interface Screen {
  stage(what: string, done: number): void;
  begin(facts: Beginning): void;
  event(event: TrainEvent): void;
  stopping(): void;
  end(result: Ending): void;
}

function jsonLines(): Screen {
  const line = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    stage: () => {},
    begin: (facts) => line({ type: "begin", ...facts }),
    event: line,
    stopping: () => {},
    end: (result) => line({ type: "end", ...result }),
  };
}

/** One line that is written over on a terminal; elsewhere a line now and then. */
function progressLine(): Screen {
  const terminal = process.stderr.isTTY === true;
  let shown = 0;
  const over = (text: string) => {
    if (terminal) process.stderr.write(`\r${text.slice(0, (process.stderr.columns ?? 120) - 1)}\u001b[K`);
    else if (performance.now() - shown > 10_000 || shown === 0) {
      process.stderr.write(`${text}\n`);
      shown = performance.now();
    }
  };
  const clear = () => terminal && process.stderr.write("\r\u001b[K");
  const say = (text: string) => {
    clear();
    process.stderr.write(`${text}\n`);
  };
  return {
    stage: (what, done) => terminal && over(`${what} ${Math.round(100 * done)} %`),
    begin: (f) =>
      say(
        `${f.model} for ${f.task}: ${f.parameters.toLocaleString("en")} parameters, ${f.vocabSize} tokens, ${f.windows} rows of ${f.contextLength}; ${
          f.startedAt > 0 ? `step ${f.startedAt} of ${f.steps}` : `${f.steps} steps`
        } (ready in ${f.preparation.toFixed(1)} s)`,
      ),
    event(e) {
      if (e.type === "step")
        over(
          `step ${e.step}/${e.steps}  loss ${e.loss.toFixed(3)}  ${Math.round(e.tokensPerSecond).toLocaleString("en")} tokens/s  ETA ${duration(e.eta)}  rate ${e.learningRate.toExponential(1)}  epoch ${e.epoch.toFixed(2)}`,
        );
      else if (e.type === "evaluation")
        say(`step ${e.step}: validation loss ${e.loss.toFixed(4)}, ${figures(e)}${e.best ? "" : " (not the best)"}`);
    },
    stopping: () => say("finishing the step, then saving; Ctrl-C again ends at once"),
    end(r) {
      const loss = r.validation
        ? `, validation loss ${r.validation.loss.toFixed(4)}, ${figures({ ...r.validation, perplexity: Math.exp(r.validation.loss) })}`
        : "";
      if (r.status !== "interrupted") {
        const best = r.status === "stopped" && r.best ? `, the best after step ${r.best.step}` : "";
        say(`${r.step} steps${best} in ${duration(r.seconds)}${loss}`);
        say(`model: ${r.out}   loss curve: ${r.curve}`);
        say(`try: tessera ${r.verb} --model ${r.out} "…"`);
      } else say(`stopped after step ${r.step}; all is saved. Go on with: tessera train --resume ${r.out}`);
    },
  };
}

/** `1 h 02 min`, `3 min 20 s`, `12 s`. */
function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return s >= 60 ? `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s` : `${s} s`;
}
