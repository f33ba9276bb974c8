import { describe, expect, it } from "vitest";
import { blankLogits } from "../../test/support/blank-rows.js";
import { freshModel } from "../../test/support/fresh-model.js";
import { numbersOf } from "../../test/support/run-graph.js";
import type { HostTensor } from "../core/host-tensor.js";
import { families } from "../models/index.js";
import { add, mul } from "../ops/elementwise.js";
import { reshape } from "../ops/shape.js";
import { trainCharacterTokenizer } from "../text/index.js";
import {
  type AttentionMap,
  attentionMaps,
  capture,
  edit,
  type ModelInput,
  openProbe,
  patch,
  paths,
  withoutHeads,
} from "./index.js";

const gpt2 = freshModel("gpt2");
const t5 = freshModel("t5");
const ids = [3, 1, 4, 1, 5, 9, 2, 6];

const largest = (a: readonly number[], b: readonly number[]) => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
};

describe("paths", () => {
  it("tell every module output and observed value with its sizes, in the order of computation", () => {
    const found = paths(gpt2);
    expect(found.map(({ path }) => path).slice(0, 6)).toEqual([
      "transformer.wte",
      "transformer.wpe",
      "transformer.embeddings",
      "transformer.h.0.ln_1",
      "transformer.h.0.attn.c_attn",
      "transformer.h.0.attn.attention_weights",
    ]);
    expect(found.find(({ path }) => path === "transformer.h.1.attn.attention_weights")).toMatchObject({
      dtype: "float32",
      shape: ["b", 2, "t", "t"],
    });
  });

  it("tell an encoder-decoder's source from its target, and a module's second call from its first", () => {
    const shapes = new Map(paths(t5).map(({ path, shape }) => [path, shape]));
    expect(shapes.get("encoder.block.0.layer.0.SelfAttention.attention_weights")).toEqual(["b", 2, "s", "s"]);
    expect(shapes.get("decoder.block.1.layer.1.EncDecAttention.attention_weights")).toEqual(["b", 2, "t", "s"]);
    expect([shapes.get("shared"), shapes.get("shared@2")]).toEqual([
      ["b", "s", 16],
      ["b", "t", 16],
    ]);
  });

  it.each([...families.keys()])("%s: all can be captured, of a padded batch as of a single text", async (modelType) => {
    const model = freshModel(modelType, { padding: 0 });
    const pair = model.task === "seq2seq-lm";
    const short = ids.slice(0, 5);
    const wrap = (rows: readonly (readonly number[])[]) =>
      pair ? { source: rows, target: rows.map(() => [2, 7, 8]) } : { ids: rows };
    using probe = await openProbe(model, { capture: ["*"] });
    const [alone, batch] = [await probe.run(wrap([short])), await probe.run(wrap([short, ids]))];
    expect([...alone.values.keys()]).toEqual(paths(model).map(({ path }) => path));
    for (const [name, one] of Object.entries(alone.outputs)) {
      const own = numbersOf(one);
      expect(own.every(Number.isFinite)).toBe(true);
      const first = numbersOf(batch.outputs[name]!).slice(0, own.length); // padding stands behind the row's own tokens
      expect(largest(first, own), name).toBeLessThan(1e-4);
    }
  });
});

