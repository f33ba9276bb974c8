import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wholeModel } from "../../test/support/decode.js";
import { tinyConfigs, tinyModel } from "../../test/support/tiny-model.js";
import { randomStream } from "../core/random-stream.js";
import { type CompiledModel, compileModel, type GenerationModel } from "./compile-model.js";
import { generate } from "./generate.js";
import type { GenerationOptions } from "./generation-options.js";
import type { LogitsProcessor } from "./logits-processors.js";

const tokens = (count: number, below: number, name: string) => {
  const random = randomStream(3, name);
  return Array.from({ length: count }, () => random.below(below));
};

/** The most probable continuation, each token from the whole text anew. */
async function greedily(model: GenerationModel, prompt: readonly number[], count: number): Promise<number[]> {
  using whole = await wholeModel(model);
  const text = [...prompt];
  for (let i = 0; i < count; i++) {
    const last = (await whole.logits(text)).at(-1)!;
    text.push(last.indexOf(Math.max(...last)));
  }
  return text.slice(prompt.length);
}

describe.each(Object.entries(tinyConfigs))("generating with %s", (_, config) => {
  const model = tinyModel(config);
  const prompts = [3, 11, 1, 6].map((count, i) => tokens(count, model.facts.vocabSize, `prompt ${i}`));
  let compiled: CompiledModel;
  beforeAll(async () => {
    compiled = await compileModel(model, { threads: 1 });
  });
  afterAll(() => compiled.dispose());

  it("takes the most probable token each time, a batch of any lengths as single prompts", async () => {
    const batch = await generate(compiled, prompts, { maxNewTokens: 12 });
    for (const [i, prompt] of prompts.entries()) {
      expect(batch[i]).toEqual({ ids: await greedily(model, prompt, 12), finishReason: "length" });
      expect(await generate(compiled, prompt, { maxNewTokens: 12 })).toEqual(batch[i]);
    }
  });

  it("draws the same with the same seed, and a row as a single prompt with the seed after it", async () => {
    const options: GenerationOptions = {
      maxNewTokens: 10,
      temperature: 1.1,
      topK: 20,
      topP: 0.95,
      minP: 0.01,
      seed: 5,
    };
    const batch = await generate(compiled, prompts, options);
    expect(await generate(compiled, prompts, options)).toEqual(batch);
    for (const [i, prompt] of prompts.entries())
      expect(await generate(compiled, prompt, { ...options, seed: 5 + i })).toEqual(batch[i]);
    expect(await generate(compiled, prompts, { ...options, seed: 99 })).not.toEqual(batch);
  });
});

