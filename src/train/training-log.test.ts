import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { type LogRecord, openLog } from "./training-log.js";

const record = (step: number): LogRecord => ({
  type: "evaluation",
  step,
  loss: 1 / step,
  perplexity: Math.exp(1 / step),
  seconds: step,
});
const linesOf = (path: string) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

it("goes on from a step: later lines and a line cut short are gone, what follows comes once", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "log.jsonl");
  {
    using log = openLog(path, 0);
    for (const step of [1, 2, 3, 4]) log.append(record(step));
    log.sync();
  }
  appendFileSync(path, '{"type":"evaluation","step":5,"lo');
  {
    using log = openLog(path, 2);
    expect(log.records).toEqual([1, 2].map(record));
    expect(linesOf(path)).toEqual([1, 2].map(record));
    log.append(record(3));
    expect(log.records).toEqual([1, 2, 3].map(record));
  }
  expect(linesOf(path)).toEqual([1, 2, 3].map(record));
});

it("passes over lines that are no records", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "log.jsonl");
  writeFileSync(
    path,
    ["{}", "7", "null", JSON.stringify({ ...record(1), step: "1" }), JSON.stringify(record(1)), "\0\0"].join("\n"),
  );
  using log = openLog(path, 9);
  expect(log.records).toEqual([record(1)]);
});