describe("capture", () => {
  it("gives the residual stream: a block's output is its input, its attention and its feed-forward", async () => {
    const at = ["transformer.h.0", "transformer.h.1.attn", "transformer.h.1.mlp", "transformer.h.1"];
    const { values } = await capture(gpt2, ids, at);
    const [before, attention, mlp, after] = at.map((path) => numbersOf(values.get(path)!));
    expect(
      largest(
        after!,
        before!.map((x, i) => x + attention![i]! + mlp![i]!),
      ),
    ).toBeLessThan(1e-5);
  });

  it("gives logits that are the last hidden state times the embedding", async () => {
    const { outputs, values } = await capture(gpt2, ids, ["hidden_states.2"]);
    const [path, state] = [...values][0]!;
    expect(path).toBe("transformer.ln_f");
    const embedding = gpt2.weights.get("transformer.wte.weight")!.data as Float32Array;
    const byHand = ids.flatMap((_, i) =>
      Array.from({ length: 40 }, (_, v) => {
        let sum = 0;
        for (let k = 0; k < 16; k++) sum += Number(state.data[i * 16 + k]) * embedding[v * 16 + k]!;
        return sum;
      }),
    );
    expect(largest(numbersOf(outputs.logits!), byHand)).toBeLessThan(1e-3);
  });

  it("gives causal attention whose rows add up to 1", async () => {
    const { values } = await capture(gpt2, ids, ["attentions"]);
    expect([...values.keys()]).toEqual([0, 1].map((i) => `transformer.h.${i}.attn.attention_weights`));
    for (const { data } of values.values())
      for (let row = 0; row < 2 * 8; row++) {
        const weights = Array.from(data.slice(row * 8, row * 8 + 8) as Float32Array);
        expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        expect(weights.slice((row % 8) + 1).every((w) => w === 0)).toBe(true);
      }
  });

  it("reads text with a tokenizer, and a target behind the token that targets start with", async () => {
    const tokenizer = trainCharacterTokenizer(["abcdefgh"], { specialTokens: { eos: "</s>" } });
    const text = await capture(gpt2, "cab", ["transformer.wte"], { tokenizer });
    const same = await capture(gpt2, tokenizer.encode("cab"), ["transformer.wte"]);
    expect(text.values).toEqual(same.values);
    const pair = await capture(t5, { source: "cab", target: "fed" }, ["shared@2"], { tokenizer });
    const target = [t5.facts.decoderStart!, ...tokenizer.encode("fed", { addSpecialTokens: false })];
    const alike = await capture(t5, { source: tokenizer.encode("cab"), target }, ["shared@2"]);
    expect(pair.values).toEqual(alike.values);
  });

  it.each([
    ["no tokens", [], "input: a row without tokens"],
    ["a token that is none", [1, 40], "input: token 40 is not in the vocabulary (40 tokens)"],
    ["too many tokens", Array(25).fill(1), "input: 25 tokens, the model sees 24 at once (25 vs 24)"],
    ["text without a tokenizer", "abc", "input: text needs a tokenizer"],
    ["a target", { source: [1], target: [2] }, "input: a model for causal-lm has no target"],
    [
      "a mask of another size",
      { ids: [1, 2], attentionMask: [1] },
      "attentionMask: must be as the input is, [1, 1] beside [1, 2]",
    ],
  ])("refuses %s", async (_, input, message) => {
    await expect(capture(gpt2, input as never, [])).rejects.toThrow(message);
  });

  it("refuses a path that is none with the nearest ones", async () => {
    await expect(capture(gpt2, ids, ["transformer.h.1.atn"])).rejects.toThrow(
      'capture: the model has nothing at "transformer.h.1.atn" (near it: transformer.h.1.attn, ',
    );
    await expect(capture(gpt2, ids, ["h.*.nothing"])).rejects.toMatchObject({ code: "argument" });
  });
});

describe("edit", () => {
  const weights = "transformer.h.0.attn.attention_weights";

  it("changes nothing when it gives back what it got", async () => {
    const plain = await capture(gpt2, ids, []);
    const { outputs } = await edit(gpt2, ids, { "*": (x) => x });
    expect(outputs.logits).toEqual(plain.outputs.logits);
  });

  it("takes heads away: without any, attention gives its projection's bias alone", async () => {
    const plain = numbersOf((await capture(gpt2, ids, [])).outputs.logits!);
    const one = await edit(gpt2, ids, { [weights]: withoutHeads(1) }, [weights]);
    expect(largest(numbersOf(one.outputs.logits!), plain)).toBeGreaterThan(1e-2);
    const kept = numbersOf(one.values.get(weights)!);
    expect([kept.slice(0, 64).some((w) => w > 0), kept.slice(64).some((w) => w !== 0)]).toEqual([true, false]);
    const model = { ...gpt2, weights: new Map(gpt2.weights) };
    const bias = Float32Array.from({ length: 16 }, (_, i) => i / 10);
    model.weights.set("transformer.h.0.attn.c_proj.bias", { dtype: "float32", shape: [16], data: bias });
    const { values } = await edit(model, ids, { [weights]: withoutHeads(0, 1) }, ["transformer.h.0.attn"]);
    expect(values.get("transformer.h.0.attn")!.data).toEqual(Float32Array.from(ids.flatMap(() => Array.from(bias))));
    await expect(edit(gpt2, ids, { [weights]: withoutHeads(2) })).rejects.toThrow(`${weights} has no head 2 (2 heads)`);
  });

  it("patches in another run: all of a layer gives that run's answer, one position changes what comes after it", async () => {
    const other = await capture(gpt2, [8, 8, 8, 7, 7, 7, 1, 2], ["transformer.h.0"]);
    const state = other.values.get("transformer.h.0")!;
    const all = await edit(gpt2, ids, { "transformer.h.0": patch(state) });
    expect(largest(numbersOf(all.outputs.logits!), numbersOf(other.outputs.logits!))).toBeLessThan(1e-4);
    const one = await edit(gpt2, ids, { "transformer.h.0": patch(state, [3]) });
    const plain = await capture(gpt2, ids, []);
    const difference = (from: number, to: number) =>
      largest(
        ...([one, plain].map((r) => numbersOf(r.outputs.logits!).slice(from * 40, to * 40)) as [number[], number[]]),
      );
    expect(difference(0, 3)).toBe(0);
    expect(difference(3, 4)).toBeGreaterThan(1e-2);
    expect(difference(7, 8)).toBeGreaterThan(1e-4);
    await expect(edit(gpt2, ids, { "transformer.h.0": patch(state, [8]) })).rejects.toThrow(
      "no position 8 (8 positions)",
    );
  });

  it("edits all that a pattern matches, in turn", async () => {
    const seen: string[] = [];
    const double = (x: Parameters<typeof add>[0], path: string) => {
      seen.push(path);
      return add(x, x);
    };
    const twice = await edit(gpt2, ids, { "*.mlp": double, "transformer.h.0.mlp": (x) => mul(x, 0.5) });
    expect(seen).toEqual(["transformer.h.0.mlp", "transformer.h.1.mlp"]);
    const once = await edit(gpt2, ids, { "transformer.h.1.mlp": (x) => add(x, x) });
    expect(largest(numbersOf(twice.outputs.logits!), numbersOf(once.outputs.logits!))).toBeLessThan(1e-4);
  });

  it("reaches both halves of an encoder-decoder", async () => {
    const input = { source: ids, target: [0, 3, 4] };
    const plain = numbersOf((await capture(t5, input, [])).outputs.logits!);
    for (const pattern of ["encoder.block.0", "cross_attentions.1"]) {
      const { outputs } = await edit(t5, input, { [pattern]: (x) => mul(x, 0) });
      expect(largest(numbersOf(outputs.logits!), plain), pattern).toBeGreaterThan(1e-4);
    }
  });

  it("refuses another shape, and an edit without any effect", async () => {
    await expect(edit(gpt2, ids, { "transformer.h.0": (x) => reshape(x, [8, 16]) })).rejects.toThrow(
      "edit: transformer.h.0 must stay of its type, float32[1, 8, 16] became float32[8, 16]",
    );
    // Bahdanau's weights are shown when the loop over the target is over.
    const input = { source: ids, target: [0, 3] };
    await expect(edit(freshModel("seq2seq"), input, { attentions: (x) => mul(x, 0) })).rejects.toThrow(
      "edit: nothing is computed from decoder.rnn.attention_weights",
    );
  });
});

