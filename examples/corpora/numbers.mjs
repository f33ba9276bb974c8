// Writes numbers and their names as JSON lines, {"source":"4821","target":"four thousand eight hundred twenty-one"}: 6,000 numbers
// below 10,000 to learn from, 1,000 others to be tested on.
//   node examples/corpora/numbers.mjs runs/numbers
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder = "runs/numbers"] = process.argv.slice(2);
const ones =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(
    " ",
  );
const tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

function inWords(n) {
  if (n >= 1000) return [inWords(Math.floor(n / 1000)), "thousand", ...(n % 1000 ? [inWords(n % 1000)] : [])].join(" ");
  if (n >= 100) return [ones[Math.floor(n / 100)], "hundred", ...(n % 100 ? [inWords(n % 100)] : [])].join(" ");
  if (n < 20) return ones[n];
  return n % 10 ? `${tens[Math.floor(n / 10)]}-${ones[n % 10]}` : tens[n / 10];
}

// A step that shares no factor with 10,000 goes through all numbers once, in an order of no pattern to see.
const lines = Array.from({ length: 7000 }, (_, i) => {
  const n = (i * 7919 + 13) % 10_000;
  return JSON.stringify({ source: String(n), target: inWords(n) });
});
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "train.jsonl"), `${lines.slice(0, 6000).join("\n")}\n`);
writeFileSync(join(folder, "test.jsonl"), `${lines.slice(6000).join("\n")}\n`);
console.log(`${folder}: 6000 numbers to learn from, 1000 to be tested on`);
