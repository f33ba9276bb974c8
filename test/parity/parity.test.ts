import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { caseFolders, PARITY, within } from "./golden.js";
import { runCase } from "./run-case.js";

describe.skipIf(!existsSync(PARITY))("recorded models and blocks (skipped where ../shared/parity is missing)", () => {
  const folders = existsSync(PARITY) ? caseFolders(PARITY) : [];

  it("are there", () => expect(folders.length).toBeGreaterThan(0));

  it.each(folders.map((folder) => [folder.split("/").at(-1)!, folder] as const))("%s", async (name, folder) => {
    const { comparisons, generations } = await runCase(folder);
    expect(comparisons.some((c) => c.kind === (name === "bert-base" ? "forward" : "gradient"))).toBe(true); // without labels no loss
    expect(comparisons.filter((c) => !within(c))).toEqual([]);
    for (const { unsupported, ...generation } of generations)
      expect({ ...generation, unsupported }).toMatchObject({ ok: true, unsupported: undefined });
  });
});
