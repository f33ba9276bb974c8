import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, tinyText } from "../train/tiny-run.js";

const cli = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const tessera = (args: readonly string[], input = "") =>
  spawnSync(process.execPath, ["--import", "tsx", cli, ...args], { encoding: "utf8", input, timeout: 120_000 });
const shell = (command: string, ...args: readonly string[]) =>
  spawnSync("bash", ["-c", command, process.execPath, cli, ...args], { encoding: "utf8", timeout: 120_000 });

/** What only a whole process shows: its outputs, its exit code, its command line. */
describe("the command line as a process", () => {
  it("refuses a command line that would overrun the engine's stack", () => {
    const { status, stderr } = tessera(["generate", "a".repeat(100_000), "--max-tokens", "1"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: the command line is too long for ONNX Runtime, \d+ bytes \(at most 32768\).*\n$/);
  });

  it("fails where prompts of a pipe fail", () => {
    const { status, stderr } = tessera(["generate", "--stop", ""], "one\ntwo\n");
    expect(stderr.match(/^error: .*stop must be/gm)).toHaveLength(2);
    expect(status).toBe(1);
  });

  it.skipIf(process.platform !== "linux")("says when its output cannot be written", () => {
    const { status, stderr } = shell('"$0" --import tsx "$1" --help > /dev/full');
    expect(stderr).toMatch(/^error: the output cannot be written, ENOSPC.*\n$/);
    expect(status).toBe(1);
  });

  it.skipIf(process.platform === "win32")("saves a run whose reader has gone", () => {
    using folder = temporaryFolder();
    const [text, out] = [join(folder.path, "text.txt"), join(folder.path, "run")];
    writeFileSync(text, tinyText(4000));
    const flags = `--layers 1 --d 16 --heads 2 --context-length 16 --batch-size 2 --vocab-size 270 --steps 100000 --threads 1`;
    const { stdout } = shell(
      `"$0" --import tsx "$1" train "$2" --out "$3" ${flags} --log-every 1 --json | head -3; echo "\${PIPESTATUS[0]}"`,
      text,
      out,
    );
    expect(stdout.trim().split("\n").at(-1)).toBe("130");
    expect(readFileSync(join(out, "model.safetensors")).length).toBeGreaterThan(0);
  });
});
