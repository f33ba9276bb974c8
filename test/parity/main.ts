// npm run parity -- DIR: runs one recorded case, or every case of a folder, and prints a row for each.
// Exit code 1 when a supported case differs, or there is nothing to run.
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf, TesseraError } from "../../src/core/errors.js";
import { caseFolders, within } from "./golden.js";
import { type CaseResult, runCase } from "./run-case.js";
import { runTokenizerCase } from "./tokenizer-case.js";

const [dir, ...rest] = process.argv.slice(2);
if (!dir || rest.length > 0 || !existsSync(dir)) {
  console.error(dir ? `error: ${dir}: no such folder` : "usage: npm run parity -- DIR (a case, or a folder of cases)");
  process.exit(1);
}

const number = (x: number | undefined) => (x === undefined ? "-" : x === 0 ? "0" : x.toExponential(1));
const row = (name: string, ...cells: readonly string[]) =>
  console.log(name.padEnd(32) + cells.map((cell) => cell.padEnd(13)).join(""));

function show(name: string, { comparisons, generations, note }: CaseResult): boolean {
  const worst = (kind: string) =>
    comparisons
      .filter((c) => c.kind === kind)
      .reduce<number | undefined>((m, c) => Math.max(m ?? 0, c.error), undefined);
  const bad = comparisons.filter((c) => !within(c));
  const wrong = generations.filter((g) => !g.ok && !g.unsupported);
  const ran = generations.filter((g) => !g.unsupported).length;
  const later = generations.length - ran;
  const texts = generations.length === 0 ? "-" : `${ran - wrong.length}/${ran}${later > 0 ? ` (+${later}?)` : ""}`;
  const ok = bad.length === 0 && wrong.length === 0;
  row(name, ok ? "ok" : "DIFFERS", number(worst("forward")), number(worst("gradient")), texts);
  if (note) console.log(`    ${note}`);
  for (const { name: tensor, error } of bad.slice(0, 3)) console.log(`    ${tensor}: ${error}`);
  for (const { name: which, expected, got } of wrong)
    console.log(
      `    ${which}: expected ${JSON.stringify(expected)}\n    ${" ".repeat(which.length)}  got      ${JSON.stringify(got)}`,
    );
  for (const { name: which, unsupported } of generations)
    if (unsupported) console.log(`    ${which}: unsupported, ${unsupported}`);
  return ok;
}

row("case", "", "forward", "gradients", "generations");
let [failed, run, unsupported] = [0, 0, 0];
for (const folder of caseFolders(dir)) {
  const name = basename(folder);
  try {
    run++;
    if (!show(name, await runCase(folder))) failed++;
  } catch (error) {
    if (error instanceof TesseraError && error.code === "unsupported") {
      unsupported++;
      row(name, "unsupported");
      continue;
    }
    failed++;
    row(name, "FAILED", messageOf(error));
  }
}
const tokenizers = existsSync(join(dir, "tokenizer.json"))
  ? [dir]
  : [dir, join(dir, "tokenizers")].flatMap(tokenizerFolders);
for (const folder of new Set(tokenizers)) {
  run++;
  const differences = await runTokenizerCase(folder);
  row(
    `tokenizers/${basename(folder)}`,
    differences.length === 0 ? "ok" : "DIFFERS",
    differences.length === 0 ? "exact" : `${differences.length} differences`,
  );
  for (const line of differences.slice(0, 3)) console.log(`    ${line}`);
  if (differences.length > 0) failed++;
}
console.log(`${run} cases: ${run - failed - unsupported} ok, ${failed} differ, ${unsupported} unsupported`);
process.exitCode = failed > 0 || run === 0 ? 1 : 0;

function tokenizerFolders(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .map((name) => join(parent, name))
    .filter((folder) => existsSync(join(folder, "tokenizer.json")) && existsSync(join(folder, "golden.json")))
    .sort();
}
