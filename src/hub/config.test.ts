import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { TesseraError } from "../core/errors.js";
import { readConfig, writeConfig } from "./config.js";
import { formatConfigJson } from "./config-format.js";
import { parseGenerationConfig, readGenerationConfig, writeGenerationConfig } from "./generation-config.js";

const folder = mkdtempSync(join(tmpdir(), "config-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "config.json");

const parity = new URL("../../../shared/parity/", import.meta.url).pathname;
const recorded = (name: string) =>
  existsSync(parity)
    ? readdirSync(parity)
        .filter((model) => existsSync(join(parity, model, name)))
        .map((model) => join(parity, model))
    : [];

describe.skipIf(!existsSync(parity))("what transformers wrote (skipped: shared/parity is not there)", () => {
  it("is written again byte for byte", () => {
    expect(recorded("config.json").length).toBeGreaterThanOrEqual(22);
    for (const model of recorded("config.json")) {
      const { values, modelType, architectures } = readConfig(model);
      expect([modelType, architectures.length]).toEqual([values.model_type, 1]);
      writeConfig(folder, values);
      expect(readFileSync(path, "utf8")).toBe(readFileSync(join(model, "config.json"), "utf8"));
    }
    for (const model of recorded("generation_config.json")) {
      const { config, extra, warning } = readGenerationConfig(model);
      expect(warning).toBeUndefined();
      writeGenerationConfig(folder, config, extra);
      const name = "generation_config.json";
      expect(readFileSync(join(folder, name), "utf8")).toBe(readFileSync(join(model, name), "utf8"));
    }
  });
});

describe("config.json", () => {
  it.each<[string, string]>([
    ["", "not JSON, the file is empty"],
    ["[]", "expected a JSON object, found []"],
    ["{}", "neither model_type nor architectures says which model this is"],
    ['{"model_type": 1}', "model_type must be text, got 1"],
    [
      '{"model_type": "gpt2", "architectures": "GPT2LMHeadModel"}',
      'architectures must be a list of texts, got "GPT2LMHeadModel"',
    ],
    ['{"architectures": [1]}', "architectures must be a list of texts, got [1]"],
  ])("is refused: %s", (content, message) => {
    writeFileSync(path, content);
    expect(() => readConfig(folder)).toThrow(new TesseraError("config", `${path}: ${message}`));
  });

  it("needs one of model_type and architectures", () => {
    writeConfig(folder, { model_type: "gpt2", architectures: null });
    expect(readConfig(folder)).toMatchObject({ path, modelType: "gpt2", architectures: [] });
    writeConfig(folder, { architectures: ["GPT2LMHeadModel"] });
    expect(readConfig(folder)).toEqual({
      path,
      values: { architectures: ["GPT2LMHeadModel"] },
      architectures: ["GPT2LMHeadModel"],
    });
    expect(() => readConfig(join(folder, "none"))).toThrow(/none\/config\.json: cannot be opened, no such file/);
  });
});

describe("the form of Python's json.dumps(value, indent=2, sort_keys=True)", () => {
  // Recorded from Python 3.11.
  it.each<[Record<string, unknown>, string]>([
    [{}, "{}"],
    [{ b: [], a: {}, c: undefined }, '{\n  "a": {},\n  "b": []\n}'],
    [
      { a: [1, "é𝄞\x7f\n", null, true, [2]] },
      '{\n  "a": [\n    1,\n    "\\u00e9\\ud834\\udd1e\\u007f\\n",\n    null,\n    true,\n    [\n      2\n    ]\n  ]\n}',
    ],
    [
      { id2label: { 0: "a", 2: "b", 10: "c" } },
      '{\n  "id2label": {\n    "0": "a",\n    "2": "b",\n    "10": "c"\n  }\n}',
    ],
    [{ x: 1e-5, y: 1e-4, z: 1.5e-12 }, '{\n  "x": 1e-05,\n  "y": 0.0001,\n  "z": 1.5e-12\n}'],
    [{ max: 1e30, n: 2 ** 53 }, '{\n  "max": 1000000000000000019884624838656,\n  "n": 9007199254740992\n}'],
    [
      { rope_theta: 10000, resid_pdrop: 0, factor: 1e16, n: 1 },
      '{\n  "factor": 1e+16,\n  "n": 1,\n  "resid_pdrop": 0.0,\n  "rope_theta": 10000.0\n}',
    ],
    [
      { long_factor: [1, 1.5], temperature: 1, top_k: 50, top_p: 1 },
      '{\n  "long_factor": [\n    1.0,\n    1.5\n  ],\n  "temperature": 1.0,\n  "top_k": 50,\n  "top_p": 1.0\n}',
    ],
  ])("is matched (%#)", (value, text) => {
    expect(formatConfigJson(value)).toBe(`${text}\n`);
  });

  it("reads back as the same value", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
        expect(JSON.parse(formatConfigJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 300 },
    );
  });

  it("refuses numbers that JSON does not have", () => {
    expect(() => formatConfigJson({ eps: Number.NaN })).toThrow(
      new TesseraError("argument", "eps: NaN cannot be written as JSON"),
    );
  });
});

describe("generation_config.json", () => {
  const parse = (raw: Record<string, unknown>) => parseGenerationConfig(raw, "g.json");

  it("is optional", () => {
    rmSync(join(folder, "generation_config.json"), { force: true });
    expect(readGenerationConfig(folder)).toEqual({ config: {}, extra: {} });
  });

  it("keeps every field it knows, and the others aside", () => {
    const known = {
      max_length: 20,
      max_new_tokens: 5,
      min_length: 0,
      min_new_tokens: 1,
      stop_strings: ["\n\n"],
      do_sample: true,
      num_beams: 4,
      early_stopping: "never",
      length_penalty: -1.5,
      num_beam_groups: 2,
      diversity_penalty: 0.5,
      num_return_sequences: 2,
      temperature: 0.7,
      top_k: 50,
      top_p: 0.9,
      min_p: 0.05,
      repetition_penalty: 1.2,
      encoder_repetition_penalty: 1,
      no_repeat_ngram_size: 3,
      encoder_no_repeat_ngram_size: 0,
      bad_words_ids: [[1, 2], [3]],
      suppress_tokens: [1],
      begin_suppress_tokens: [2],
      renormalize_logits: false,
      forced_bos_token_id: 0,
      forced_eos_token_id: [2],
      bos_token_id: 0,
      eos_token_id: [2, 3],
      pad_token_id: 1,
      decoder_start_token_id: 2,
    };
    const extra = { transformers_version: "5.17.0", use_cache: true, typical_p: 1, cache_implementation: null };
    expect(parse({ ...known, ...extra })).toEqual({ config: known, extra });
    expect(parse({ stop_strings: "a", early_stopping: true, eos_token_id: 3, top_k: null }).config).toEqual({
      stop_strings: "a",
      early_stopping: true,
      eos_token_id: 3,
    });
  });

  it("reads padding id -1 as none, and keeps it in the file", () => {
    expect(parse({ pad_token_id: -1, eos_token_id: 2 })).toEqual({
      config: { eos_token_id: 2 },
      extra: { pad_token_id: -1 },
    });
  });

  it("names every value that makes no sense, all at once", () => {
    const bad: Record<string, unknown> = {
      max_new_tokens: 0,
      max_length: -5,
      min_length: 1.5,
      stop_strings: 3,
      do_sample: "yes",
      num_beams: 0,
      early_stopping: "always",
      length_penalty: "1",
      num_return_sequences: 0,
      temperature: -1,
      top_k: -1,
      top_p: 1.1,
      min_p: -0.1,
      repetition_penalty: 0,
      no_repeat_ngram_size: -1,
      bad_words_ids: [1],
      suppress_tokens: [-1],
      eos_token_id: "2",
      pad_token_id: -2,
      bos_token_id: [1],
      diversity_penalty: -1,
      forced_eos_token_id: [1.5],
      renormalize_logits: 1,
    };
    for (const [key, value] of Object.entries(bad))
      expect(() => parse({ [key]: value })).toThrow(new RegExp(`^g\\.json: ${key} must be `));
    const all = new RegExp(
      `^g\\.json: ${Object.keys(bad).length} problems: ${Object.keys(bad)
        .map(() => "\\w+ must be [^;]+")
        .join("; ")}$`,
    );
    expect(() => parse(bad)).toThrow(all);
  });

  it("warns of settings that would change the output and have no effect", () => {
    expect(
      parse({ typical_p: 0.9, guidance_scale: 1.5, epsilon_cutoff: 0, remove_invalid_values: false }).warning,
    ).toBe("g.json: settings that are not supported have no effect, typical_p 0.9, guidance_scale 1.5");
  });

  it("is written sorted, without what is not set", () => {
    writeGenerationConfig(folder, { temperature: 1, eos_token_id: 2 }, { _from_model_config: true });
    const text = '{\n  "_from_model_config": true,\n  "eos_token_id": 2,\n  "temperature": 1.0\n}\n';
    expect(readFileSync(join(folder, "generation_config.json"), "utf8")).toBe(text);
    writeGenerationConfig(folder, {}); // an empty one would say that no token ends a text
    expect(existsSync(join(folder, "generation_config.json"))).toBe(false);
  });
});
