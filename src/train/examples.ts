import { extname } from "node:path";
import { parse as parseCsv } from "csv-parse/sync";
import { messageOf, TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { isObject } from "../hub/json-file.js";
import { type FileRecord, readDataFile, textOf } from "../hub/text-file.js";

/** An example of a data set: its columns by name. */
export type Example = Readonly<Record<string, unknown>>;

/** A data set as it was read. */
export interface ExampleFile extends FileRecord {
  readonly examples: readonly Example[];
}

/**
 * Reads the examples of a data set: `.jsonl` (an object a line), `.json` (a list of objects), `.csv` and `.tsv` (names of the columns in
 * the first line), `.parquet`.
 *
 * @throws TesseraError `io` when it cannot be read, `data` naming file and line where it is damaged, `unsupported` for other endings
 */
export async function readExamples(path: string): Promise<ExampleFile> {
  const { bytes, ...file } = readDataFile(path);
  const read = readers[extname(path).toLowerCase()];
  if (!read)
    throw new TesseraError(
      "unsupported",
      `${path}: no data set that can be read, its name ends in ${quote(extname(path))} (${Object.keys(readers).join(", ")} expected)`,
    );
  const examples = await read(bytes, path);
  if (examples.length === 0) throw new TesseraError("data", `${path}: there are no examples in it`);
  return { ...file, examples };
}

/** Whether a name ends as that of a data set that {@link readExamples} reads. */
export const isDataSet = (path: string): boolean => extname(path).toLowerCase() in readers;

type Reader = (bytes: Uint8Array, path: string) => readonly Example[] | Promise<readonly Example[]>;

const lines: Reader = (bytes, path) =>
  textOf(bytes, path)
    .split("\n")
    .flatMap((line, i) =>
      line.trim() === "" ? [] : [asExample(parseJson(line, `${path}:${i + 1}`), `${path}:${i + 1}`)],
    );

const list: Reader = (bytes, path) => {
  const value = parseJson(textOf(bytes, path), path);
  if (!Array.isArray(value)) throw new TesseraError("data", `${path}: a list of objects expected, got ${quote(value)}`);
  return value.map((item, i) => asExample(item, `${path}: example ${i + 1}`));
};

const separated =
  (delimiter: string): Reader =>
  (bytes, path) => {
    try {
      return parseCsv(textOf(bytes, path), { columns: true, delimiter, skip_empty_lines: true, bom: true });
    } catch (cause) {
      if (cause instanceof TesseraError) throw cause;
      throw new TesseraError("data", `${path}: ${messageOf(cause).replace(/\s+/g, " ")}`, { cause });
    }
  };

const parquet: Reader = async (bytes, path) => {
  const [{ parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  try {
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    return await parquetReadObjects({ file, compressors });
  } catch (cause) {
    throw new TesseraError(
      "data",
      `${path}: no Parquet file that can be read, ${messageOf(cause).replace(/\s+/g, " ")}`,
      {
        cause,
      },
    );
  }
};

const readers: Readonly<Record<string, Reader>> = {
  ".jsonl": lines,
  ".json": list,
  ".csv": separated(","),
  ".tsv": separated("\t"),
  ".parquet": parquet,
};

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TesseraError("data", `${where}: not JSON, ${quote(text)}`, { cause });
  }
}

function asExample(value: unknown, where: string): Example {
  if (isObject(value)) return value;
  throw new TesseraError("data", `${where}: an object expected, got ${quote(value)}`);
}

/**
 * The text in a column.
 *
 * @throws TesseraError `data` naming the example and its columns
 */
export function textIn(example: Example, column: string, where: string): string {
  const value = valueIn(example, column, where);
  if (typeof value === "string") return value;
  throw new TesseraError("data", `${where}: ${column} must be text, got ${quote(value)}`);
}

/** What is in a column. @throws TesseraError `data` where there is no such column */
export function valueIn(example: Example, column: string, where: string): unknown {
  const value = example[column];
  if (value !== undefined && value !== null) return value;
  throw new TesseraError(
    "data",
    `${where}: there is nothing in column ${column} (it has ${Object.keys(example).join(", ") || "none"})`,
  );
}
