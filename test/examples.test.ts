import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

describe("examples run", () => {
  it("chapter.ts calls every block and ends in GPT-3", () => {
    const file = new URL("../examples/chapter.ts", import.meta.url).pathname;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("174,604,259,328 parameters");
    expect(stdout.match(/→ \[1, 5, \d+\]/g)?.length).toBeGreaterThan(20);
    expect(stdout).not.toMatch(/NaN|Infinity/);
  });
});
