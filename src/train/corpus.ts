import { messageOf, TesseraError } from "../core/errors.js";
import { randomStream } from "../core/random-stream.js";
import type { TextFile } from "../hub/text-file.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { Tokens } from "./windows.js";

/** How texts become token streams. */
export interface CorpusOptions {
  /** Cuts every file into documents where this text stands; empty documents are dropped. Default: a file is a document. */
  readonly separator?: string | undefined;
  /** Token set after every document. Default none. */
  readonly endOfText?: number | undefined;
  /** Share of the corpus that is kept for validation, in [0, 1). Default 0. */
  readonly validation?: number;
  /** What is kept: the `tail` of all tokens, or whole `documents` picked by chance. Default `tail`. */
  readonly split?: "tail" | "documents";
  /** Decides which documents. Default 0. */
  readonly seed?: number;
  /** Told how much of the text is encoded, in UTF-16 units. */
  readonly onProgress?: (done: number, of: number) => void;
}

/** A corpus in tokens. */
export interface Corpus {
  readonly training: Tokens;
  /** Empty where nothing is kept for validation. */
  readonly validation: Tokens;
  readonly documents: number;
}

/** The documents of a file. A line break right after a separator is the separator's: no document begins with it. */
export function documentsOf(text: string, separator: string | undefined): string[] {
  if (separator === undefined || separator === "") return [text];
  return text
    .split(separator)
    .map((document, i) => (i === 0 ? document : document.replace(/^\r?\n/, "")))
    .filter((document) => document.trim() !== "");
}

/**
 * Encodes files, document by document, without the special tokens that a tokenizer sets around a text.
 *
 * @throws TesseraError `tokenizer` where a text holds what the vocabulary cannot express, naming the file; `data` when a split
 *   leaves one side without documents
 */
export function encodeCorpus(files: readonly TextFile[], tokenizer: Tokenizer, options: CorpusOptions = {}): Corpus {
  const { separator, endOfText, validation = 0, split = "tail", seed = 0, onProgress = () => {} } = options;
  const total = files.reduce((sum, { text }) => sum + text.length, 0);
  const random = randomStream(seed, "validation documents");
  const [training, held] = [tokenBuffer(tokenizer.vocabSize), tokenBuffer(tokenizer.vocabSize)];
  let documents = 0;
  let encoded = 0;
  for (const { path, text } of files)
    for (const document of documentsOf(text, separator)) {
      const side = split === "documents" && random.next() < validation ? held : training;
      side.append(inFile(path, () => tokenizer.encode(document, { addSpecialTokens: false })));
      if (endOfText !== undefined) side.append([endOfText]);
      documents++;
      encoded += document.length;
      onProgress(encoded, total);
    }
  const tokens = training.take();
  const where = files.map(({ path }) => path).join(", ");
  if (split === "documents") {
    if (validation > 0 && (held.length === 0 || tokens.length === 0))
      throw new TesseraError(
        "data",
        `${where}: validation by documents leaves one side without any, ${documents} documents at a share of ${validation}. Separate more documents, or split by tail`,
      );
    return { training: tokens, validation: held.take(), documents };
  }
  const kept = tokens.length - Math.round(tokens.length * validation);
  return { training: tokens.subarray(0, kept), validation: tokens.subarray(kept), documents };
}

function inFile<T>(path: string, encode: () => T): T {
  try {
    return encode();
  } catch (cause) {
    if (cause instanceof TesseraError) throw new TesseraError(cause.code, `${path}: ${messageOf(cause)}`, { cause });
    throw cause;
  }
}

/** A growing list of ids. */
function tokenBuffer(vocabSize: number) {
  let ids: Tokens = vocabSize <= 2 ** 16 ? new Uint16Array(1024) : new Int32Array(1024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    append(more: readonly number[]) {
      if (length + more.length > ids.length) {
        const grown = new (ids.constructor as Uint16ArrayConstructor | Int32ArrayConstructor)(
          Math.max(2 * ids.length, length + more.length),
        );
        grown.set(ids);
        ids = grown;
      }
      ids.set(more, length);
      length += more.length;
    },
    take: (): Tokens => ids.slice(0, length),
  };
}
