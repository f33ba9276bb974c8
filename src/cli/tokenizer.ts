import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { TesseraError } from "../core/errors.js";
import type { LoadedTokenizer } from "../text/index.js";
import { modelFolder } from "./model-folder.js";
import { choice, whole } from "./options.js";
import { readTexts } from "./read-text.js";

/** Loaded when a command needs it: other commands start without it. */
const library = () => import("../text/index.js");

/** `tessera tokenizer train | encode | decode`. */
export function addTokenizer(program: Command): void {
  const tokenizer = program.command("tokenizer").description("train a tokenizer, or turn text into tokens and back");

  tokenizer
    .command("train")
    .description("train a tokenizer on text files and save it as tokenizer.json")
    .argument("<files...>", "UTF-8 text files; - is standard input")
    .requiredOption("--out <folder>", "where tokenizer.json goes")
    .addOption(
      new Option(
        "--kind <kind>",
        "byte-level BPE, WordPiece as BERT's, Unigram as T5's, or one token a word or a character",
      )
        .default("bpe")
        .argParser(choice("--kind", ...(Object.keys(kinds) as Kind[]))),
    )
    .option(
      "--vocab-size <n>",
      "tokens in all (default 8192; character: no limit)",
      whole("--vocab-size", { min: 1, max: 2 ** 24 }),
    )
    .option(
      "--min-frequency <n>",
      "how often a pair, a word or a character must occur (default 2; word, character: 1; not for unigram)",
      whole("--min-frequency", { min: 1 }),
    )
    .option(
      "--special-tokens <set>",
      "bpe: gpt2 (<|endoftext|>) or roberta (<s> text </s>); character: gpt2 or bert ([CLS] text [SEP]); wordpiece: bert; unigram: t5; word: plain (</s>, <unk>, <pad>)",
      choice("--special-tokens", "gpt2", "roberta", "bert", "t5", "plain"),
    )
    .option("--extra-tokens <list>", "more special tokens, with commas between them")
    .option("--cased", "wordpiece: keep upper case and accents")
    .option(
      "--limit-alphabet <n>",
      "wordpiece: how many different characters get tokens (default: all)",
      whole("--limit-alphabet", { min: 1 }),
    )
    .option(
      "--sentinels <n>",
      "unigram: how many tokens <extra_id_0> … there are, 100 for T5 (default 0)",
      whole("--sentinels", { min: 0, max: 10_000 }),
    )
    .option("--begin-token", "set <|endoftext|> before every text that is encoded: prompts begin a document")
    .option("--json", "print one JSON object instead of a sentence")
    .addHelpText(
      "after",
      `
Examples:
  tessera tokenizer train corpus.txt --vocab-size 8192 --out my-tokenizer
  tessera tokenizer train corpus.txt --kind wordpiece --vocab-size 8192 --out bert-tokenizer
  tessera tokenizer train corpus.txt --kind unigram --sentinels 100 --out t5-tokenizer
  tessera tokenizer train corpus.txt --special-tokens roberta --out bart-tokenizer
  tessera tokenizer train poems.txt --kind character --special-tokens bert --out poem-tokenizer`,
    )
    .action(async (files: string[], o: TrainOptions) => {
      const began = performance.now();
      refuseStrangers(o);
      if (existsSync(join(o.out, "config.json")))
        throw new TesseraError(
          "argument",
          `--out: ${o.out} holds a model, which would lose its tokenizer. Choose another folder`,
        );
      const texts = readTexts(files).flatMap((text) => text.split("<|endoftext|>"));
      const text = await library();
      const made = train(text, texts, o);
      await text.saveTokenizer(o.out, o.beginToken ? text.withBeginToken(made) : made);
      const seconds = Number(((performance.now() - began) / 1000).toFixed(2));
      if (o.json) console.log(JSON.stringify({ out: o.out, kind: o.kind, vocabSize: made.vocabSize, seconds }));
      else console.log(`${o.out}/tokenizer.json: ${made.vocabSize} tokens, ${seconds} s`);
    });

  tokenizer
    .command("encode")
    .description("print the token ids of a text")
    .argument("[text]", "without one, or with -, standard input")
    .option("--model <name|folder>", "whose tokenizer: a model, a folder or a tokenizer.json", "ishmael")
    .option("--no-special-tokens", "without the tokens that the model's input is framed with")
    .option("--json", "print ids, type ids and tokens as one JSON object")
    .addHelpText("after", '\nExample:\n  tessera tokenizer encode "Call me Ishmael."')
    .action(async (text: string | undefined, o: { model: string; specialTokens: boolean; json?: boolean }) => {
      const tokens = await (await library()).loadTokenizer(await modelFolder(o.model));
      const encoding = tokens.encoding(text === undefined || text === "-" ? readTexts(["-"])[0]! : text, {
        addSpecialTokens: o.specialTokens,
      });
      console.log(o.json ? JSON.stringify(encoding) : encoding.ids.join(" "));
    });

  tokenizer
    .command("decode")
    .description("print the text of token ids")
    .argument("<ids...>", "token ids")
    .option("--model <name|folder>", "whose tokenizer: a model, a folder or a tokenizer.json", "ishmael")
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  tessera tokenizer decode 352 417 13")
    .action(async (ids: string[], o: { model: string; json?: boolean }) => {
      const tokens = await (await library()).loadTokenizer(await modelFolder(o.model));
      const read = whole("ids", { min: 0, max: tokens.vocabSize - 1 });
      const text = tokens.decode(ids.flatMap((part) => part.split(/[\s,]+/).filter(Boolean)).map(read));
      console.log(o.json ? JSON.stringify({ text }) : text);
    });
}