describe("generate", () => {
  const config = tinyConfigs.gpt2;
  const model = tinyModel(config);
  const prompt = tokens(4, 50, "prompt");
  let compiled: CompiledModel;
  beforeAll(async () => {
    compiled = await compileModel(model, { threads: 1 });
  });
  afterAll(() => compiled.dispose());
  const ids = async (options: GenerationOptions, from = prompt) => (await generate(compiled, from, options)).ids;
  /** The same model under another generation configuration. */
  const configured = (generation: GenerationModel["generation"], rawConfig: GenerationModel["rawConfig"] = {}) => ({
    ...compiled,
    model: { ...model, generation, rawConfig },
  });

  it("compiles a model for one call", async () => {
    expect((await generate(model, prompt, { maxNewTokens: 5 })).ids).toEqual(await ids({ maxNewTokens: 5 }));
  });

  it("ends with a token that ends a text, and keeps it", async () => {
    const free = await ids({ maxNewTokens: 12 });
    const eos = free[5]!;
    const at = free.indexOf(eos) + 1;
    const ended = { ids: free.slice(0, at), finishReason: "eos" };
    expect(await generate(compiled, prompt, { maxNewTokens: 12, eosTokenId: eos })).toEqual(ended);
    expect(await generate(configured({ eos_token_id: [49, eos] }), prompt, { maxNewTokens: 12 })).toEqual(ended);
    expect(await generate(configured({}, { eos_token_id: eos }), prompt, { maxNewTokens: 12 })).toEqual(ended);
    expect(await generate(configured({ eos_token_id: eos }), prompt, { maxNewTokens: 12, eosTokenId: [] })).toEqual({
      ids: free,
      finishReason: "length",
    });
    const late = await ids({ maxNewTokens: 12, minNewTokens: 9, eosTokenId: eos });
    expect(late.slice(0, 9)).not.toContain(eos);
    expect(await ids({ maxNewTokens: 12, minLength: prompt.length + 9, eosTokenId: eos })).toEqual(late);
  });

  it("has the lengths of the configuration, of the options before it, and 256 tokens else", async () => {
    const lengthOf = async (generation: GenerationModel["generation"], options: GenerationOptions = {}) =>
      (await generate(configured(generation), prompt, options)).ids.length;
    expect(await lengthOf({ max_length: 9 })).toBe(5);
    expect(await lengthOf({ max_length: 9, max_new_tokens: 7 })).toBe(7);
    expect(await lengthOf({ max_length: 9, max_new_tokens: 7 }, { maxLength: 6 })).toBe(2);
    expect(await lengthOf({ max_length: 9 }, { maxNewTokens: 3 })).toBe(3);
    expect(await lengthOf({}, { overflow: "slide" })).toBe(256);
    await expect(lengthOf({ max_length: 4 })).rejects.toThrow("prompt 0 has 4 tokens, maxLength leaves none (4 vs 4)");
  });

  it("at the context's end stops, or goes on with the last three quarters", async () => {
    const stopped = await generate(compiled, prompt, { maxNewTokens: 100 });
    expect(stopped).toMatchObject({ finishReason: "length" });
    expect(stopped.ids).toHaveLength(29); // the last one is predicted from all 32 and needs no place of its own
    const slid = await ids({ maxNewTokens: 60, overflow: "slide" });
    expect(slid.slice(0, 29)).toEqual(stopped.ids);

    using whole = await wholeModel(model);
    const text = [...prompt];
    let start = 0;
    while (text.length < prompt.length + 60) {
      if (text.length - start > 32) start = text.length - 24;
      const last = (await whole.logits(text.slice(start))).at(-1)!;
      text.push(last.indexOf(Math.max(...last)));
    }
    expect(slid).toEqual(text.slice(prompt.length));
    expect(
      await generate(compiled, [prompt, tokens(70, 50, "long")], { maxNewTokens: 60, overflow: "slide" }),
    ).toHaveLength(2);
    expect(await ids({ maxNewTokens: 3 }, tokens(32, 50, "full"))).toHaveLength(1);
    await expect(ids({}, tokens(33, 50, "long"))).rejects.toThrow(
      'the model sees 32 at once (33 vs 32). Shorten it, or set overflow to "slide"',
    );
  });

  it("applies penalties and bans over prompt and completion", async () => {
    const free = await ids({ maxNewTokens: 20 });
    const unique = await ids({ maxNewTokens: 20, noRepeatNgramSize: 1 });
    expect(new Set([...prompt, ...unique]).size).toBe(new Set(prompt).size + 20);
    expect(
      (await ids({ maxNewTokens: 20, suppressTokens: [free[0]!, free[1]!] })).some((id) =>
        free.slice(0, 2).includes(id),
      ),
    ).toBe(false);
    expect((await ids({ maxNewTokens: 20, beginSuppressTokens: [free[0]!] }))[0]).not.toBe(free[0]);
    expect((await ids({ maxNewTokens: 5, badWordsIds: [[prompt.at(-1)!, free[0]!]] }))[0]).not.toBe(free[0]);
    expect((await ids({ maxNewTokens: 6, forcedEosTokenId: 9 })).at(-1)).toBe(9);
    expect((await ids({ maxNewTokens: 6, forcedBosTokenId: 9 }, [3]))[0]).toBe(9);
    expect(await ids({ maxNewTokens: 20, repetitionPenalty: 50 })).not.toEqual(free);
  });

  it("calls the caller's processors with everything before, and obeys them", async () => {
    const histories: number[][] = [];
    const script: LogitsProcessor = (logits, history) => {
      histories.push([...history]);
      logits.fill(Number.NEGATIVE_INFINITY);
      logits[history.length] = 0;
    };
    expect(await ids({ maxNewTokens: 3, logitsProcessors: [script], temperature: 0.5, seed: 1 })).toEqual([4, 5, 6]);
    expect(histories).toEqual([prompt, [...prompt, 4], [...prompt, 4, 5]]);
  });

  it("returns several drawn completions of each prompt", async () => {
    const other = tokens(7, 50, "other");
    const options: GenerationOptions = { maxNewTokens: 6, doSample: true, seed: 11, numReturnSequences: 3 };
    const all = await generate(compiled, [prompt, other], options);
    expect(all).toHaveLength(6);
    for (const [i, completion] of all.entries())
      expect(
        await generate(compiled, i < 3 ? prompt : other, { ...options, numReturnSequences: 1, seed: 11 + i }),
      ).toEqual(completion);
  });

  it("ends early by the signal", async () => {
    const controller = new AbortController();
    let count = 0;
    const abort: LogitsProcessor = () => {
      if (++count === 5) controller.abort();
    };
    const run = generate(compiled, prompt, { maxNewTokens: 20, logitsProcessors: [abort] }, controller.signal);
    await expect(run).rejects.toMatchObject({ code: "aborted" });
    expect(count).toBe(5);
    await expect(generate(compiled, prompt, {}, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });

  it("draws only where that is asked for", async () => {
    const free = await ids({ maxNewTokens: 8 });
    expect(await ids({ maxNewTokens: 8, temperature: 0 })).toEqual(free);
    expect(await ids({ maxNewTokens: 8, seed: 3 })).toEqual(free);
    expect(await ids({ maxNewTokens: 8, doSample: false, temperature: 0 })).toEqual(free);
    expect(await ids({ maxNewTokens: 8, topK: 1 })).toEqual(free);
    const drawn = await generate(configured({ do_sample: true, temperature: 3 }), prompt, { maxNewTokens: 8, seed: 3 });
    expect(drawn.ids).toEqual(await ids({ maxNewTokens: 8, temperature: 3, seed: 3 }));
    expect(drawn.ids).not.toEqual(free);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ temperature: -1 }, "temperature must be a number ≥ 0, got -1"],
    [{ temperature: Number.NaN }, "temperature must be a number ≥ 0, got NaN"],
    [{ topP: 1.5 }, "topP must be a number in 0 … 1, got 1.5"],
    [{ minP: -0.1 }, "minP must be a number in 0 … 1, got -0.1"],
    [{ topK: 1.5 }, "topK must be a whole number ≥ 0, got 1.5"],
    [{ maxNewTokens: 0 }, "maxNewTokens must be a whole number ≥ 1, got 0"],
    [{ seed: 0.5 }, "seed must be a whole number, got 0.5"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty must be a number above 0, got 0"],
    [{ eosTokenId: 50 }, "eosTokenId must be a token id of the vocabulary, or a list, got 50"],
    [{ badWordsIds: [[]] }, "badWordsIds must be lists of token ids of the vocabulary, none empty, got [[]]"],
    [{ suppressTokens: [1, "2"] }, 'suppressTokens must be token ids of the vocabulary, got [1,"2"]'],
    [{ overflow: "wrap" }, 'overflow must be "stop" or "slide", got "wrap"'],
    [{ logitsProcessors: [1] }, "logitsProcessors must be a list of functions, got [1]"],
    [{ doSample: "yes" }, 'doSample must be true or false, got "yes"'],
    [{ topp: 0.5 }, "there is no option topp (it has maxNewTokens, "],
    [{ doSample: false, topK: 5 }, "topK shapes what is drawn, and doSample is false"],
    [{ numReturnSequences: 2 }, "2 completions of the most probable tokens would be the same one"],
    [{ doSample: true, numReturnSequences: 2 }, "one prompt has one completion here, numReturnSequences is 2"],
    [{ lengthPenalty: 2 }, "lengthPenalty shapes beam search, and numBeams is 1"],
    [{ minNewTokens: 5, maxNewTokens: 4 }, "minNewTokens is above maxNewTokens, 5 vs 4"],
    [{ minLength: 9, maxLength: 8 }, "minLength is above maxLength, 9 vs 8"],
    [
      { numBeams: 2, numReturnSequences: 3 },
      "beam search finds as many texts as beams, numReturnSequences is above numBeams (3 vs 2)",
    ],
    [{ numBeams: 2, doSample: true }, "beam search does not draw tokens, numBeams is 2 beside doSample"],
  ])("refuses %j", async (options, message) => {
    await expect(generate(compiled, prompt, options)).rejects.toThrow(`generate: ${message}`);
  });

  it("searches beams of a batch as of single prompts, and finds no worse text than the greedy one", async () => {
    const prompts = [prompt, tokens(9, 50, "other")];
    const options: GenerationOptions = {
      maxNewTokens: 8,
      numBeams: 4,
      numReturnSequences: 2,
      eosTokenId: 3,
      lengthPenalty: 0.5,
    };
    const all = await generate(compiled, prompts, options);
    expect(all).toHaveLength(4);
    using whole = await wholeModel(model);
    const scoreOf = async (from: readonly number[], added: readonly number[]) => {
      const logits = await whole.logits([...from, ...added]);
      const sum = added.reduce((total, id, i) => {
        const row = logits[from.length - 1 + i]!;
        const top = Math.max(...row);
        return total + row[id]! - top - Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0));
      }, 0);
      return sum / added.length ** 0.5;
    };
    for (const [p, from] of prompts.entries()) {
      const found = all.slice(2 * p, 2 * p + 2);
      expect(await generate(compiled, [from], options)).toEqual(found);
      for (const { ids, score } of found) expect(score).toBeCloseTo(await scoreOf(from, ids), 4);
      const greedy = (await generate(compiled, from, { maxNewTokens: 8, eosTokenId: 3 })).ids;
      expect(found[0]!.score).toBeGreaterThanOrEqual((await scoreOf(from, greedy)) - 1e-4);
      expect(found[0]!.score).toBeGreaterThanOrEqual(found[1]!.score!);
    }
  });

  it("searches beams up to the context's end, not beyond", async () => {
    const full = await generate(compiled, [tokens(28, 50, "long")], { maxNewTokens: 50, numBeams: 3 });
    expect(full[0]!.ids).toHaveLength(5);
    await expect(generate(compiled, [prompt], { maxNewTokens: 50, numBeams: 3, overflow: "slide" })).rejects.toThrow(
      "beam search stays within the context",
    );
  });

  it("refuses prompts that make no sense, and what the configuration asks in vain", async () => {
    await expect(generate(compiled, [])).rejects.toThrow("prompt 0 has no tokens");
    await expect(generate(compiled, [[1], []])).rejects.toThrow("prompt 1 has no tokens");
    await expect(generate(compiled, [1, 50])).rejects.toThrow("token id 50 is not in the vocabulary (50 tokens)");
    await expect(generate(configured({ num_beam_groups: 2 }), prompt)).rejects.toMatchObject({ code: "unsupported" });
  });

  it.each([
    [[], "the first argument must be a model, as loadModel or compileModel gives it, got nothing"],
    [["checkpoints/ishmael", [1]], 'the first argument must be a model, .*, got "checkpoints/ishmael"'],
    [[model], "prompt 0 must be token ids \\(generateText takes texts\\), got nothing"],
    [[model, "Call me"], 'prompt 0 must be token ids .*, got "Call me"'],
    [[model, ["Call", "me"]], 'prompt 0 must be token ids .*, got "Call"'],
    [[model, [[1], 2]], "prompt 1 must be token ids .*, got a number"],
    [[model, new BigInt64Array(2)], "prompt 0 must be token ids .*, got a bigint"],
    [[model, [1], null], "options must be an object, got null"],
    [[model, [1], 20], "options must be an object, got a number"],
  ])("refuses what only plain JavaScript can call it with: %#", async (args, message) => {
    const call = generate as unknown as (...args: readonly unknown[]) => Promise<unknown>;
    await expect(call(...args)).rejects.toThrow(new RegExp(`^generate: ${message}$`));
  });
});
