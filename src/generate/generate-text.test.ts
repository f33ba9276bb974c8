import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyModel } from "../../test/support/tiny-model.js";
import { trainByteLevelBpe } from "../text/train-bpe.js";
import { type CompiledModel, compileModel } from "./compile-model.js";
import { generateText, streamText, type TextCompletion, type TextOptions } from "./generate-text.js";
import type { LogitsProcessor } from "./logits-processors.js";

// Trained on ASCII, so that other characters are several tokens each.
const tokenizer = trainByteLevelBpe(["the whale the sea the ship and the whale again, and again the sea"], {
  vocabSize: 300,
  specialTokens: { eos: "<end>" },
});
const config = {
  model_type: "gpt2",
  n_layer: 1,
  n_head: 2,
  n_embd: 16,
  n_positions: 256,
  vocab_size: tokenizer.vocabSize,
};
const model = tinyModel(config);
const eos = tokenizer.specialTokens.eos!;

let compiled: CompiledModel;
beforeAll(async () => {
  compiled = await compileModel(model, { threads: 1 });
});
afterAll(() => compiled.dispose());

/** Makes the model say a text, and then end. */
function saying(prompt: string, text: string): LogitsProcessor {
  const script = [...tokenizer.encode(text), eos];
  const start = tokenizer.encode(prompt).length;
  return (logits, history) => {
    logits.fill(Number.NEGATIVE_INFINITY);
    logits[script[history.length - start] ?? eos] = 0;
  };
}

async function pieces(
  prompt: string,
  text: string,
  options: TextOptions = {},
): Promise<{ told: string[]; completion: TextCompletion }> {
  const stream = streamText(compiled, tokenizer, prompt, {
    maxNewTokens: 200,
    logitsProcessors: [saying(prompt, text)],
    ...options,
  });
  const told: string[] = [];
  for (;;) {
    const { done, value } = await stream.next();
    if (done) return { told, completion: value };
    told.push(value);
  }
}

