import { join } from "node:path";
import { TesseraError } from "../core/errors.js";
import { byteLevelJson, parseMerges } from "./byte-level-files.js";
import { isRecord, shown } from "./component.js";
import { loadBytes, loadJson, loadText } from "./load-file.js";
import { marianJson } from "./marian-files.js";
import { type NamedTokens, type NamedTokensSource, namedTokens } from "./named-tokens.js";
import { readSentencePieceModel } from "./sentencepiece-model.js";
import type { SpecialRole } from "./tokenizer.js";
import { type LoadedTokenizer, tokenizerFromJson } from "./tokenizer-from-json.js";
import type { TokenizerConfig, TokenizerJson } from "./tokenizer-json.js";
import { parseVocabulary, wordPieceJson } from "./wordpiece-files.js";

/** The files beside the vocabulary. */
interface Beside {
  readonly directory: string;
  readonly config: TokenizerConfig;
  readonly addedTokens: TokenizerConfig | undefined;
}

/** A form in which transformers' own tokenizer classes keep what tokenizer.json holds today. */
interface OlderForm {
  /** The classes that read it, without the `Fast` at the end of some names. */
  readonly classes: readonly string[];
  /** The `model_type` of checkpoints whose files do not name the class. */
  readonly modelTypes: readonly string[];
  readonly files: readonly string[];
  /** What the saved tokenizer_config.json calls a tokenizer whose class would look for the older files; default its class. */
  readonly savedClass?: string;
  readonly load: (beside: Beside) => Promise<{ readonly json: TokenizerJson; readonly tokens: NamedTokens }>;
}

const forms: readonly OlderForm[] = [
  {
    classes: ["GPT2Tokenizer"],
    modelTypes: ["gpt2", "gpt_neo", "gptj", "opt"],
    files: ["vocab.json", "merges.txt"],
    load: (beside) => {
      const end = "<|endoftext|>";
      return loadByteLevel(beside, { bos: end, eos: end, unk: end }, (tokens) => {
        if (!flag(beside, "add_bos_token", false)) return "none";
        if (tokens.roles.bos === undefined)
          throw fault(beside, "add_bos_token is true, but there is no bos_token to set before a text");
        return "begin";
      });
    },
  },
  {
    classes: ["RobertaTokenizer", "BartTokenizer"],
    modelTypes: ["roberta", "bart"],
    files: ["vocab.json", "merges.txt"],
    load: (beside) =>
      loadByteLevel(
        beside,
        { bos: "<s>", eos: "</s>", unk: "<unk>", sep: "</s>", pad: "<pad>", cls: "<s>", mask: "<mask>" },
        (tokens) => {
          needRoles(beside, tokens, ["cls", "sep"]);
          return "roberta";
        },
      ),
  },
  {
    classes: ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"],
    modelTypes: ["bert", "distilbert", "electra"],
    files: ["vocab.txt"],
    load: loadWordPiece,
  },
  {
    classes: ["MarianTokenizer"],
    modelTypes: ["marian"],
    files: ["source.spm", "vocab.json"],
    savedClass: "PreTrainedTokenizerFast",
    load: loadMarian,
  },
];

/**
 * Reads the tokenizer of a directory without a tokenizer.json, as transformers' tokenizer classes read it: vocab.json and merges.txt
 * (GPT-2, GPT-Neo, OPT, RoBERTa, BART), vocab.txt (BERT, DistilBERT, ELECTRA), or source.spm and vocab.json (Marian), with
 * tokenizer_config.json, special_tokens_map.json and added_tokens.json where they exist. The class is the `tokenizer_class` of
 * tokenizer_config.json or config.json, else that of config.json's `model_type`.
 *
 * @param names what the directory holds
 * @returns the tokenizer; its `json` is the tokenizer.json that stands for the files
 * @throws TesseraError `io` for files that are missing or cannot be read, `tokenizer` for damaged ones, `unsupported` for another class
 */
export async function loadOlderTokenizer(directory: string, names: readonly string[]): Promise<LoadedTokenizer> {
  const present = vocabularyFiles.filter((name) => names.includes(name));
  if (present.length === 0) throw new TesseraError("io", `${directory}: no tokenizer.json is there. ${advice}`);
  const read = (name: string) => (names.includes(name) ? loadJson(join(directory, name)) : undefined);
  const [model, config, map, addedTokens] = await Promise.all([
    read("config.json"),
    read("tokenizer_config.json"),
    read("special_tokens_map.json"),
    read("added_tokens.json"),
  ]);
  const named = config?.tokenizer_class ?? model?.tokenizer_class;
  const className = typeof named === "string" ? named.replace(/Fast$/, "") : undefined;
  const form = forms.find(({ classes, modelTypes }) =>
    className === undefined ? modelTypes.includes(String(model?.model_type)) : classes.includes(className),
  );
  if (form === undefined) {
    const files = `the tokenizer is in ${present.join(", ")}`;
    const known = forms.flatMap(({ classes }) => classes).join(", ");
    throw new TesseraError(
      "unsupported",
      className !== undefined
        ? `${directory}: ${files}, whose class ${shown(className)} is not read without a tokenizer.json (${known} are). ${advice}`
        : `${directory}: ${files}, and neither tokenizer_config.json nor config.json names a class for it that is read without a tokenizer.json (${known}). ${advice}`,
    );
  }
  const absent = form.files.filter((name) => !names.includes(name));
  if (absent.length > 0)
    throw new TesseraError(
      "io",
      `${join(directory, absent[0]!)}: not there, and neither is a tokenizer.json (${form.classes[0]} is kept as ${form.files.join(" and ")})`,
    );
  // Since 2023 everything is in tokenizer_config.json; before, special_tokens_map.json had the last word.
  const merged = isRecord(config?.added_tokens_decoder) ? { ...map, ...config } : { ...config, ...map };
  const { json, tokens } = await form.load({ directory, config: merged, addedTokens });
  return tokenizerFromJson(
    json,
    {
      ...merged,
      ...Object.fromEntries(Object.entries(tokens.roles).map(([role, token]) => [`${role}_token`, token])),
      tokenizer_class: form.savedClass ?? className ?? form.classes[0]!,
    },
    join(directory, form.files[0]!),
  );
}