/** The sets of special tokens that a kind of tokenizer can have, its own first, and the flags that only some kinds take. */
const kinds = {
  bpe: { sets: ["gpt2", "roberta"], flags: ["minFrequency"] },
  wordpiece: { sets: ["bert"], flags: ["minFrequency", "cased", "limitAlphabet"] },
  unigram: { sets: ["t5"], flags: ["sentinels"] },
  word: { sets: ["plain"], flags: ["minFrequency"] },
  character: { sets: ["gpt2", "bert"], flags: ["minFrequency"] },
} as const;
type Kind = keyof typeof kinds;

interface TrainOptions {
  readonly out: string;
  readonly kind: Kind;
  readonly vocabSize?: number;
  readonly minFrequency?: number;
  readonly specialTokens?: "gpt2" | "roberta" | "bert" | "t5" | "plain";
  readonly extraTokens?: string;
  readonly cased?: true;
  readonly limitAlphabet?: number;
  readonly sentinels?: number;
  readonly beginToken?: true;
  readonly json?: true;
}

/** @throws TesseraError `argument` for a flag that the kind of tokenizer does not have */
function refuseStrangers(o: TrainOptions): void {
  const { sets, flags } = kinds[o.kind];
  for (const flag of ["minFrequency", "cased", "limitAlphabet", "sentinels"] as const) {
    if (o[flag] !== undefined && !(flags as readonly string[]).includes(flag)) {
      const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new TesseraError("argument", `--${name}: --kind ${o.kind} does not have it`);
    }
  }
  const set = o.specialTokens ?? sets[0];
  if (!(sets as readonly string[]).includes(set))
    throw new TesseraError("argument", `--special-tokens: --kind ${o.kind} takes ${sets.join(" or ")}, got ${set}`);
  if (o.beginToken && set !== "gpt2")
    throw new TesseraError("argument", `--begin-token: goes with --special-tokens gpt2 only, got ${set}`);
}

function train(text: Awaited<ReturnType<typeof library>>, texts: string[], o: TrainOptions): LoadedTokenizer {
  const { vocabSize = 8192, minFrequency, limitAlphabet, sentinels } = o;
  const least = minFrequency === undefined ? {} : { minFrequency };
  const extraTokens = o.extraTokens?.split(",").map((token) => token.trim()) ?? [];
  switch (o.kind) {
    case "bpe":
      return text.trainByteLevelBpe(texts, {
        vocabSize,
        ...least,
        extraTokens,
        ...(o.specialTokens === "roberta" ? { specialTokens: "roberta" } : {}),
      });
    case "wordpiece":
      return text.trainWordPiece(texts, {
        vocabSize,
        ...least,
        extraTokens,
        lowercase: !o.cased,
        ...(limitAlphabet === undefined ? {} : { limitAlphabet }),
      });
    case "unigram":
      return text.trainUnigram(texts, { vocabSize, extraTokens, ...(sentinels === undefined ? {} : { sentinels }) });
    case "word":
      return text.trainWordTokenizer(texts, { vocabSize, ...least, extraTokens });
    case "character": {
      const bert = o.specialTokens === "bert";
      const names = bert
        ? { unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" }
        : { bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<unk>" };
      const made = text.trainCharacterTokenizer(texts, {
        specialTokens: extraTokens.length > 0 ? { ...names, additional: extraTokens } : names,
        ...(o.vocabSize === undefined ? {} : { maxVocab: o.vocabSize }),
        ...least,
      });
      return bert ? text.withBertFrame(made) : made;
    }
  }
}