describe("a model that fills blanks", () => {
  const model = freshModel("glm-2022");
  // A text of six tokens with blanks at 1 and 4, then what fills the second one and what fills the first.
  const row = {
    ids: [5, 1, 6, 7, 1, 8, 2, 9, 10, 2, 11],
    positions: [0, 1, 2, 3, 4, 5, 4, 4, 4, 1, 1],
    blockPositions: [0, 0, 0, 0, 0, 0, 1, 2, 3, 1, 2],
    prefix: 6,
  };
  const sees = async (input: ModelInput) => {
    const [{ queries, weights }] = (await attentionMaps(model, input)) as [AttentionMap];
    const t = queries.length;
    return queries.map((_, i) => queries.map((_, j) => weights[i * t + j]! > 0));
  };

  it("sees a text in both directions, also beside a longer one", async () => {
    expect((await sees(row.ids)).flat().every(Boolean)).toBe(true);
    const { values } = await capture(model, [row.ids, [3, 1, 4]], ["layers.0.*attention_weights"]);
    const [{ data, shape }] = [...values.values()] as [HostTensor];
    const [, heads, t] = shape as [number, number, number];
    const short = Array.from(data as Float32Array).slice(heads * t * t, heads * t * t + 3 * t); // of its first head
    expect(short.map((x) => x > 0)).toEqual([0, 1, 2].flatMap(() => row.ids.map((_, j) => j < 3)));
  });

  it("sees the text and what came before from a blank's content, with the logits of training", async () => {
    const { ids, prefix, positions, blockPositions } = row;
    const input = { ids, blanks: { prefix: [prefix], positions, blockPositions } };
    expect(await sees(input)).toEqual(ids.map((_, i) => ids.map((_, j) => j < prefix || j <= i)));
    const { outputs } = await capture(model, input, []);
    const [trained] = await blankLogits(model, [row], ids.length);
    expect(largest(numbersOf(outputs.logits!), trained!.flat())).toBeLessThan(1e-4);
  });

  it.each<[ModelInput, string]>([
    [
      { ids, blanks: { prefix: [1, 2], positions: ids, blockPositions: ids } },
      "blanks.prefix: one length for each row",
    ],
    [{ ids, blanks: { prefix: [1], positions: [1], blockPositions: ids } }, "positions: must be as the input is"],
    [
      { ids: [1], blanks: { prefix: [1], positions: [24], blockPositions: [0] } },
      "blanks.positions: there is no position 24",
    ],
  ])("%j is refused", async (input, message) => {
    await expect(capture(model, input, [])).rejects.toThrow(message);
  });

  it("and no other model has blanks", async () => {
    const input = { ids, blanks: { prefix: [1], positions: ids, blockPositions: ids } };
    await expect(capture(gpt2, input, [])).rejects.toThrow("blanks: a model for causal-lm fills none");
  });
});
