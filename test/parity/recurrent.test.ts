import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { runBlockCase } from "./block-case.js";
import { caseFolders, PARITY, readGolden, within } from "./golden.js";
import { recurrentBlock } from "./recurrent-blocks.js";

describe.skipIf(!existsSync(PARITY))("recorded recurrent blocks (skipped where ../shared/parity is missing)", () => {
  const cases = existsSync(PARITY) ? caseFolders(PARITY).map(readGolden).filter(recurrentBlock) : [];

  test.each(cases.map((golden) => [golden.name, golden] as const))("%s", async (_, golden) => {
    const rows = await runBlockCase(golden, recurrentBlock(golden)!);
    expect(rows.filter(({ name }) => name.startsWith("grad.")).length).toBeGreaterThan(0);
    expect(rows.filter((row) => !within(row))).toEqual([]);
  });
});
