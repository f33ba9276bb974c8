import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { activation } from "../../test/ops/cases/activation.js";
import { attention, rotary } from "../../test/ops/cases/attention.js";
import { cachedAttention } from "../../test/ops/cases/cached-attention.js";
import { constants } from "../../test/ops/cases/constant.js";
import { elementwise } from "../../test/ops/cases/elementwise.js";
import { gather } from "../../test/ops/cases/gather.js";
import { matmul } from "../../test/ops/cases/matmul.js";
import { normalize } from "../../test/ops/cases/normalize.js";
import { random } from "../../test/ops/cases/random.js";
import { recurrent } from "../../test/ops/cases/recurrent.js";
import { reduce } from "../../test/ops/cases/reduce.js";
import { shape } from "../../test/ops/cases/shape.js";
import { type Check, primitivesOf, runCase } from "../../test/ops/check.js";
import { openSafetensors } from "../hub/safetensors.js";
import { ops } from "./index.js";

/** What the table of operations holds beside operations. */
const others = [
  "MASKED",
  "axisOf",
  "cachedHeadSize",
  "constantOp",
  "floating",
  "multiple",
  "transposeOp",
  "uniform",
  "uniformValue",
] as const;
type Operation = Exclude<keyof typeof ops, (typeof others)[number]>;

/** Every operation has its cases: one without does not compile. */
const checks: Readonly<Record<Operation | "cachedAttention", Check>> = {
  ...activation,
  ...attention,
  ...cachedAttention,
  ...constants,
  ...elementwise,
  ...gather,
  ...matmul,
  ...normalize,
  ...random,
  ...recurrent,
  ...reduce,
  ...rotary,
  ...shape,
};

const recorded = openSafetensors(path.join(import.meta.dirname, "../../test/ops/recorded.safetensors"));
afterAll(() => recorded[Symbol.dispose]());

describe("every operation has a check", () => {
  it("of the table", () => {
    expect([...Object.keys(checks), ...others]).toEqual(expect.arrayContaining(Object.keys(ops)));
    for (const [operation, cases] of Object.entries(checks)) expect(Object.keys(cases), operation).not.toEqual([]);
  });

  it("recorded under the line that it is compared with", () => {
    const lines = Object.entries(checks).flatMap(([operation, cases]) =>
      Object.entries(cases).flatMap(([name, { torch }]) =>
        torch === undefined ? [] : [[`${operation}/${name}`, torch]],
      ),
    );
    expect({ ...recorded.metadata }).toEqual(Object.fromEntries(lines));
  });

  it("of the records", () => {
    const sources = readdirSync(import.meta.dirname)
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => readFileSync(path.join(import.meta.dirname, file), "utf8"));
    const found = (pattern: RegExp) =>
      sources.flatMap((source) => [...source.matchAll(pattern)].map((match) => match[1]!));
    const records = found(/^(?:export )?const \w+: Primitive<[^=]*= \{\s*name: "(\w+)"/gm);
    expect(records).toHaveLength(found(/^(?:export )?const (\w+): Primitive</gm).length);
    const applied = new Set(Object.values(checks).flatMap((cases) => Object.values(cases).flatMap(primitivesOf)));
    expect(new Set(records).size).toBe(records.length);
    expect([...applied].sort()).toEqual(expect.arrayContaining(records.sort()));
  });
});

for (const [operation, cases] of Object.entries(checks))
  describe(operation, () => {
    for (const [name, one] of Object.entries(cases))
      it(name, async () => {
        await runCase(`${operation}/${name}`, one, recorded);
      });
  });
