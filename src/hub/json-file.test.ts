import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { TesseraError } from "../core/errors.js";
import { jsonCursor } from "./json-cursor.js";
import { readJsonFile, readJsonObject } from "./json-file.js";

const folder = mkdtempSync(join(tmpdir(), "json-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.json");
const read = (content: string | Uint8Array) => {
  writeFileSync(path, content);
  return readJsonFile(path);
};

it("reads what JSON.parse reads", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(read(text)).toEqual(JSON.parse(text));
    }),
  );
});

it.each<[string | Uint8Array, string]>([
  ["", "a.json: not JSON, the file is empty"],
  ["{", "a.json:1:2: not JSON, expected a string, found the end"],
  ['{\n  "a": 1,\n}', 'a.json:3:1: not JSON, expected a string, found "}"'],
  ['{"a": x}', 'a.json:1:7: not JSON, expected a value, found "x"'],
  ['{"a" 1}', 'a.json:1:6: not JSON, expected ":", found "1"'],
  ["[1 2]", 'a.json:1:4: not JSON, expected "," or "]", found "2"'],
  ["[1]]", 'a.json:1:4: not JSON, expected the end, found "]"'],
  ["[01]", 'a.json:1:3: not JSON, expected "," or "]", found "1"'],
  ['["a\nb"]', 'a.json:1:4: not JSON, control character "\\n" inside a string'],
  ['["\\x"]', "a.json:1:2: not JSON, a string with an escape that JSON does not have"],
  ['["abc', "a.json:1:2: not JSON, the string that starts here does not end"],
  ["NaN", 'a.json:1:1: not JSON, expected a value, found "N"'],
  ["\ufeff{}", 'a.json:1:1: not JSON, expected a value, found "\\ufeff"'],
  ["\0\0", 'a.json:1:1: not JSON, expected a value, found "\\u0000"'],
  [`${"[".repeat(100_000)}x`, "a.json:1:513: not JSON, nested deeper than 512"],
  [Uint8Array.of(0x22, 0xff, 0x22), "a.json: not text in UTF-8"],
])("says what is wrong and where (%#)", (content, message) => {
  expect(() => read(content)).toThrow(new TesseraError("config", `${folder}/${message}`));
});

it("locates a fault in every text that JSON.parse refuses", () => {
  const mutated = fc
    .tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...'{}[]",:\\0x \n'))
    .map(([text, at, char]) => {
      const i = at % (text.length + 1);
      return text.slice(0, i) + char + text.slice(i + 1);
    });
  fc.assert(
    fc.property(mutated, (text) => {
      let refused = false;
      try {
        JSON.parse(text);
      } catch {
        refused = true;
      }
      if (text === "") return;
      if (refused) expect(() => read(text)).toThrow(/a\.json:\d+:\d+: not JSON, /);
      else read(text);
    }),
    { numRuns: 400 },
  );
});

it("refuses files that are too large, missing, folders, pipes, and values that are no objects", () => {
  writeFileSync(path, "[1, 2]");
  expect(() => readJsonFile(path, { maxBytes: 5 })).toThrow("too large for JSON of this kind, 6 bytes (at most 5)");
  expect(() => readJsonFile(join(folder, "none.json"))).toThrow(/none\.json: cannot be opened, no such file/);
  expect(() => readJsonFile(folder)).toThrow(/cannot be read, it is a folder/);
  expect(() => readJsonObject(path, { code: "tokenizer" })).toThrow(
    new TesseraError("tokenizer", `${path}: expected a JSON object, found [1,2]`),
  );
  if (process.platform === "win32") return;
  execFileSync("mkfifo", [join(folder, "pipe")]);
  expect(() => readJsonFile(join(folder, "pipe"))).toThrow(/not a regular file/);
});

it("steps through numbers, keys and nesting strictly", () => {
  const cursor = (text: string) =>
    jsonCursor(text, (what, at) => {
      throw new Error(`${at}: ${what}`);
    });
  expect(cursor(" 12 ").count()).toBe(12);
  for (const text of ["-1", "-0", "1.0", "1e3", "01", "9007199254740992"])
    expect(() => cursor(text).count()).toThrow("is not a whole number from 0 to 2^53 - 1");
  const keys: string[] = [];
  const twice = cursor('{"a":1,"\\u0061":2}');
  const visit = (key: string) => {
    keys.push(key);
    twice.skip();
  };
  expect(() => twice.object(visit)).toThrow('the key "a" appears twice');
  expect(keys).toEqual(["a"]);
});
