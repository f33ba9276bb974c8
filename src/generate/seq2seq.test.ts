import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  batchAndSingles,
  cachedAgainstWhole,
  mixedPrompts,
  randomTexts,
  wholeModel,
} from "../../test/support/decode.js";
import { tinyConfigs, tinyModel } from "../../test/support/tiny-model.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { linear } from "../nn/linear.js";
import { add } from "../ops/elementwise.js";
import { mean } from "../ops/reduce.js";
import { nativeRuntime } from "../runtime/native.js";
import type { Runtime } from "../runtime/session.js";
import { type CompiledModel, compileModel, type GenerationModel } from "./compile-model.js";
import { generate } from "./generate.js";
import type { GenerationOptions } from "./generation-options.js";
import type { LogitsProcessor } from "./logits-processors.js";

const t5 = {
  model_type: "t5",
  vocab_size: 45,
  d_model: 24,
  d_kv: 6,
  d_ff: 32,
  num_layers: 2,
  num_heads: 3,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
  decoder_start_token_id: 0,
};
const bart = {
  model_type: "bart",
  vocab_size: 50,
  d_model: 24,
  encoder_layers: 1,
  decoder_layers: 2,
  encoder_attention_heads: 3,
  decoder_attention_heads: 3,
  encoder_ffn_dim: 40,
  decoder_ffn_dim: 40,
  max_position_embeddings: 20,
  decoder_start_token_id: 2,
};
const seq2seq = {
  model_type: "seq2seq",
  vocab_size: 40,
  embedding_size: 10,
  hidden_size: 12,
  maxout_size: 9,
  decoder_start_token_id: 1,
};

describe.each(Object.entries({ t5, bart, seq2seq }))("generating with %s", (_, config) => {
  const model = tinyModel(config);

  it("has the logits of the whole target at every step", async () => {
    const { difference, positions } = await cachedAgainstWhole(model, randomTexts(model, 8));
    expect(positions).toBe(8 * 9);
    expect(difference).toBeLessThan(2e-5);
  });

  it.each<[string, GenerationOptions]>([
    ["greedy", { noRepeatNgramSize: 1 }],
    ["drawn", { doSample: true, temperature: 0.7 }],
    ["beams", { numBeams: 3, numReturnSequences: 2, eosTokenId: 4 }],
  ])("makes of a batch of any lengths what it makes of single prompts: %s", async (_, options) => {
    const { batch, singles } = await batchAndSingles(model, { maxNewTokens: 9, seed: 3, ...options });
    expect(batch.map(({ ids }) => ids)).toEqual(singles.map(({ ids }) => ids));
    expect(new Set(batch.map(({ ids }) => ids.join())).size).toBeGreaterThan(4);
    for (const [i, { score }] of batch.entries())
      if (score !== undefined) expect(score).toBeCloseTo(singles[i]!.score!, 4);
  });

  it("finds beams with the scores of the whole target, no worse than the greedy one", async () => {
    using whole = await wholeModel(model);
    using compiled = await compileModel(model);
    const start = model.facts.decoderStart!;
    const scoreOf = async (source: readonly number[], ids: readonly number[]) => {
      const logits = await whole.logits([start, ...ids.slice(0, -1)], source);
      return ids.reduce((sum, id, i) => sum + logProbability(logits[i]!, id), 0) / ids.length ** 0.7;
    };
    const options = { maxNewTokens: 7, eosTokenId: 3 };
    for (const source of mixedPrompts(model).slice(0, 3)) {
      const beams = { ...options, numBeams: 4, numReturnSequences: 4, lengthPenalty: 0.7, logprobs: 2 };
      const found = await generate(compiled, [source], beams);
      const greedy = await generate(compiled, source, options);
      for (const { ids, score } of found) expect(score).toBeCloseTo(await scoreOf(source, ids), 4);
      expect(found[0]!.score).toBeGreaterThan((await scoreOf(source, greedy.ids)) - 1e-4);
      for (const { ids, logprobs, score } of found) {
        expect(logprobs!.map(({ id }) => id)).toEqual(ids);
        expect(logprobs!.reduce((sum, { logprob }) => sum + logprob, 0) / ids.length ** 0.7).toBeCloseTo(score!, 4);
        for (const { top } of logprobs!) expect(top).toHaveLength(2);
      }
    }
  });
});

const logProbability = (logits: readonly number[], id: number) => {
  const top = Math.max(...logits);
  return logits[id]! - top - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0));
};

