import { countOf, formatShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import type { LanguageModel } from "../pretrained/load-model.js";
import { endSource } from "../text/end-source.js";
import type { Tokenizer } from "../text/tokenizer.js";

/** What looking inside needs of a model. */
export type InspectedModel = Pick<LanguageModel, "family" | "module" | "weights" | "facts" | "task">;

/** Texts, one or several: as text, which needs a tokenizer, as token ids of any lengths, or as an int64 tensor `[b, t]`. */
export type Rows = string | readonly string[] | readonly number[] | readonly (readonly number[])[] | HostTensor;

/** What a model is given. Rows of different lengths are filled up on the right with padding that nothing sees. */
export type ModelInput =
  | Rows
  | {
      readonly ids: Rows;
      /** 1 for tokens, 0 for padding. Default: 0 where rows are filled up. */
      readonly attentionMask?: Rows | undefined;
      /** Token types, as BERT has them. Default: those that the tokenizer gives, else 0. */
      readonly segments?: Rows | undefined;
      /** Where the tokens and the contents of blanks stand, of a model that fills blanks. Default: the ids are a text with its blanks. */
      readonly blanks?: BlankPositions | undefined;
    }
  | {
      readonly source: Rows;
      /**
       * What an encoder-decoder has written so far. Ids are taken as they are, beginning with the token that targets start with; a text
       * is set behind that token and stays open at its end.
       */
      readonly target: Rows;
      /** Of the source. */
      readonly attentionMask?: Rows | undefined;
    };

/** Rows of a text and, behind it, what fills its blanks: GLM's Parts A and B. Du et al. 2022, section 2. */
export interface BlankPositions {
  /** Tokens of each row's text, which is seen from everywhere. */
  readonly prefix: readonly number[] | HostTensor;
  /** In the text a token's place, in a blank's content the place of the blank. */
  readonly positions: Rows;
  /** 0 in the text, 1, 2, … in a blank's content. */
  readonly blockPositions: Rows;
}

/** The arrays that a model is given, int64. */
export interface Feeds {
  readonly ids: HostTensor;
  readonly positions?: HostTensor | undefined;
  readonly blockPositions?: HostTensor | undefined;
  readonly prefixLength?: HostTensor | undefined;
  readonly attentionMask?: HostTensor | undefined;
  readonly segments?: HostTensor | undefined;
  readonly target?: HostTensor | undefined;
}

/**
 * The arrays of an input.
 *
 * @throws TesseraError `argument` for a text without a tokenizer, an empty row, a token that the model does not know, more tokens than it
 *   sees, or a target where the model has none, and the other way round
 */
export function modelFeeds(model: InspectedModel, input: ModelInput, tokenizer?: Tokenizer): Feeds {
  const { facts, task } = model;
  const parts = isRows(input) ? { ids: input } : input;
  const given = "source" in parts ? parts.source : parts.ids;
  const isPair = "source" in parts;
  if (isPair !== (task === "seq2seq-lm"))
    throw new TesseraError(
      "argument",
      isPair
        ? `input: a model for ${task} has no target. Give it ids`
        : "input: an encoder-decoder needs { source, target }",
    );
  const source = rowsOf(
    "input",
    given,
    encoder(tokenizer, ({ ids }) => (tokenizer && isPair ? endSource(tokenizer)(ids) : ids)),
  );
  const length = task === "seq2seq-lm" ? facts.sourceLength : facts.contextLength;
  const ids = filled("input", source, facts.padding ?? 0, length);
  if (!isPair && ids.shape.length === 2)
    for (const id of ids.data as BigInt64Array)
      if (id < 0n || id >= BigInt(facts.vocabSize))
        throw new TesseraError("argument", `input: token ${id} is not in the vocabulary (${facts.vocabSize} tokens)`);
  const mask =
    parts.attentionMask === undefined
      ? maskOf(source)
      : filled("attentionMask", rowsOf("attentionMask", parts.attentionMask), 0);
  const types = "segments" in parts && parts.segments !== undefined ? parts.segments : typesOf(given, tokenizer);
  const segments = types === undefined ? undefined : filled("segments", rowsOf("segments", types), 0);
  const blanks = blankFeeds(model, ids, "blanks" in parts ? parts.blanks : undefined);
  const { positions, blockPositions } = blanks ?? {};
  for (const [name, tensor] of Object.entries({ attentionMask: mask, segments, positions, blockPositions }))
    if (tensor && formatShape(tensor.shape) !== formatShape(ids.shape.slice(0, 2)))
      throw new TesseraError(
        "shape",
        `${name}: must be as the input is, ${formatShape(tensor.shape)} beside ${formatShape(ids.shape.slice(0, 2))}`,
      );
  if (!isPair) return { ids, attentionMask: mask, segments, ...blanks };
  const target = filled("target", targetRows(model, parts.target, tokenizer), facts.padding ?? 0, facts.contextLength);
  if (target.shape[0] !== ids.shape[0])
    throw new TesseraError(
      "argument",
      `target: it has other rows than the source, ${target.shape[0]} and ${ids.shape[0]}`,
    );
  return { ids, attentionMask: mask, target };
}

const isTensor = (x: unknown): x is HostTensor => typeof x === "object" && x !== null && "data" in x && "dtype" in x;
const isRows = (x: ModelInput): x is Rows => typeof x === "string" || Array.isArray(x) || isTensor(x);

/** Text by text; undefined where no text is given. */
const textsOf = (rows: Rows): readonly string[] | undefined => {
  if (typeof rows === "string") return [rows];
  return Array.isArray(rows) && rows.length > 0 && rows.every((row) => typeof row === "string") ? rows : undefined;
};

type Encoded = ReturnType<Tokenizer["encoding"]>;

const encoder = (tokenizer: Tokenizer | undefined, take: (encoding: Encoded) => readonly number[]) =>
  tokenizer && ((text: string) => take(tokenizer.encoding(text)));

/** Rows of ids, or a tensor as it is. */
function rowsOf(
  what: string,
  rows: Rows,
  encode?: (text: string) => readonly number[],
): HostTensor | readonly (readonly number[])[] {
  if (isTensor(rows)) return rows;
  const texts = textsOf(rows);
  if (texts) {
    if (!encode) throw new TesseraError("argument", `${what}: text needs a tokenizer. Give one in the options, or ids`);
    return texts.map(encode);
  }
  const lists = rows as readonly number[] | readonly (readonly number[])[];
  return typeof lists[0] === "number" ? [lists as readonly number[]] : (lists as readonly (readonly number[])[]);
}

/** Token types of texts; undefined where there is no text, or one type alone. */
function typesOf(rows: Rows, tokenizer: Tokenizer | undefined): readonly (readonly number[])[] | undefined {
  const types = tokenizer && textsOf(rows)?.map((text) => tokenizer.encoding(text).typeIds);
  return types?.some((row) => row.some((type) => type !== 0)) ? types : undefined;
}

function targetRows({ facts }: InspectedModel, target: Rows, tokenizer: Tokenizer | undefined) {
  const { decoderStart } = facts;
  if (!textsOf(target)) return rowsOf("target", target);
  if (decoderStart === undefined)
    throw new TesseraError("argument", "target: the model does not say which token a target starts with. Give ids");
  return rowsOf(
    "target",
    target,
    tokenizer &&
      ((text) => {
        const ids = tokenizer.encode(text);
        const end = ids.at(-1) === tokenizer.specialTokens.eos ? -1 : ids.length;
        return [decoderStart, ...(ids[0] === decoderStart ? ids.slice(1, end) : ids.slice(0, end))];
      }),
  );
}

/** Undefined for a model that fills no blanks; a row without contents is text as far as it goes. */
function blankFeeds(
  { task, facts }: InspectedModel,
  ids: HostTensor,
  given: BlankPositions | undefined,
): Pick<Feeds, "positions" | "blockPositions" | "prefixLength"> | undefined {
  if (task !== "blank-infilling") {
    if (given) throw new TesseraError("argument", `blanks: a model for ${task} fills none`);
    return undefined;
  }
  const [b, t] = ids.shape as [number, number];
  const rows = (value: (i: number) => number) =>
    Array.from({ length: b }, () => Array.from({ length: t }, (_, i) => value(i)));
  const { prefix = Array<number>(b).fill(t), positions = rows((i) => i), blockPositions = rows(() => 0) } = given ?? {};
  const prefixLength = isTensor(prefix) ? prefix : hostTensor(prefix, [prefix.length], "int64");
  if (formatShape(prefixLength.shape) !== formatShape([b]))
    throw new TesseraError(
      "shape",
      `blanks.prefix: one length for each row, got ${formatShape(prefixLength.shape)} for ${b}`,
    );
  const places = {
    positions: filled("positions", rowsOf("positions", positions), 0),
    blockPositions: filled("blockPositions", rowsOf("blockPositions", blockPositions), 0),
  };
  for (const [name, { data }] of Object.entries(places))
    for (const place of data as BigInt64Array)
      if (place < 0n || place >= BigInt(facts.contextLength ?? Number.MAX_SAFE_INTEGER))
        throw new TesseraError(
          "argument",
          `blanks.${name}: there is no position ${place} (${facts.contextLength} positions)`,
        );
  return { ...places, prefixLength };
}

/** 0 where rows are filled up; undefined where none is. */
function maskOf(rows: HostTensor | readonly (readonly number[])[]): HostTensor | undefined {
  if (isTensor(rows) || rows.every((row) => row.length === rows[0]!.length)) return undefined;
  return filled(
    "attentionMask",
    rows.map((row) => row.map(() => 1)),
    0,
  );
}

function filled(
  what: string,
  rows: HostTensor | readonly (readonly number[])[],
  padding: number,
  most?: number,
): HostTensor {
  const lengths = isTensor(rows) ? [rows.shape[1] ?? 0] : rows.map((row) => row.length);
  const longest = Math.max(0, ...lengths);
  if (lengths.length === 0 || lengths.includes(0))
    throw new TesseraError("argument", `${what}: a row without tokens. Give each at least one`);
  if (most !== undefined && longest > most)
    throw new TesseraError(
      "argument",
      `${what}: ${longest} tokens, the model sees ${most} at once (${longest} vs ${most}). Shorten it`,
    );
  if (!isTensor(rows)) {
    const data = rows.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(padding)]);
    return hostTensor(data, [rows.length, longest], "int64");
  }
  if (rows.dtype === "int64") return rows;
  if (rows.dtype === "float16" || rows.dtype === "bfloat16" || rows.data.length !== countOf(rows.shape))
    throw new TesseraError("dtype", `${what}: must be int64, got ${rows.dtype}${formatShape(rows.shape)}`);
  return hostTensor(Array.from(rows.data as Int32Array, Number), rows.shape, "int64");
}
