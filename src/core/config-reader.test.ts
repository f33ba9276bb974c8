import { describe, expect, expectTypeOf, it } from "vitest";
import { TesseraError } from "../core/errors.js";
import { type ConfigReader, configReader } from "./config-reader.js";

const read = (raw: Record<string, unknown>, fields: (c: ConfigReader) => void) => {
  const c = configReader(raw, "config.json");
  fields(c);
  return c.done();
};
const refused = (raw: Record<string, unknown>, fields: (c: ConfigReader) => void) => {
  try {
    read(raw, fields);
  } catch (error) {
    if (error instanceof TesseraError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
};

it("returns what is there, and defaults for what is absent or null", () => {
  const raw = {
    i: 3,
    n: 1e-5,
    b: false,
    s: "",
    o: "relu",
    is: [1, 2],
    ns: [0.5],
    ss: ["x"],
    ids: [5, 6],
    id: 7,
    nested: { factor: 8 },
    none: null,
  };
  const c = configReader(raw, "config.json");
  expect(c.int("i")).toBe(3);
  expect(c.number("n", { above: 0 })).toBe(1e-5);
  expect(c.bool("b")).toBe(false);
  expect(c.string("s")).toBe("");
  expect(c.oneOf("o", ["gelu", "relu"])).toBe("relu");
  expect(c.ints("is", { min: 1, max: 2 })).toEqual([1, 2]);
  expect(c.numbers("ns")).toEqual([0.5]);
  expect(c.strings("ss", { allowed: ["x", "y"] })).toEqual(["x"]);
  expect([c.tokenIds("ids"), c.tokenIds("id"), c.tokenIds("none"), c.tokenIds("absent")]).toEqual([
    [5, 6],
    7,
    null,
    null,
  ]);
  expect(c.object("nested").number("factor")).toBe(8);
  expect(c.object("absent", { default: null })).toBeNull();
  expect([c.raw("nested"), c.raw("absent"), c.raw("toString")]).toEqual([{ factor: 8 }, undefined, undefined]);
  expect([c.has("i"), c.has("none"), c.has("absent"), c.has("constructor")]).toEqual([true, false, false, false]);
  for (const key of ["none", "absent", "valueOf"]) {
    expect([c.int(key, { default: 4 }), c.int(key, { default: null })]).toEqual([4, null]);
    expect([c.bool(key, { default: true }), c.string(key, { default: "d" })]).toEqual([true, "d"]);
    expect(c.oneOf(key, ["gelu", "relu"], { default: "gelu" })).toBe("gelu");
  }
  expect(c.done()).toBeUndefined();
});

it("has the types that a strict configuration needs", () => {
  const c = configReader({ i: 1, s: "relu", nested: {} }, "config.json");
  expectTypeOf(c.int("i")).toEqualTypeOf<number>();
  expectTypeOf(c.int("i", { default: 4 })).toEqualTypeOf<number>();
  expectTypeOf(c.int("i", { min: 1, default: null })).toEqualTypeOf<number | null>();
  expectTypeOf(c.oneOf("s", ["gelu", "relu"])).toEqualTypeOf<"gelu" | "relu">();
  expectTypeOf(c.oneOf("s", ["gelu", "relu"], { default: null })).toEqualTypeOf<"gelu" | "relu" | null>();
  const config: { readonly b: boolean | null; readonly n: number } = {
    b: c.bool("b", { default: null }),
    n: c.number("i"),
  };
  expect(config).toEqual({ b: null, n: 1 });
});

describe("reports", () => {
  it.each<[Record<string, unknown>, (c: ConfigReader) => void, string]>([
    [{}, (c) => c.int("n_embd"), "config: config.json: n_embd is missing"],
    [{ n_embd: null }, (c) => c.int("n_embd"), "config: config.json: n_embd is missing"],
    [{ n: "768" }, (c) => c.int("n", { min: 1 }), 'config: config.json: n must be a whole number ≥ 1, got "768"'],
    [{ n: 1.5 }, (c) => c.int("n"), "config: config.json: n must be a whole number, got 1.5"],
    [
      { n: 0 },
      (c) => c.int("n", { min: 1, max: 9 }),
      "config: config.json: n must be a whole number ≥ 1 and ≤ 9, got 0",
    ],
    [{ n: 2 ** 60 }, (c) => c.int("n"), "config: config.json: n must be a whole number, got 1152921504606847000"],
    [{ n: 0 }, (c) => c.number("n", { above: 0 }), "config: config.json: n must be a number > 0, got 0"],
    [{ n: Number.POSITIVE_INFINITY }, (c) => c.number("n"), "config: config.json: n must be a number, got null"],
    [{ b: 1 }, (c) => c.bool("b"), "config: config.json: b must be true or false, got 1"],
    [{ s: ["a"] }, (c) => c.string("s"), 'config: config.json: s must be text, got ["a"]'],
    [
      { s: "swish" },
      (c) => c.oneOf("s", ["gelu", "relu"]),
      'unsupported: config.json: s must be one of gelu, relu, got "swish"',
    ],
    [{ s: 1 }, (c) => c.oneOf("s", ["gelu"]), "config: config.json: s must be one of gelu, got 1"],
    [{ l: 1 }, (c) => c.ints("l"), "config: config.json: l must be a list, got 1"],
    [
      { l: [1, -1] },
      (c) => c.ints("l", { min: 0 }),
      "config: config.json: l must be a list, each item a whole number ≥ 0, got [1,-1]",
    ],
    [
      { l: ["full", "linear"] },
      (c) => c.strings("l", { allowed: ["full"] }),
      'unsupported: config.json: l must be a list, each item one of full, got ["full","linear"]',
    ],
    [{ t: -1 }, (c) => c.tokenIds("t"), "config: config.json: t must be a token id or a list of them, got -1"],
    [
      { t: [1, "a"] },
      (c) => c.tokenIds("t"),
      'config: config.json: t must be a token id or a list of them, got [1,"a"]',
    ],
    [{ rope: [] }, (c) => c.object("rope").int("x"), "config: config.json: rope must be an object, got []"],
    [{}, (c) => c.object("rope").int("x"), "config: config.json: rope is missing"],
    [
      { rope: { type: "yarn" } },
      (c) => c.object("rope").expect("type", "default"),
      'unsupported: config.json: rope.type "yarn" is not supported (only "default")',
    ],
    [
      { rope: { a: { b: 1 } } },
      (c) => c.object("rope").object("a").bool("b"),
      "config: config.json: rope.a.b must be true or false, got 1",
    ],
    [
      { scale: false },
      (c) => c.expect("scale", true),
      "unsupported: config.json: scale false is not supported (only true)",
    ],
    [
      { quantization_config: { bits: 4 } },
      () => {},
      'unsupported: config.json: quantization_config {"bits":4} is not supported',
    ],
    [
      { pruned_heads: { 0: [1] } },
      () => {},
      'unsupported: config.json: pruned_heads {"0":[1]} is not supported (only {})',
    ],
    [
      {},
      (c) => {
        c.divides({ n_embd: 10, n_head: 3 }, "n_embd", "n_head");
        c.divides({ n_embd: 12, n_head: 3 }, "n_embd", "n_head");
      },
      "config: config.json: n_embd 10 does not divide into n_head 3",
    ],
    [
      { s: `line\n${"x".repeat(500)}` },
      (c) => c.int("s"),
      `config: config.json: s must be a whole number, got "line\\n${"x".repeat(73)}…`,
    ],
  ])("what is wrong (%#)", (raw, fields, message) => {
    expect(refused(raw, fields)).toBe(message);
  });

  it("everything at once, unsupported only when nothing else is wrong", () => {
    const fields = (c: ConfigReader) => {
      c.int("a");
      c.expect("b", 1);
      c.oneOf("c", ["x"]);
    };
    expect(refused({ b: 2, c: "y" }, fields)).toBe(
      'config: config.json: 3 problems: a is missing; b 2 is not supported (only 1); c must be one of x, got "y"',
    );
    expect(refused({ a: 1, b: 2, c: "y" }, fields)).toMatch(/^unsupported: config\.json: 2 problems: /);
  });

  it("unknown keys in one line, but not bookkeeping, and not what was asked for or ignored", () => {
    const raw = {
      a: 1,
      typo: 2,
      nested: { x: 1, y: 2 },
      architectures: [],
      transformers_version: "5",
      id2label: {},
      known: 0,
      pruned_heads: {},
    };
    const warning = read(raw, (c) => {
      c.int("a");
      c.object("nested").int("x");
      c.ignore("known");
    });
    expect(warning).toBe("config.json: unknown keys are ignored, typo, nested.y");
  });
});
