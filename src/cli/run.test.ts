import { afterAll, expect, it, vi } from "vitest";
import { tinyGpt2 } from "../../test/support/tiny-pipeline.js";
import { temporaryFolder } from "../../test/train/tiny-run.js";
import { saveModel } from "../pretrained/index.js";
import { saveTokenizer } from "../text/index.js";
import { runCli } from "./run.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

it("says in one word that Ctrl-C ended it, with exit code 130", async () => {
  const { model, tokenizer } = tinyGpt2();
  saveModel(folder.path, model);
  await saveTokenizer(folder.path, tokenizer);
  const told: string[] = [];
  const error = vi.spyOn(console, "error").mockImplementation((line) => void told.push(String(line)));
  const before = process.listenerCount("SIGINT");
  // Once it streams, it listens.
  const out = vi.spyOn(process.stdout, "write").mockImplementation(() => {
    if (process.listenerCount("SIGINT") > before) process.emit("SIGINT");
    return true;
  });
  try {
    expect(await runCli(["generate", "the whale", "--model", folder.path, "--max-tokens", "100000"])).toBe(130);
  } finally {
    error.mockRestore();
    out.mockRestore();
  }
  expect(told).toEqual(["interrupted"]);
});
