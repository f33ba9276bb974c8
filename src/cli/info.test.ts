import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { expect, it, vi } from "vitest";
import { startHubServer } from "../../test/support/hub-server.js";
import { familyOf } from "../models/index.js";
import { addInfo } from "./info.js";

const sizes = { vocabSize: 9, contextLength: 12, layers: 1, heads: 2, d: 8, dropout: 0 };

it("downloads nothing of a hub's model but its config.json", async () => {
  const cache = mkdtempSync(join(tmpdir(), "tessera-info-"));
  const config = { model_type: "gpt2", ...familyOf("gpt2", "test").fresh(sizes) };
  await using hub = await startHubServer({
    "org/name": {
      commit: "0123456789abcdef0123456789abcdef01234567",
      files: { "config.json": JSON.stringify(config), "model.safetensors": "weights", "tokenizer.json": "{}" },
    },
  });
  for (const [name, value] of Object.entries({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: cache }))
    vi.stubEnv(name, value);
  for (const name of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"]) vi.stubEnv(name, undefined);
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    const program = new Command("tessera").exitOverride();
    addInfo(program);
    await program.parseAsync(["info", "org/name", "--json"], { from: "user" });
    expect(JSON.parse(String(log.mock.calls[0]![0]))).toMatchObject({ family: "gpt2", vocabSize: 9 });
    const files = hub.requests.filter(({ path }) => !path.startsWith("/api/")).map(({ path }) => path);
    expect(files.map((path) => path.split("/").at(-1))).toEqual(["config.json"]);
  } finally {
    log.mockRestore();
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  }
});
