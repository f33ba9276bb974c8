import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { readExamples } from "./examples.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
};
const rows = [
  { text: 'Thar she "blows", he cried', label: "whale" },
  { text: "床前明月光", label: "moon" },
];

describe("reading examples", () => {
  it.each([
    ["a.jsonl", `${rows.map((row) => JSON.stringify(row)).join("\n")}\n\n`],
    ["b.json", JSON.stringify(rows)],
    ["c.csv", '\ufefftext,label\n"Thar she ""blows"", he cried",whale\n床前明月光,moon\n'],
    ["d.tsv", 'text\tlabel\n"Thar she ""blows"", he cried"\twhale\n床前明月光\tmoon\n'],
  ])("%s", async (name, content) => {
    expect((await readExamples(file(name, content))).examples).toEqual(rows);
  });

  it("Parquet, as another library writes it", async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "text", data: rows.map(({ text }) => text), type: "STRING" },
        { name: "label", data: rows.map(({ label }) => label), type: "STRING" },
      ],
    });
    expect((await readExamples(file("e.parquet", new Uint8Array(buffer)))).examples).toEqual(rows);
  });

  it.each([
    ["f.jsonl", '{"text": "a"}\n{"text": ', "f.jsonl:2: not JSON"],
    ["g.jsonl", "[1]\n", "g.jsonl:1: an object expected"],
    ["h.json", '{"a": 1}', "h.json: a list of objects expected"],
    ["i.csv", 'a,b\n"never closed,1\n', "i.csv:"],
    ["j.parquet", "PAR1 and no more", "j.parquet: no Parquet file that can be read"],
    ["k.xlsx", "x", 'ends in ".xlsx"'],
    ["l.csv", "a,b\n", "l.csv: there are no examples in it"],
  ])("%s is refused", async (name, content, message) => {
    await expect(readExamples(file(name, content))).rejects.toThrow(message);
  });
});
