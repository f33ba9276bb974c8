import { TesseraError } from "../../src/core/errors.js";
import type { HostTensor } from "../../src/core/host-tensor.js";
import { compileModel } from "../../src/generate/compile-model.js";
import { generate } from "../../src/generate/generate.js";
import { parseGenerationConfig } from "../../src/hub/generation-config.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import { readGolden } from "./golden.js";

/** One recorded generation: prompts, and the ids that the original returned, prompt and padding with them. */
export interface GenerationResult {
  /** `gen0`, `gen1`, …. */
  readonly name: string;
  readonly ok: boolean;
  readonly expected: readonly (readonly number[])[];
  /** Empty where the settings are not supported. */
  readonly got: readonly (readonly number[])[];
  /** Why, where the library refuses the settings. */
  readonly unsupported?: string;
}

/**
 * Repeats the generations that a case recorded (`generate` of golden.json, `genN.in.*` and `genN.out` of golden.safetensors). Batches
 * are padded, as transformers gives them. It returns a causal model's padded prompts before what they are continued with, an
 * encoder-decoder's first token before its target, and finished rows filled up with the padding id.
 */
export async function runGenerationCases(dir: string, model: LanguageModel): Promise<readonly GenerationResult[]> {
  const { json, tensors } = readGolden(dir);
  const recorded = (json.generate ?? []) as readonly Readonly<Record<string, unknown>>[];
  if (recorded.length === 0) return [];
  const results: GenerationResult[] = [];
  using compiled = await compileModel(model);
  for (const [n, fields] of recorded.entries()) {
    const name = `gen${n}`;
    const expected = rowsOf(tensors.get(`${name}.out`)!);
    const padded = rowsOf(tensors.get(`${name}.in.input_ids`)!);
    const mask = tensors.get(`${name}.in.attention_mask`);
    const prompts = mask ? unpad(padded, rowsOf(mask)) : padded;
    const { config: settings, warning } = parseGenerationConfig(fields, `${dir}/golden.json`);
    const generation = { ...model.generation, ...settings };
    try {
      if (warning) throw new TesseraError("unsupported", warning);
      const completions = await generate({ ...compiled, model: { ...model, generation } }, prompts);
      const pad = fillId(model, generation);
      const perPrompt = completions.length / padded.length;
      const start = [
        generation.decoder_start_token_id ?? model.facts.decoderStart ?? generation.bos_token_id ?? [],
      ].flat();
      const before = (p: number) => (model.task === "seq2seq-lm" ? [start[p] ?? start[0]!] : padded[p]!);
      const got = refill(
        completions.map(({ ids }, i) => [...before(Math.floor(i / perPrompt)), ...ids]),
        pad,
      );
      results.push({ name, ok: JSON.stringify(got) === JSON.stringify(expected), expected, got });
    } catch (error) {
      if (!(error instanceof TesseraError && error.code === "unsupported")) throw error;
      results.push({ name, ok: false, expected, got: [], unsupported: error.message });
    }
  }
  return results;
}

/** What fills up shorter rows: the padding id, else the end's; in beam search, as transformers has it, padding id 0 counts as none. */
function fillId({ rawConfig }: LanguageModel, generation: LanguageModel["generation"]): number {
  const eos = [generation.eos_token_id ?? rawConfig.eos_token_id ?? []].flat()[0] as number | undefined;
  const pad = (generation.pad_token_id ?? rawConfig.pad_token_id ?? undefined) as number | undefined;
  return ((generation.num_beams ?? 1) > 1 ? pad || eos : (pad ?? eos)) ?? 0;
}

/** Rows without the places whose mask is 0. */
export function unpad(rows: readonly (readonly number[])[], mask: readonly (readonly number[])[]): number[][] {
  return rows.map((row, r) => row.filter((_, i) => mask[r]![i] !== 0));
}

/** Rows filled up at the right to the length of the longest. */
function refill(rows: readonly (readonly number[])[], pad: number): number[][] {
  const longest = Math.max(...rows.map((row) => row.length));
  return rows.map((row) => [...row, ...Array<number>(longest - row.length).fill(pad)]);
}

function rowsOf({ shape, data }: HostTensor): number[][] {
  const [rows, width] = shape as [number, number];
  const all = Array.from(data as ArrayLike<number | bigint>, Number);
  return Array.from({ length: rows }, (_, r) => all.slice(r * width, (r + 1) * width));
}
