import { TesseraError } from "../core/errors.js";
import { type ComponentReader, isRecord, shown } from "./component.js";

/** A stretch of a model's input: one of the texts, or special tokens. */
export type Piece =
  | { readonly text: number; readonly typeId: number }
  | {
      readonly text?: undefined;
      readonly typeId: number;
      readonly ids: readonly number[];
      readonly tokens: readonly string[];
    };

/**
 * Sets special tokens around one or two texts. Takes and returns one list of pieces for each text (a template may return
 * more); laid end to end they are the model's input.
 */
export type PostProcessor = (
  texts: readonly (readonly Piece[])[],
  addSpecialTokens: boolean,
) => readonly (readonly Piece[])[];

/** Texts one behind the other, the first of type 0, the second of type 1. */
export function plainLayout(texts: number): readonly (readonly Piece[])[] {
  return Array.from({ length: texts }, (_, text) => [{ text, typeId: text }]);
}

/**
 * The post-processor that a `post_processor` of tokenizer.json describes.
 *
 * @throws TesseraError `tokenizer` for damaged fields, `unsupported` for an unknown type.
 */
export function postProcessor(spec: ComponentReader): PostProcessor {
  switch (spec.type) {
    case "ByteLevel": // only moves offsets, which are not kept here
      return (texts) => texts;
    case "Sequence": {
      const parts = spec.components("processors").map(postProcessor);
      return (texts, addSpecialTokens) => parts.reduce((done, part) => part(done, addSpecialTokens), texts);
    }
    case "BertProcessing": {
      const [cls, sep] = [tokenAndId(spec, "cls"), tokenAndId(spec, "sep")];
      return (texts, addSpecialTokens) =>
        addSpecialTokens
          ? texts.map((text, i) => (i === 0 ? [special(cls, 0), ...text, special(sep, 0)] : [...text, special(sep, 1)]))
          : texts;
    }
    case "RobertaProcessing": {
      const [cls, sep] = [tokenAndId(spec, "cls"), tokenAndId(spec, "sep")];
      return (texts, addSpecialTokens) =>
        texts
          .map((text) => withType(text, 0))
          .map((text, i) => (addSpecialTokens ? [special(i === 0 ? cls : sep, 0), ...text, special(sep, 0)] : text));
    }
    case "TemplateProcessing":
      return template(spec);
    default:
      throw spec.unsupported();
  }
}

interface SpecialToken {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
}

function special({ ids, tokens }: SpecialToken, typeId: number): Piece {
  return { ids, tokens, typeId };
}

function withType(text: readonly Piece[], typeId: number): readonly Piece[] {
  return text.map((piece) => ({ ...piece, typeId }));
}

function fault(where: string, expected: string, got: unknown): TesseraError {
  return new TesseraError("tokenizer", `${where}: expected ${expected}, got ${shown(got)}`);
}

const isId = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;

/** `["[CLS]", 2]` */
function tokenAndId(spec: ComponentReader, field: string): SpecialToken {
  const pair = spec.list(field);
  const [token, id] = pair;
  if (pair.length !== 2 || typeof token !== "string" || !isId(id))
    throw fault(`${spec.where}.${field}`, "[token, id]", pair);
  return { ids: [id], tokens: [token] };
}

/** `single` and `pair` are lists of `{"Sequence": {id, type_id}}` and `{"SpecialToken": {id, type_id}}`. */
function template(spec: ComponentReader): PostProcessor {
  const specials = new Map(
    Object.entries(spec.object("special_tokens")).map(([name, value]) => [
      name,
      specialToken(value, `${spec.where}.special_tokens[${shown(name)}]`),
    ]),
  );
  const read = (field: string, count: number) =>
    spec.list(field).map((item, i) => {
      const where = `${spec.where}.${field}[${i}]`;
      const body = isRecord(item) ? (item.Sequence ?? item.SpecialToken) : undefined;
      if (!isRecord(item) || !isRecord(body) || typeof body.id !== "string" || !isId(body.type_id)) {
        throw fault(where, "a Sequence or a SpecialToken with an id and a type_id", item);
      }
      const { id, type_id: typeId } = body;
      if (item.Sequence !== undefined) {
        const text = ["A", "B"].indexOf(id);
        if (text < 0 || text >= count) throw fault(where, count === 1 ? "the sequence A" : "the sequence A or B", id);
        return (all: readonly (readonly Piece[])[]) => withType(all[text]!, typeId);
      }
      const token = specials.get(id);
      if (token === undefined) throw fault(where, "one of special_tokens", id);
      const piece = [special(token, typeId)];
      return (_: unknown, addSpecialTokens: boolean) => (addSpecialTokens ? piece : []);
    });
  const templates = [read("single", 1), read("pair", 2)];
  return (all, addSpecialTokens) => {
    const pieces = templates[all.length - 1];
    if (pieces === undefined)
      throw new TesseraError("unsupported", `${spec.where}: no template for ${all.length} texts`);
    return pieces.map((piece) => piece(all, addSpecialTokens));
  };
}

function specialToken(value: unknown, where: string): SpecialToken {
  const { ids, tokens } = isRecord(value) ? value : {};
  if (
    !Array.isArray(ids) ||
    !ids.every(isId) ||
    !Array.isArray(tokens) ||
    !tokens.every((t) => typeof t === "string") ||
    ids.length !== tokens.length
  ) {
    throw fault(where, "ids and tokens of one length", value);
  }
  return { ids, tokens };
}
