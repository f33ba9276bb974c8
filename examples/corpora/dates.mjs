// Writes dates in words and as ISO 8601 has them, {"source":"Saturday, 14 March 1998","target":"1998-03-14"}, in four ways of writing:
// 8,000 days to learn from, 1,000 others to be tested on.
//   node examples/corpora/dates.mjs runs/dates
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder = "runs/dates"] = process.argv.slice(2);
const DAY = 86_400_000;
const part = (date, options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(date);
const ways = [
  (d) => `${part(d, { weekday: "long" })}, ${d.getUTCDate()} ${part(d, { month: "long" })} ${d.getUTCFullYear()}`,
  (d) => `${part(d, { month: "long" })} ${d.getUTCDate()}, ${d.getUTCFullYear()}`,
  (d) => `${d.getUTCDate()} ${part(d, { month: "short" })} ${d.getUTCFullYear()}`,
  (d) => `${d.getUTCMonth() + 1}/${d.getUTCDate()}/${d.getUTCFullYear()}`,
];
// Every day of 1950 … 2049 at most once: the step shares no factor with their number.
const days = Math.round((Date.UTC(2050, 0, 1) - Date.UTC(1950, 0, 1)) / DAY);
const lines = Array.from({ length: 9000 }, (_, i) => {
  const date = new Date(Date.UTC(1950, 0, 1) + ((i * 7919 + 13) % days) * DAY);
  return JSON.stringify({ source: ways[i % 4](date), target: date.toISOString().slice(0, 10) });
});
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "train.jsonl"), `${lines.slice(0, 8000).join("\n")}\n`);
writeFileSync(join(folder, "test.jsonl"), `${lines.slice(8000).join("\n")}\n`);
console.log(`${folder}: 8000 days to learn from, 1000 to be tested on`);
