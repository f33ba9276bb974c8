import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, it, vi } from "vitest";
import { startHubServer } from "../../test/support/hub-server.js";
import { families, familyOf } from "../models/index.js";
import { addInfo, formatReport, reportModel } from "./info.js";

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

describe("work", () => {
  const [d, layers, v, n] = [8, 2, 50, 12];
  const root = mkdtempSync(join(tmpdir(), "tessera-info-work-"));
  afterAll(() => rmSync(root, { recursive: true }));

  const report = (modelType: string, more: Readonly<Record<string, unknown>> = {}) => {
    const fields = familyOf(modelType, "test").fresh({ ...sizes, vocabSize: v, contextLength: n, layers });
    const file = join(root, "config.json");
    writeFileSync(file, JSON.stringify({ ...fields, model_type: modelType, ...more }));
    return reportModel(file);
  };
  const [attention, feedForward] = [4 * d * d, 8 * d * d];
  const looked = 2 * n * d; // scores and their sum over a full context

  it("of an encoder is that of a token of a full context", () => {
    const inference = 2 * (layers * (attention + feedForward + looked) + d * d + d * v);
    const found = report("bert");
    expect(found.flopsPerToken).toEqual({ inference, training: 3 * inference });
    expect(formatReport(found)).toMatch(/work +[\d.]+ kFLOP a token at full context, [\d.]+ kFLOP to train on it\n/);
  });

  it("of an encoder-decoder is that of a token read and a token written", () => {
    const [crossing, keys] = [2 * n * d, 2 * d * d]; // keys and values of the source are made once, when it is read
    const source = 2 * layers * (attention + feedForward + looked + keys);
    const target = 2 * (layers * (attention + looked + attention - keys + crossing + feedForward) + d * v);
    const found = report("transformer");
    expect(found.flopsPerToken).toEqual({
      source,
      target,
      inference: source + target,
      training: 3 * (source + target),
    });
    expect(formatReport(found)).toMatch(
      /FLOP a token of the source read, [\d.]+ kFLOP one of the target written, both at/,
    );
  });

  it.each([...families.keys()])("of %s is counted, whatever it answers", (modelType) => {
    for (const architecture of Object.keys(familyOf(modelType, "test").architectures)) {
      const { flopsPerToken } = report(modelType, { architectures: [architecture] });
      for (const work of Object.values(flopsPerToken)) expect(work, architecture).toBeGreaterThan(d * d);
    }
  });
});
