// The part of SentencePiece's protobuf schema (sentencepiece_model.proto) that segmenting a text needs. As for ONNX files, the wire
// format is less than what a protobuf library would bring.
import { messageOf, TesseraError } from "../core/errors.js";

/** What a piece of a SentencePiece model is for. */
export type PieceType = (typeof pieceTypes)[number];
const pieceTypes = ["normal", "unknown", "control", "user-defined", "unused", "byte"] as const;

/** A SentencePiece model (Kudo & Richardson 2018), as far as it says how a text is segmented. */
export interface SentencePieceModel {
  readonly algorithm: "unigram" | "bpe" | "word" | "char";
  /** The pieces by id; scores are log-probabilities for unigram models. */
  readonly pieces: readonly { readonly piece: string; readonly score: number; readonly type: PieceType }[];
  /** `▁` stands behind a word, rather than before it. */
  readonly spaceAsSuffix: boolean;
  readonly normalizer: {
    /** `nmt_nfkc`, `nfkc`, `identity` … */
    readonly name: string;
    /** The rules, compiled; empty where nothing is rewritten. */
    readonly charsmap: Uint8Array;
    /** A text gets a space before it. */
    readonly addDummyPrefix: boolean;
    /** Spaces around a text go, several become one. */
    readonly removeExtraSpaces: boolean;
    /** Spaces are written `▁`. */
    readonly escapeSpaces: boolean;
  };
}

/**
 * Reads a SentencePiece model: a `.spm` or `.model` file.
 *
 * @param where what messages call the file
 * @throws TesseraError `tokenizer` for a damaged file
 */
export function readSentencePieceModel(bytes: Uint8Array, where: string): SentencePieceModel {
  try {
    const model = fieldsOf(bytes);
    const trainer = fieldsOf(last(model, 2, isBytes, none));
    const normalizer = fieldsOf(last(model, 3, isBytes, none));
    const pieces = (model.get(1) ?? []).map((value) => {
      if (!isBytes(value)) throw new Error("a piece is not a message");
      const fields = fieldsOf(value);
      return {
        piece: text(last(fields, 1, isBytes, none)),
        score: float(last(fields, 2, isBytes, new Uint8Array(4))),
        type: named(pieceTypes, last(fields, 3, isNumber, 1), "type of piece"),
      };
    });
    if (pieces.length === 0) throw new Error("it has no pieces");
    return {
      algorithm: named(["unigram", "bpe", "word", "char"], last(trainer, 3, isNumber, 1), "kind of model"),
      pieces,
      spaceAsSuffix: last(trainer, 24, isNumber, 0) !== 0,
      normalizer: {
        name: text(last(normalizer, 1, isBytes, none)),
        charsmap: last(normalizer, 2, isBytes, none),
        addDummyPrefix: last(normalizer, 3, isNumber, 1) !== 0,
        removeExtraSpaces: last(normalizer, 4, isNumber, 1) !== 0,
        escapeSpaces: last(normalizer, 5, isNumber, 1) !== 0,
      },
    };
  } catch (cause) {
    throw new TesseraError(
      "tokenizer",
      `${where}: not a SentencePiece model (${bytes.length} bytes), ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** A whole number, or bytes: of a string, a message or a fixed-length number. */
type Value = number | Uint8Array;
type Fields = ReadonlyMap<number, readonly Value[]>;

const none = new Uint8Array();
const isBytes = (value: Value) => typeof value !== "number";
const isNumber = (value: Value) => typeof value === "number";

/** The values of a message by field number. */
function fieldsOf(bytes: Uint8Array): Fields {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("it ends in the middle of a number");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error("a number has more than ten bytes");
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error(`it ends too early, by ${at + length - bytes.length} bytes`);
    return bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key % 8;
    const value = wire === 0 ? varint() : take(lengthOf(wire, varint));
    const field = Math.floor(key / 8);
    const values = fields.get(field);
    if (values === undefined) fields.set(field, [value]);
    else values.push(value);
  }
  return fields;
}

function lengthOf(wire: number, varint: () => number): number {
  if (wire === 1) return 8;
  if (wire === 2) return varint();
  if (wire === 5) return 4;
  throw new Error(`wire type ${wire} is not one of protobuf's`);
}

/** A field that is there at most once; of several the last counts. */
function last<T extends Value>(fields: Fields, field: number, is: (value: Value) => value is T, fallback: T): T {
  const value = fields.get(field)?.at(-1) ?? fallback;
  if (!is(value)) throw new Error(`field ${field} is of another type`);
  return value;
}

function named<const T extends string>(names: readonly T[], code: number, what: string): T {
  const name = names[code - 1];
  if (name === undefined) throw new Error(`an unknown ${what}, ${code}`);
  return name;
}

const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

function float(bytes: Uint8Array): number {
  if (bytes.length !== 4) throw new Error(`a score has ${bytes.length} bytes rather than 4`);
  const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
  if (!Number.isFinite(value)) throw new Error(`a score is ${value}`);
  return value;
}