/** What tokenizers are kept in, other than tokenizer.json. */
const vocabularyFiles = [
  "source.spm",
  "tokenizer.model",
  "spiece.model",
  "sentencepiece.bpe.model",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
];

const advice =
  "Make one with transformers, AutoTokenizer.from_pretrained(...).save_pretrained(...), where it has a fast tokenizer for the model";

async function loadByteLevel(
  beside: Beside,
  defaults: NamedTokensSource["defaults"],
  frame: (tokens: NamedTokens) => "none" | "begin" | "roberta",
): Promise<{ json: TokenizerJson; tokens: NamedTokens }> {
  const file = join(beside.directory, "merges.txt");
  const [vocab, text] = await Promise.all([loadVocabulary(beside), loadText(file)]);
  const tokens = readTokens(beside, vocab, defaults, ["mask"]);
  const json = byteLevelJson({
    vocab,
    merges: parseMerges(text, vocab, file),
    tokens,
    addPrefixSpace: flag(beside, "add_prefix_space", false),
    frame: frame(tokens),
  });
  return { json, tokens };
}

async function loadWordPiece(beside: Beside): Promise<{ json: TokenizerJson; tokens: NamedTokens }> {
  const file = join(beside.directory, "vocab.txt");
  const vocab = parseVocabulary(await loadText(file));
  const defaults = { unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" };
  const tokens = readTokens(beside, vocab, defaults);
  needRoles(beside, tokens, ["unk", "cls", "sep"]);
  if (!vocab.has(tokens.roles.unk!))
    throw new TesseraError("tokenizer", `${file}: the unknown token ${shown(tokens.roles.unk)} is not in it`);
  for (const name of ["do_lower_case", "tokenize_chinese_chars"]) flag(beside, name, true);
  if (beside.config.strip_accents !== null) flag(beside, "strip_accents", true);
  return { json: wordPieceJson(vocab, tokens, beside.config), tokens };
}

async function loadMarian(beside: Beside): Promise<{ json: TokenizerJson; tokens: NamedTokens }> {
  if (flag(beside, "separate_vocabs", false))
    throw new TesseraError(
      "unsupported",
      `${beside.directory}: separate_vocabs is true, but a tokenizer.json has one vocabulary for source and target`,
    );
  const file = join(beside.directory, "source.spm");
  const [vocab, bytes] = await Promise.all([loadVocabulary(beside), loadBytes(file)]);
  const tokens = readTokens(beside, vocab, { eos: "</s>", unk: "<unk>", pad: "<pad>" });
  needRoles(beside, tokens, ["eos", "unk"]);
  return { json: marianJson(readSentencePieceModel(bytes, file), vocab, tokens, beside.directory), tokens };
}

/** The tokens of vocab.json and their ids; whether they are ids shows when the tokenizer is put together. */
async function loadVocabulary({ directory }: Beside): Promise<Map<string, number>> {
  const file = join(directory, "vocab.json");
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(await loadJson(file))) {
    if (!Number.isSafeInteger(id) || (id as number) < 0)
      throw new TesseraError("tokenizer", `${file}: ${shown(token)}: expected an id, got ${shown(id)}`);
    vocab.set(token, id as number);
  }
  return vocab;
}

function readTokens(
  { directory, config, addedTokens }: Beside,
  vocab: ReadonlyMap<string, number>,
  defaults: NamedTokensSource["defaults"],
  takesSpace: readonly SpecialRole[] = [],
): NamedTokens {
  return namedTokens({ vocab, config, addedTokens, defaults, takesSpace, where: directory });
}

function needRoles(beside: Beside, { roles }: NamedTokens, needed: readonly SpecialRole[]): void {
  const lost = needed.find((role) => roles[role] === undefined);
  if (lost !== undefined) throw fault(beside, `there is no ${lost}_token, which this tokenizer needs`);
}

function flag(beside: Beside, name: string, fallback: boolean): boolean {
  const value = beside.config[name] ?? fallback;
  if (typeof value !== "boolean") throw fault(beside, `${name}: expected true or false, got ${shown(value)}`);
  return value;
}

function fault({ directory }: Beside, what: string): TesseraError {
  return new TesseraError("tokenizer", `${join(directory, "tokenizer_config.json")}: ${what}`);
}