/** Counts the runs of each session that it compiles, in order. */
function countingRuntime(): { runtime: Runtime; runs: number[] } {
  const inner = nativeRuntime();
  const runs: number[] = [];
  const runtime: Runtime = {
    ...inner,
    async compile(graph, options) {
      const session = await inner.compile(graph, options);
      const at = runs.push(0) - 1;
      return {
        ...session,
        run: (...given) => {
          runs[at]!++;
          return session.run(...given);
        },
        bind: (...given) => {
          const binding = session.bind(...given);
          return {
            ...binding,
            run: (options) => {
              runs[at]!++;
              return binding.run(options);
            },
          };
        },
      };
    },
  };
  return { runtime, runs };
}

describe("an encoder-decoder", () => {
  const model = tinyModel(bart);
  const source = [7, 3, 30, 12, 9];
  let compiled: CompiledModel;
  beforeAll(async () => {
    compiled = await compileModel(model, { threads: 1 });
  });
  afterAll(() => compiled.dispose());
  const ids = async (options: GenerationOptions, from: readonly number[] = source) =>
    (await generate(compiled, from, options)).ids;

  it("reads each source once, however many texts are made of it", async () => {
    const { runtime, runs } = countingRuntime();
    using counted = await compileModel(model, { runtime, threads: 1 });
    await generate(counted, [source, [4, 5]], { maxNewTokens: 6, eosTokenId: [] });
    expect(runs).toEqual([2, 6]); // the targets of all rows start together
    await generate(counted, [source, [4, 5], [1]], { maxNewTokens: 5, numBeams: 4, eosTokenId: [] });
    expect(runs).toEqual([5, 11]);
    await generate(counted, [source], { maxNewTokens: 3, doSample: true, numReturnSequences: 3, eosTokenId: [] });
    expect(runs).toEqual([6, 14]);
  });

  it("draws several targets of a source as single ones with the seeds after it", async () => {
    const options: GenerationOptions = { maxNewTokens: 6, doSample: true, seed: 11, numReturnSequences: 3 };
    const all = await generate(compiled, [source, [8, 1]], options);
    for (const [i, completion] of all.entries()) {
      const alone = { ...options, numReturnSequences: 1, seed: 11 + i };
      expect(await generate(compiled, i < 3 ? source : [8, 1], alone)).toEqual(completion);
    }
  });

  it("starts its target with the option's token, the generation configuration's, the model's or the first of a text", async () => {
    const model = tinyModel(seq2seq);
    using compiled = await compileModel(model, { threads: 1 });
    using whole = await wholeModel(model);
    const first = async (start: number) => {
      const logits = (await whole.logits([start], source))[0]!;
      return [logits.indexOf(Math.max(...logits))];
    };
    const one = { maxNewTokens: 1 };
    const begin = async (over: Partial<GenerationModel>, options: GenerationOptions = one) =>
      (await generate({ ...compiled, model: { ...model, ...over } }, source, options)).ids;
    const without = { ...model.facts, decoderStart: undefined };
    expect(await begin({})).toEqual(await first(1));
    expect(await begin({}, { ...one, decoderStartTokenId: 17 })).toEqual(await first(17));
    expect(await begin({ generation: { decoder_start_token_id: 30 } })).toEqual(await first(30));
    expect(await begin({ facts: without, generation: { bos_token_id: 21 } })).toEqual(await first(21));
    const both = await generate(compiled, [source, source], { ...one, decoderStartTokenId: [5, 30] });
    expect(both.map(({ ids }) => ids)).toEqual([await first(5), await first(30)]);
    expect(new Set((await Promise.all([1, 17, 30, 21, 5].map(first))).flat()).size).toBeGreaterThan(1);
    await expect(begin({ facts: without, generation: {}, rawConfig: {} })).rejects.toThrow(
      "the model does not say which token its target starts with. Set decoderStartTokenId",
    );
    const two = { ...one, decoderStartTokenId: [5, 30] };
    await expect(generate(compiled, [source, source, source], two)).rejects.toThrow(
      "decoderStartTokenId has no token for prompt 2 (2 tokens)",
    );
  });

  it("counts the token that starts the target as one of its length", async () => {
    const free = await ids({ maxNewTokens: 12, eosTokenId: [] });
    expect(await ids({ maxLength: 8, eosTokenId: [] })).toEqual(free.slice(0, 7));
    const eos = free[1]!;
    expect((await ids({ maxLength: 12, minLength: 6, eosTokenId: eos })).slice(0, 5)).not.toContain(eos);
    expect(await ids({ maxLength: 12, minNewTokens: 5, eosTokenId: eos })).toEqual(
      await ids({ maxLength: 12, minLength: 6, eosTokenId: eos }),
    );
    const forced = await ids({ maxLength: 6, forcedBosTokenId: 31, forcedEosTokenId: 32, eosTokenId: [] });
    expect([forced.length, forced[0], forced.at(-1)]).toEqual([5, 31, 32]);
    const next = await ids({ maxLength: 6, forcedBosTokenId: 31, eosTokenId: [] });
    const suppressed = await ids({
      maxLength: 6,
      forcedBosTokenId: 31,
      beginSuppressTokens: [next[1]!],
      eosTokenId: [],
    });
    expect(suppressed[0]).toBe(31); // what is forced comes first, and the token after it begins
    expect(suppressed[1]).not.toBe(next[1]);
  });

  it("repeats its own tokens and the source's as it is told", async () => {
    const histories: number[][] = [];
    const spy: LogitsProcessor = (_, history) => {
      histories.push([...history]);
    };
    const free = await ids({ maxNewTokens: 4, eosTokenId: [], logitsProcessors: [spy] });
    expect(histories).toEqual([0, 1, 2, 3].map((n) => [2, ...free.slice(0, n)]));
    const unique = await ids({ maxNewTokens: 15, noRepeatNgramSize: 1, eosTokenId: [] });
    expect(new Set([2, ...unique]).size).toBe(16);
    const everything = Array.from({ length: 50 }, (_, id) => id).filter((id) => id !== 6 && id !== 40);
    const other = await ids({ maxNewTokens: 5, encoderNoRepeatNgramSize: 1, eosTokenId: [] }, everything.slice(0, 20));
    expect(other.every((id) => !everything.slice(0, 20).includes(id))).toBe(true);
    const favoured = await ids({ maxNewTokens: 8, encoderRepetitionPenalty: 1e6, eosTokenId: [] });
    expect(favoured.every((id) => source.includes(id))).toBe(true);
    const banned = await ids({ maxNewTokens: 4, badWordsIds: [[2, free[0]!]], eosTokenId: [] });
    expect(banned[0]).not.toBe(free[0]);
  });

  it("stays within its context, and refuses longer sources", async () => {
    expect(await ids({ maxNewTokens: 100, eosTokenId: [] })).toHaveLength(20);
    await expect(ids({ maxNewTokens: 100, overflow: "slide" })).rejects.toThrow(
      "an encoder-decoder stays within the context, text 0 may have 101 tokens (101 vs 20)",
    );
    const long = Array.from({ length: 21 }, () => 5);
    await expect(ids({}, long)).rejects.toThrow("prompt 0 has 21 tokens, the model reads 20 at once (21 vs 20)");
    await expect(ids({}, [])).rejects.toThrow("prompt 0 has no tokens");
    await expect(ids({}, [4, 99])).rejects.toMatchObject({ code: "argument" });
  });

  it("ends early by the signal, while it reads too", async () => {
    await expect(generate(compiled, source, {}, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    const beams = { numBeams: 2, maxNewTokens: 5 };
    await expect(generate(compiled, [source], beams, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    const controller = new AbortController();
    let count = 0;
    const abort: LogitsProcessor = () => {
      if (++count === 3) controller.abort();
    };
    const run = generate(compiled, source, { maxNewTokens: 9, logitsProcessors: [abort] }, controller.signal);
    await expect(run).rejects.toMatchObject({ code: "aborted" });
    expect(count).toBe(3);
  });
});

describe("an encoder-decoder's decoder", () => {
  const model = tinyModel(seq2seq);
  const compiled: Promise<CompiledModel> = compileModel(model, { threads: 1 });
  afterAll(async () => (await compiled).dispose());
  const close = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    expect(a.length).toBe(b.length);
    for (let i = 0; i < a.length; i++) expect(a[i]).toBeCloseTo(b[i]!, 4);
  };

  it("makes room for longer sources, reads others, copies rows, and starts anew", async () => {
    using whole = await wholeModel(model);
    const last = async (source: readonly number[], text: readonly number[]) =>
      (await whole.logits(text, source)).at(-1)!;
    using decoder = (await compiled).decoder({ batch: 3 });
    const [a, b, c] = [
      [4, 5],
      [9, 8, 7, 6, 5, 4, 3],
      [11, 12, 13],
    ];
    await decoder.read(0, a!);
    close(await decoder.append(0, [1, 7, 8]), await last(a!, [1, 7, 8]));
    await decoder.read(2, b!);
    close((await decoder.step([9, undefined, 1]))[0]!, await last(a!, [1, 7, 8, 9]));
    decoder.copyRow(0, 1);
    await decoder.read(0, c!);
    expect([0, 1, 2].map((row) => decoder.length(row))).toEqual([0, 4, 1]);
    const step = (await decoder.step([1, 20, 21])).map((x) => [...x]);
    close(step[0]!, await last(c!, [1]));
    close(step[1]!, await last(a!, [1, 7, 8, 9, 20]));
    close(step[2]!, await last(b!, [1, 21]));
    decoder.clear(1);
    close(await decoder.append(1, [1]), await last(a!, [1]));
  });

  it("decodes several rows of one source", async () => {
    using whole = await wholeModel(model);
    using decoder = (await compiled).decoder({ batch: 4, rowsPerSource: 2 });
    const sources = [[4, 5, 6], [9]];
    for (const [i, source] of sources.entries()) await decoder.read(i, source);
    await decoder.step([1, 1, 1, 1]);
    const logits = (await decoder.step([3, 4, 5, 6])).map((x) => [...x]);
    for (const [row, id] of [3, 4, 5, 6].entries())
      close(logits[row]!, (await whole.logits([1, id], sources[Math.floor(row / 2)])).at(-1)!);
    decoder.copyRow(3, 2);
    const after = (await decoder.step([undefined, undefined, 8, 8])).map((x) => [...x]);
    close(after[2]!, after[3]!);
    expect(() => decoder.copyRow(0, 2)).toThrow("rows 0 and 2 are of different sources, each with 2 rows");
  });

  it("names what is wrong with a call", async () => {
    const { decoder: open } = await compiled;
    using decoder = open({ batch: 2 });
    await expect(decoder.append(0, [1])).rejects.toThrow("the source of row 0 was not read. Call read first");
    await expect(decoder.step([undefined, 1])).rejects.toThrow("the source of row 1 was not read");
    await expect(decoder.read(2, [1])).rejects.toThrow("there is no source 2 (2 sources)");
    await expect(decoder.read(0, [])).rejects.toThrow("no tokens for source 0");
    for (const id of [0.5, -1, model.facts.vocabSize])
      await expect(decoder.read(0, [1, id])).rejects.toThrow(
        `decoder.read: token id ${id} is not in the source's vocabulary (${model.facts.vocabSize} tokens)`,
      );
    expect(() => open({ batch: 3, rowsPerSource: 2 })).toThrow("batch 3 is no multiple of rowsPerSource 2");
    using causal = await compileModel(tinyModel(tinyConfigs.gpt2), { threads: 1 });
    using without = causal.decoder();
    await expect(without.read(0, [1])).rejects.toThrow("the model has no encoder that reads a source");
  });
});

describe("compileModel", () => {
  it("refuses models that generate no text", async () => {
    const model = { ...tinyModel(tinyConfigs.gpt2), task: "masked-lm" } as const;
    const message = "compileModel: a model for masked-lm generates no text (causal-lm or seq2seq-lm expected)";
    await expect(compileModel(model)).rejects.toThrow(message);
    await expect(generate(model, [1, 2])).rejects.toMatchObject({ code: "unsupported", message });
  });

  it("refuses a decoder that would read the source in every step", async () => {
    const forgetful = module({ embed: embedToken(9, 8), head: linear(8, 9) }, ({ embed, head }) => ({
      encode: (ids: Tensor, _: Context) => embed(ids),
      decode: (ids: Tensor, memory: Tensor, _: Context) =>
        head(add(embed(ids), mean(memory, { axes: [0, 1], keepDims: true }))),
    }));
    await expect(compileModel({ ...tinyModel(bart), module: forgetful })).rejects.toThrow(
      "every step would read the source anew. What is computed of the encoder's result goes through the context",
    );
  });
});

describe("logprobs", () => {
  const model = tinyModel(tinyConfigs.gpt2);

  it("are the model's own, whatever the options make of them", async () => {
    using whole = await wholeModel(model);
    const prompt = [3, 7, 9];
    const options: GenerationOptions = { maxNewTokens: 5, temperature: 2, topK: 7, repetitionPenalty: 1.5, seed: 2 };
    const { ids, logprobs } = await generate(model, prompt, { ...options, logprobs: 3 });
    expect(ids).toEqual((await generate(model, prompt, options)).ids);
    const logits = await whole.logits([...prompt, ...ids]);
    for (const [i, { id, logprob, top }] of logprobs!.entries()) {
      const row = logits[prompt.length - 1 + i]!;
      expect(id).toBe(ids[i]);
      expect(logprob).toBeCloseTo(logProbability(row, id), 4);
      const sorted = row.map((_, id) => ({ id, logprob: logProbability(row, id) }));
      sorted.sort((a, b) => b.logprob - a.logprob);
      expect(top.map((t) => t.id)).toEqual(sorted.slice(0, 3).map((t) => t.id));
      for (const [j, t] of top.entries()) expect(t.logprob).toBeCloseTo(sorted[j]!.logprob, 4);
    }
  });

  it("come with no others for true, not at all for false, and not for more tokens than there are", async () => {
    const run = (logprobs: boolean | number) => generate(model, [1, 2], { maxNewTokens: 2, logprobs });
    expect((await run(true)).logprobs!.map(({ top }) => top)).toEqual([[], []]);
    expect(await run(false)).not.toHaveProperty("logprobs");
    await expect(run(51)).rejects.toThrow("logprobs must be true, false or a whole number of tokens of the vocabulary");
  });
});
