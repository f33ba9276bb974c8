import { quote } from "../core/quote.js";

/**
 * A strict JSON reader that is told what to expect: it steps through a text without building values that nobody asked for,
 * refuses duplicate keys, and knows where it stands when something is wrong.
 */
export interface JsonCursor {
  /** The next character that is not white space, not consumed; `""` at the end. */
  peek(): string;
  /** Reads an object; `member` is called after each key and must read its value. */
  object(member: (key: string) => void): void;
  /** Reads an array; `item` is called before each element and must read it. */
  array(item: () => void): void;
  /** Reads a string. */
  string(): string;
  /** Reads a whole number from 0 to 2⁵³ − 1. */
  count(): number;
  /** Steps over any value, nested at most 512 deep. */
  skip(): void;
  /** Checks that nothing but white space is left. */
  end(): void;
  /** Calls the handler given to {@link jsonCursor} with the present position. */
  fail(what: string): never;
}

const deepest = 512;
const digits = /-?(?:0|[1-9]\d*)/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literal = /true|false|null/y;

/**
 * A cursor at the start of `text`.
 *
 * @param fail called with what is wrong and the character offset where; must throw
 */
export function jsonCursor(text: string, fail: (what: string, at: number) => never): JsonCursor {
  let at = 0;
  let depth = 0;

  const stop = (what: string): never => fail(what, at);
  const peek = (): string => {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return text.charAt(at);
      at++;
    }
  };
  const found = () => (peek() === "" ? "the end" : quote(String.fromCodePoint(text.codePointAt(at)!)));
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const hit = pattern.exec(text)?.[0];
    if (hit !== undefined) at += hit.length;
    return hit;
  };
  const expect = (char: string) => (peek() === char ? at++ : stop(`expected ${quote(char)}, found ${found()}`));

  /** Members or elements up to `close`, separated by commas. */
  const sequence = (open: string, close: string, each: () => void) => {
    if (++depth > deepest) stop(`nested deeper than ${deepest}`);
    expect(open);
    if (peek() !== close)
      for (;;) {
        each();
        if (peek() === close) break;
        if (peek() !== ",") stop(`expected "," or ${quote(close)}, found ${found()}`);
        at++;
      }
    at++;
    depth--;
  };

  const string = (): string => {
    if (peek() !== '"') stop(`expected a string, found ${found()}`);
    const start = at++;
    let escaped = false;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 0x22) break;
      if (Number.isNaN(c)) {
        at = start;
        stop("the string that starts here does not end");
      }
      if (c < 0x20) stop(`control character ${quote(text.charAt(at))} inside a string`);
      if (c === 0x5c) {
        escaped = true;
        at++;
      }
      at++;
    }
    at++;
    if (!escaped) return text.slice(start + 1, at - 1);
    try {
      return JSON.parse(text.slice(start, at));
    } catch {
      at = start;
      return stop("a string with an escape that JSON does not have");
    }
  };

  const cursor: JsonCursor = {
    peek,
    string,
    object(member) {
      const keys = new Set<string>();
      sequence("{", "}", () => {
        const key = string();
        if (keys.has(key)) stop(`the key ${quote(key)} appears twice`);
        keys.add(key);
        expect(":");
        member(key);
      });
    },
    array: (item) => sequence("[", "]", item),
    count() {
      peek();
      const start = at;
      const source = match(digits) ?? stop(`expected a whole number, found ${found()}`);
      const value = Number(source);
      if (source.startsWith("-") || /[.eE\d]/.test(text.charAt(at)) || !Number.isSafeInteger(value)) {
        at = start;
        stop(`${match(number)} is not a whole number from 0 to 2^53 - 1`);
      }
      return value;
    },
    skip() {
      const next = peek();
      if (next === "{") cursor.object(cursor.skip);
      else if (next === "[") cursor.array(cursor.skip);
      else if (next === '"') string();
      else if (match(number) === undefined && match(literal) === undefined) stop(`expected a value, found ${found()}`);
    },
    end() {
      if (peek() !== "") stop(`expected the end, found ${found()}`);
    },
    fail: stop,
  };
  return cursor;
}
