import { TesseraError } from "../core/errors.js";
import { shown } from "./component.js";
import type { NamedTokens } from "./named-tokens.js";
import { templateProcessing } from "./template.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/**
 * The merges in a merges.txt: two tokens a line, most frequent first, behind a line with the version.
 *
 * @param vocab the tokens of vocab.json
 * @param where what messages call the file
 * @throws TesseraError `tokenizer` naming the first line that is damaged or has what `vocab` has not
 */
export function parseMerges(text: string, vocab: ReadonlyMap<string, number>, where: string): [string, string][] {
  const lines = text.replace(/\s+$/, "").split(/\r?\n/);
  const merges: [string, string][] = [];
  for (const [i, line] of lines.entries()) {
    if (line.startsWith("#version") || (line === "" && lines.length === 1)) continue;
    const at = `${where}: line ${i + 1}`;
    const [left, right, ...rest] = line.split(" ");
    if (!left || !right || rest.length > 0)
      throw new TesseraError("tokenizer", `${at}: expected two tokens with a space between, got ${shown(line)}`);
    for (const token of [left, right, left + right])
      if (!vocab.has(token))
        throw new TesseraError("tokenizer", `${at}: ${shown(token)} is not in the vocabulary beside it`);
    merges.push([left, right]);
  }
  return merges;
}

/** What makes the tokenizer of a vocab.json and a merges.txt. */
export interface ByteLevelFiles {
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
  readonly tokens: NamedTokens;
  /** Whether a text that does not begin with a space is given one. */
  readonly addPrefixSpace: boolean;
  /** What is set around a text: nothing or `bos text` (GPT-2, OPT), or `cls text sep`, a pair as `cls text sep sep pair sep` (RoBERTa, BART). */
  readonly frame: "none" | "begin" | "roberta";
}

/** The tokenizer.json of a byte-level BPE that is kept as vocab.json and merges.txt (Radford et al. 2019, section 2.2). */
export function byteLevelJson({ vocab, merges, tokens, addPrefixSpace, frame }: ByteLevelFiles): TokenizerJson {
  const { roles, idOf } = tokens;
  const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
  const framed = (role: "cls" | "sep") => [roles[role], idOf(roles[role]!)];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.added,
    normalizer: null,
    pre_tokenizer: { ...byteLevel, add_prefix_space: addPrefixSpace },
    post_processor: {
      none: () => ({ ...byteLevel, trim_offsets: false }),
      begin: () => templateProcessing(`${roles.bos} $A`, `${roles.bos} $A $B:1`, idOf),
      roberta: () => ({
        type: "RobertaProcessing",
        sep: framed("sep"),
        cls: framed("cls"),
        trim_offsets: true,
        add_prefix_space: addPrefixSpace,
      }),
    }[frame](),
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
}