describe("streamText", () => {
  const prompt = "the whale";

  it("tells a text in whole characters, as soon as they are certain", async () => {
    const text = " naïve — 床前明月光 🐋👩‍👩‍👧 end";
    const { told, completion } = await pieces(prompt, text);
    expect(told.join("")).toBe(text);
    expect(told.length).toBeGreaterThan(20);
    for (const piece of told) {
      expect(piece).not.toBe("");
      expect(piece).not.toMatch(/[\uFFFD\p{Surrogate}]/u);
    }
    expect(completion).toEqual({ text, ids: [...tokenizer.encode(text), eos], finishReason: "eos" });
  });

  it("never tells part of a character, wherever the length cuts the text", async () => {
    const text = "ab 🐋 明 é z";
    for (let maxNewTokens = 1; maxNewTokens <= tokenizer.encode(text).length; maxNewTokens++) {
      const { told, completion } = await pieces(prompt, text, { maxNewTokens });
      expect(text.startsWith(told.join(""))).toBe(true);
      expect(completion).toMatchObject({ text: told.join(""), finishReason: "length" });
      expect(completion.ids).toHaveLength(maxNewTokens);
    }
  });

  it("ends before a stop string, however tokens cut it, and tells nothing of it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom("a", "the ", "whale", "é", "🐋", "\n"), minLength: 1, maxLength: 12 }),
        fc.array(fc.constantFrom("ale", "\n\n", "e🐋", "é", "hale the"), { maxLength: 2 }),
        async (text, stop) => {
          const { told, completion } = await pieces(prompt, text, { stop });
          const ends = stop
            .filter((s) => text.includes(s))
            .map((s) => ({ end: text.indexOf(s) + s.length, start: text.indexOf(s) }));
          ends.sort((a, b) => a.end - b.end || a.start - b.start);
          expect(told.join("")).toBe(ends.length > 0 ? text.slice(0, ends[0]!.start) : text);
          expect(completion.finishReason).toBe(ends.length > 0 ? "stop" : "eos");
          expect(completion.text).toBe(told.join(""));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("stops generating at the stop string, and takes it from the configuration where none is given", async () => {
    const { completion } = await pieces(prompt, "the ship the sea the whale", { stop: "sea" });
    expect(completion.text).toBe("the ship the ");
    expect(tokenizer.decode(completion.ids)).toBe("the ship the sea");
    const stopping = { ...compiled, model: { ...model, generation: { stop_strings: ["ship"] } } };
    const logitsProcessors = [saying(prompt, " ship")];
    expect(await generateText(stopping, tokenizer, prompt, { logitsProcessors })).toMatchObject({
      text: " ",
      finishReason: "stop",
    });
    expect(await generateText(stopping, tokenizer, prompt, { logitsProcessors, stop: [] })).toMatchObject({
      text: " ship",
    });
  });

  it("frees what it uses when the reader leaves, and when the signal ends it", async () => {
    for await (const piece of streamText(model, tokenizer, prompt, { maxNewTokens: 50, eosTokenId: [] }))
      if (piece !== "") break;
    const controller = new AbortController();
    const told: string[] = [];
    const run = async () => {
      for await (const piece of streamText(compiled, tokenizer, prompt, {
        maxNewTokens: 200,
        signal: controller.signal,
        logitsProcessors: [saying(prompt, " the sea".repeat(20))],
      })) {
        told.push(piece);
        if (told.length === 3) controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: "aborted" });
    expect(" the sea".repeat(20).startsWith(told.join(""))).toBe(true);
  });

  it("shows special tokens on request", async () => {
    expect((await pieces(prompt, " end", { skipSpecialTokens: false })).told.join("")).toBe(" end<end>");
  });
});

describe("generateText", () => {
  it("is what streamText tells, alone and in a batch", async () => {
    const options: TextOptions = { maxNewTokens: 30, temperature: 1.5, seed: 4, stop: ["e"] };
    const prompts = ["the whale", "and the sea again", "🐋"];
    const batch = await generateText(compiled, tokenizer, prompts, options);
    for (const [i, prompt] of prompts.entries()) {
      const alone = { ...options, seed: 4 + i };
      expect(await generateText(compiled, tokenizer, prompt, alone)).toEqual(batch[i]);
      let text = "";
      for await (const piece of streamText(compiled, tokenizer, prompt, alone)) text += piece;
      expect(text).toBe(batch[i]!.text);
    }
  });

  it("begins an empty prompt with the model's first token", async () => {
    const begins = { ...compiled, model: { ...model, generation: { bos_token_id: 65 } } };
    const one = await generateText(begins, tokenizer, "", { maxNewTokens: 5 });
    expect(one.ids).toEqual((await generateText(compiled, tokenizer, tokenizer.decode([65]), { maxNewTokens: 5 })).ids);
    await expect(generateText(compiled, tokenizer, "", {})).rejects.toThrow(
      "generate: the prompt is empty, and the model has no token to begin a text with. Give a prompt",
    );
  });

  it("searches beams", async () => {
    const options: TextOptions = { maxNewTokens: 6, numBeams: 3, numReturnSequences: 2, eosTokenId: [] };
    const found = await generateText(compiled, tokenizer, ["the whale"], options);
    expect(found).toHaveLength(2);
    for (const { ids, text, score } of found) {
      expect(score).toBeLessThan(0);
      expect(tokenizer.decode(ids).startsWith(text)).toBe(true);
    }
    let told = "";
    for await (const piece of streamText(compiled, tokenizer, "the whale", { ...options, numReturnSequences: 1 }))
      told += piece;
    expect(told).toBe(found[0]!.text);
    await expect(
      generateText(compiled, tokenizer, "the", { ...options, numReturnSequences: 1, stop: "x" }),
    ).rejects.toMatchObject({ code: "unsupported" });
  });

  it("refuses what makes no sense", async () => {
    await expect(generateText(compiled, tokenizer, "the", { stop: "" })).rejects.toThrow(
      'stop must be texts that are not empty, got ""',
    );
    await expect(generateText(compiled, tokenizer, "the", { maxNewTokens: -1 })).rejects.toMatchObject({
      code: "argument",
    });
    await expect(generateText(compiled, tokenizer, "the", { doSample: true, numReturnSequences: 2 })).rejects.toThrow(
      "Give a list of prompts",
    );
  });

  it.each([
    [[], "the first argument must be a model, as loadModel or compileModel gives it, got nothing"],
    [[model, "Call me"], 'the second argument must be a tokenizer, as loadTokenizer gives it, got "Call me"'],
    [[model, tokenizer], "prompt 0 must be a text \\(generate takes token ids\\), got nothing"],
    [[model, tokenizer, [1, 2]], "prompt 0 must be a text .*, got a number"],
    [[model, tokenizer, "Call me", 20], "options must be an object, got a number"],
  ])("refuses what only plain JavaScript can call it with: %#", async (args, message) => {
    const call = generateText as unknown as (...args: readonly unknown[]) => Promise<unknown>;
    await expect(call(...args)).rejects.toThrow(new RegExp(`^generateText: ${message}$`));
    const stream = streamText as unknown as (...args: readonly unknown[]) => AsyncGenerator<string>;
    if (!Array.isArray(args[2]))
      await expect(stream(...args).next()).rejects.toThrow(new RegExp(`^streamText: ${message}$`));
  });
});

describe("with an encoder-decoder", () => {
  const target = tinyModel({
    model_type: "seq2seq",
    vocab_size: tokenizer.vocabSize,
    embedding_size: 8,
    hidden_size: 8,
    decoder_start_token_id: eos,
  });
  /** Makes the model say a text, and then end. */
  const says = (text: string): LogitsProcessor => {
    const script = [...tokenizer.encode(text), eos];
    return (logits, history) => {
      logits.fill(Number.NEGATIVE_INFINITY);
      logits[script[history.length - 1] ?? eos] = 0;
    };
  };

  it("tells the target, which the prompt is no part of", async () => {
    const options: TextOptions = { maxNewTokens: 90, logitsProcessors: [says("naïve 🐋, the sea")] };
    const whole = { text: "naïve 🐋, the sea", finishReason: "eos" };
    expect(await generateText(target, tokenizer, "the whale", options)).toMatchObject(whole);
    expect(await generateText(target, tokenizer, ["the", "sea"], { ...options, numBeams: 2 })).toMatchObject([
      whole,
      whole,
    ]);
    expect(await generateText(target, tokenizer, "the whale", { ...options, stop: ", " })).toMatchObject({
      text: "naïve 🐋",
      finishReason: "stop",
    });
    let told = "";
    for await (const piece of streamText(target, tokenizer, "the whale", options)) told += piece;
    expect(told).toBe(whole.text);
  });

  it("hands on the log-probabilities", async () => {
    const options: TextOptions = { maxNewTokens: 4, eosTokenId: [], logprobs: 1 };
    for (const numBeams of [1, 2]) {
      const { ids, logprobs } = await generateText(target, tokenizer, "the sea", { ...options, numBeams });
      expect(logprobs!.map(({ id }) => id)).toEqual(ids);
      expect(logprobs!.every(({ logprob, top }) => top.length === 1 && top[0]!.logprob >= logprob)).toBe(true);
    }
  });
});
