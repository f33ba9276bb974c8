import { afterAll, describe, expect, it } from "vitest";
import { wholeModel } from "../../test/support/decode.js";
import { tinyConfigs, tinyModel } from "../../test/support/tiny-model.js";
import { module } from "../core/module.js";
import { randomStream } from "../core/random-stream.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { transformerBlock } from "../nn/transformer-block.js";
import { type CompiledModel, compileModel, type GenerationModel } from "./compile-model.js";

const tokens = (count: number, below: number, name: string) => {
  const random = randomStream(5, name);
  return Array.from({ length: count }, () => random.below(below));
};

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));
};

describe.each(Object.entries(tinyConfigs))("cached decoding of %s", (_, config) => {
  const model = tinyModel(config);
  const vocab = model.facts.vocabSize;

  it("has the logits of the whole text at every step, from any first part", async () => {
    using whole = await wholeModel(model);
    using compiled = await compileModel(model, { threads: 1 });
    using decoder = compiled.decoder({ capacity: 4 }); // grows on the way
    const text = tokens(30, vocab, "text");
    const expected = await whole.logits(text);
    expect(Math.max(...expected.flat().map(Math.abs))).toBeGreaterThan(0.5);
    for (const parts of [[1], [7], [30], [3, 4, 1, 9]]) {
      decoder.clear(0);
      for (const count of parts) {
        const logits = await decoder.append(0, text.slice(decoder.length(0), decoder.length(0) + count));
        expect(difference(logits, expected[decoder.length(0) - 1]!)).toBeLessThan(2e-5);
      }
      while (decoder.length(0) < text.length) {
        const [logits] = await decoder.step([text[decoder.length(0)]]);
        expect(difference(logits!, expected[decoder.length(0) - 1]!)).toBeLessThan(2e-5);
      }
    }
  });

  it("keeps rows of different lengths apart, while some wait and one is copied", async () => {
    using compiled = await compileModel(model, { threads: 1 });
    const texts = [tokens(20, vocab, "a"), tokens(20, vocab, "b"), tokens(20, vocab, "c")];
    const alone = async (text: readonly number[]) => {
      using decoder = compiled.decoder({});
      return [...(await decoder.append(0, text))];
    };
    using decoder = compiled.decoder({ batch: 4, capacity: 2 });
    await decoder.append(2, texts[2]!.slice(0, 5));
    await decoder.append(0, texts[0]!.slice(0, 2));
    await decoder.step([texts[0]![2], undefined, undefined, undefined]);
    await decoder.append(1, texts[1]!.slice(0, 9));
    for (let round = 0; round < 6; round++) {
      const waits = (row: number) => (round + row) % 3 === 0;
      const next = texts.map((text, row) => (waits(row) ? undefined : text[decoder.length(row)]!));
      const logits = (await decoder.step([...next, undefined])).map((view) => [...view]);
      for (const row of [0, 1, 2])
        if (!waits(row))
          expect(difference(logits[row]!, await alone(texts[row]!.slice(0, decoder.length(row))))).toBeLessThan(2e-5);
    }
    decoder.copyRow(1, 3);
    decoder.copyRow(2, 0);
    const seen = texts[1]!.slice(0, decoder.length(1));
    const others = texts[2]!.slice(0, decoder.length(2));
    expect(decoder.length(3)).toBe(seen.length);
    const after = (await decoder.step([7, 3, undefined, 4])).map((view) => [...view]);
    expect(difference(after[0]!, await alone([...others, 7]))).toBeLessThan(2e-5);
    expect(difference(after[1]!, await alone([...seen, 3]))).toBeLessThan(2e-5);
    expect(difference(after[3]!, await alone([...seen, 4]))).toBeLessThan(2e-5);
  });
});

describe("a decoder", () => {
  const model: GenerationModel = tinyModel(tinyConfigs.gpt2);
  const compiled: Promise<CompiledModel> = compileModel(model, { threads: 1 });
  afterAll(async () => (await compiled).dispose());

  it("fills the context to its end, and refuses the token after it", async () => {
    using decoder = (await compiled).decoder({ batch: 2, capacity: 1 });
    await decoder.append(0, tokens(31, 50, "long"));
    await decoder.append(1, [1]);
    await decoder.step([1, 2]);
    expect(decoder.length(0)).toBe(32);
    await expect(decoder.step([1, 2])).rejects.toThrow(
      "decoder.step: row 0 would have 33 tokens, the model sees 32 at once (33 vs 32)",
    );
    await decoder.step([undefined, 2]);
    await expect(decoder.append(1, tokens(30, 50, "long"))).rejects.toThrow("33 vs 32");
    expect(decoder.length(1)).toBe(3);
  });

  it("names what is wrong with a call", async () => {
    using decoder = (await compiled).decoder({ batch: 2 });
    await expect(decoder.append(0, [])).rejects.toThrow("decoder.append: no tokens for row 0");
    await expect(decoder.append(2, [1])).rejects.toThrow("decoder.append: there is no row 2 (2 rows)");
    await expect(decoder.append(0, [50])).rejects.toThrow("token id 50 is not in the vocabulary (50 tokens)");
    await expect(decoder.append(0, [1.5])).rejects.toThrow("token id 1.5 is not in the vocabulary");
    await expect(decoder.step([1])).rejects.toThrow("1 tokens for 2 rows (1 vs 2)");
    await expect(decoder.step([1, -1])).rejects.toThrow("token id -1");
    expect(() => decoder.copyRow(0, 5)).toThrow("there is no row 5");
    for (const options of [{ batch: 0 }, { batch: 1.5 }, { capacity: 0 }, { capacity: Number.NaN }])
      await expect((async () => (await compiled).decoder(options))()).rejects.toThrow("must be a whole number above 0");
  });

  it("is as before after a run that was aborted", async () => {
    using decoder = (await compiled).decoder();
    using other = (await compiled).decoder();
    const text = tokens(6, 50, "abort");
    await decoder.append(0, text);
    await other.append(0, text);
    await expect(decoder.step([3], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    expect(decoder.length(0)).toBe(6);
    expect([...(await decoder.step([3]))[0]!]).toEqual([...(await other.step([3]))[0]!]);
  });

  it("has the same logits with and without weights packed by the engine", async () => {
    const text = tokens(9, 50, "packed");
    const [packed, plain] = await Promise.all(
      [true, false].map(async (packWeights) => {
        using other = await compileModel(model, { threads: 1, packWeights });
        using decoder = other.decoder();
        return [...(await decoder.append(0, text)), ...(await decoder.step([4]))[0]!];
      }),
    );
    expect(difference(packed!, plain!)).toBeLessThan(1e-5);
  });

  it("refuses a model that is not causal", async () => {
    const seesAll = module(
      { embed: embedToken(9, 8), block: transformerBlock({ d: 8, heads: 1 }) },
      ({ embed, block }, ids: Tensor, ctx: Context): Tensor => block(embed(ids), ctx),
    );
    await expect(compileModel({ ...model, module: seesAll })).rejects.toThrow(
      'self_attn.attend: decoding sees no later tokens, the mask is "none"',
    );
  });
});
