import { type Command, Option } from "commander";
import {
  loadTokenizer,
  saveTokenizer,
  trainByteLevelBpe,
  trainCharacterTokenizer,
  withBeginToken,
} from "../text/index.js";
import { modelFolder } from "./model-folder.js";
import { choice, whole } from "./options.js";
import { readTexts } from "./read-text.js";

/** `tessera tokenizer train | encode | decode`. */
export function addTokenizer(program: Command): void {
  const tokenizer = program.command("tokenizer").description("train a tokenizer, or turn text into tokens and back");

  tokenizer
    .command("train")
    .description("train a tokenizer on text files and save it as tokenizer.json")
    .argument("<files...>", "UTF-8 text files; - is standard input")
    .requiredOption("--out <folder>", "where tokenizer.json goes")
    .addOption(
      new Option("--kind <kind>", "byte-level BPE, or one token a character")
        .default("bpe")
        .argParser(choice("--kind", "bpe", "character")),
    )
    .option(
      "--vocab-size <n>",
      "tokens in all (default 8192; character: no limit)",
      whole("--vocab-size", { min: 1, max: 2 ** 24 }),
    )
    .option(
      "--min-frequency <n>",
      "how often a pair or a character must occur (default 2; character: 1)",
      whole("--min-frequency", { min: 1 }),
    )
    .option("--begin-token", "set <|endoftext|> before every text that is encoded: prompts begin a document")
    .option("--json", "print one JSON object instead of a sentence")
    .addHelpText("after", "\nExample:\n  tessera tokenizer train corpus.txt --vocab-size 8192 --out my-tokenizer")
    .action(
      async (
        files: string[],
        o: {
          out: string;
          kind: "bpe" | "character";
          vocabSize?: number;
          minFrequency?: number;
          beginToken?: boolean;
          json?: boolean;
        },
      ) => {
        const began = performance.now();
        const texts = readTexts(files).flatMap((text) => text.split("<|endoftext|>"));
        const least = o.minFrequency === undefined ? {} : { minFrequency: o.minFrequency };
        const made =
          o.kind === "bpe"
            ? trainByteLevelBpe(texts, { vocabSize: o.vocabSize ?? 8192, ...least })
            : trainCharacterTokenizer(texts, {
                ...(o.vocabSize === undefined ? {} : { maxVocab: o.vocabSize }),
                ...least,
              });
        await saveTokenizer(o.out, o.beginToken ? withBeginToken(made) : made);
        const seconds = Number(((performance.now() - began) / 1000).toFixed(2));
        if (o.json) console.log(JSON.stringify({ out: o.out, kind: o.kind, vocabSize: made.vocabSize, seconds }));
        else console.log(`${o.out}/tokenizer.json: ${made.vocabSize} tokens, ${seconds} s`);
      },
    );

  tokenizer
    .command("encode")
    .description("print the token ids of a text")
    .argument("[text]", "default: standard input")
    .option("--model <name|folder>", "whose tokenizer: a model, a folder or a tokenizer.json", "ishmael")
    .option("--no-special-tokens", "without the tokens that the model's input is framed with")
    .option("--json", "print ids, type ids and tokens as one JSON object")
    .addHelpText("after", '\nExample:\n  tessera tokenizer encode "Call me Ishmael."')
    .action(async (text: string | undefined, o: { model: string; specialTokens: boolean; json?: boolean }) => {
      const tokens = await loadTokenizer(modelFolder(o.model));
      const encoding = tokens.encoding(text ?? readTexts(["-"])[0]!, { addSpecialTokens: o.specialTokens });
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
      const tokens = await loadTokenizer(modelFolder(o.model));
      const read = whole("ids", { min: 0, max: tokens.vocabSize - 1 });
      const text = tokens.decode(ids.flatMap((part) => part.split(/[\s,]+/).filter(Boolean)).map(read));
      console.log(o.json ? JSON.stringify({ text }) : text);
    });
}
