import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TesseraError } from "../../src/core/errors.js";
import { caseFolders, PARITY, within } from "./golden.js";
import { runCase } from "./run-case.js";

/** Recorded cases that the library must not call unsupported. */
const SUPPORTED = /^(gpt2|bengio-2003|bahdanau-attention|torch-.*)$/;

describe.skipIf(!existsSync(PARITY))("recorded models and blocks (skipped where ../shared/parity is missing)", () => {
  const folders = existsSync(PARITY) ? caseFolders(PARITY) : [];

  it("are there", () => expect(folders.length).toBeGreaterThan(0));

  it.each(folders.map((folder) => [folder.split("/").at(-1)!, folder] as const))("%s", async (name, folder) => {
    try {
      const { comparisons, generations } = await runCase(folder);
      expect(comparisons.some((c) => c.kind === (name === "bert-base" ? "forward" : "gradient"))).toBe(true); // without labels no loss
      expect(comparisons.filter((c) => !within(c))).toEqual([]);
      for (const { unsupported, ...generation } of generations)
        if (unsupported) expect(unsupported).toContain("beam search");
        else expect(generation).toMatchObject({ ok: true });
    } catch (error) {
      if (SUPPORTED.test(name) || !(error instanceof TesseraError)) throw error;
      expect(error.code).toBe("unsupported"); // refused clearly, until its family is written
    }
  });
});
