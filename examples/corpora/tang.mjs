// Writes the Tang training text: the regular poems of the Complete Tang Poems in lines of five or seven, simplified characters,
// a couplet a line and a document a poem.
//   npm i --no-save chinese-poetry opencc-js
//   node examples/corpora/tang.mjs runs/tang.txt
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Converter } from "opencc-js";

const [path = "runs/tang.txt"] = process.argv.slice(2);
const folder = join(dirname(createRequire(import.meta.url).resolve("chinese-poetry/package.json")), "dist/quantangshi");
const simplified = Converter({ from: "t", to: "cn" });

const inMetre = (couplet) =>
  /^(\p{Script=Han}{5}，\p{Script=Han}{5}|\p{Script=Han}{7}，\p{Script=Han}{7})[。？！；]$/u.test(couplet);
const poems = readdirSync(folder)
  .filter((name) => name.startsWith("poet.tang."))
  .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
  .flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")))
  .map(({ paragraphs }) => paragraphs)
  .filter((couplets) => couplets.length >= 2 && couplets.length <= 12)
  .filter((couplets) => couplets.every(inMetre) && new Set(couplets.map((c) => c.length)).size === 1)
  .map((couplets) => simplified(couplets.join("\n")));
const unique = [...new Set(poems)];
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, unique.map((poem) => `${poem}\n<|endoftext|>`).join(""));
console.log(`${path}: ${unique.length} poems, ${(unique.join("").length / 1e6).toFixed(1)} million characters`);
