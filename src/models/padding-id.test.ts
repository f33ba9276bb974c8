import { describe, expect, test } from "vitest";
import { tinyModel } from "../../test/support/tiny-model.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { parametersOf, parameterTree } from "../core/module.js";
import { Tensor } from "../core/tensor.js";
import { sequenceContext } from "../nn/context.js";
import { add, mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { describeModel } from "../pretrained/load-model.js";
import { evaluate } from "../runtime/evaluate.js";
import { nativeRuntime } from "../runtime/native.js";
import { grad } from "../transforms/grad.js";
import { familyOf } from "./index.js";

const sizes = { vocabSize: 9, contextLength: 12, layers: 1, heads: 2, d: 8, dropout: 0 };
const of = (family: string, over: object = {}) => ({
  model_type: family,
  ...familyOf(family, "test").fresh(sizes),
  ...over,
});
const ids = [3, 0, 8, 0, 5, 4];

/** Of the rows of a table that the text names as ids: those that have no gradient. */
async function unfeltRows(config: Readonly<Record<string, unknown>>, table: string): Promise<readonly number[]> {
  const { module, weights } = tinyModel(config);
  expect([...parametersOf(module).keys()]).toContain(table);
  const feeds: Readonly<Record<string, HostTensor>> = {
    ...Object.fromEntries(weights),
    ids: hostTensor(ids, [1, ids.length], "int64"),
  };
  const { gradient } = await evaluate(nativeRuntime(), feeds, (given) => {
    const ctx = sequenceContext({ batch: 1, length: ids.length });
    const tree = parameterTree(module, (path) => given[path]);
    const outputs = module(tree, given.ids!, ctx) as Tensor | Readonly<Record<string, Tensor>>;
    const loss = Object.values(outputs instanceof Tensor ? [outputs] : outputs)
      .map((y) => sum(mul(y, y)))
      .reduce((a, b) => add(a, b));
    return { gradient: grad(loss, [given[table]!])[0]! };
  });
  const d = gradient.shape[1]!;
  const still = (row: number) => gradient.data.slice(row * d, (row + 1) * d).every((x) => x === 0);
  return [...new Set(ids)].filter(still);
}

const llama = "model.embed_tokens.weight";
const bert = "bert.embeddings.word_embeddings.weight";
const untied = { tie_word_embeddings: false };
const masked = (family: string, name: string, over: object = {}) =>
  of(family, { architectures: [`${name}ForMaskedLM`], pad_token_id: 0, ...over });

describe("padding inside the text", () => {
  test.each([
    [of("llama", { ...untied, pad_token_id: 0 }), llama],
    [of("mistral", { ...untied, pad_token_id: 0 }), llama],
    [of("qwen2", { ...untied, pad_token_id: 0 }), llama],
    [of("qwen3", { ...untied, pad_token_id: 0 }), llama],
    [of("glm", { ...untied, pad_token_id: 0 }), llama],
    [of("glm4", { ...untied, pad_token_id: 0 }), llama],
    [of("opt", { ...untied, pad_token_id: 0 }), "model.decoder.embed_tokens.weight"],
    [masked("bert", "Bert", untied), bert],
    [masked("roberta", "Roberta", untied), "roberta.embeddings.word_embeddings.weight"],
    [masked("distilbert", "DistilBert", untied), "distilbert.embeddings.word_embeddings.weight"],
    [of("ulmfit", { tie_weights: false, pad_token_id: 0 }), "0.encoder.weight"],
    [of("bart", { architectures: ["BartModel"], pad_token_id: 0 }), "shared.weight"],
  ])("moves no vector of its own: %j", async (config, table) => {
    expect(await unfeltRows(config, table)).toEqual([0]);
  });

  test("moves no position of its own in RoBERTa, whose tokens stand at 1, 2, 3 and 4", async () => {
    const table = "roberta.embeddings.position_embeddings.weight";
    expect(await unfeltRows(masked("roberta", "Roberta"), table)).toEqual([0, 8, 5]);
  });

  test.each([
    [of("gpt2", { pad_token_id: 0, ...untied }), "transformer.wte.weight"],
    [of("gpt_neo", { pad_token_id: 0, ...untied }), "transformer.wte.weight"],
    [of("gpt_neox", { pad_token_id: 0, ...untied }), "gpt_neox.embed_in.weight"],
    [of("bloom", { pad_token_id: 0, ...untied }), "transformer.word_embeddings.weight"],
    [of("llama", untied), llama],
    [of("glm", { ...untied, pad_token_id: null }), llama],
    [masked("bert", "Bert", { ...untied, pad_token_id: null }), bert],
    [
      masked("distilbert", "DistilBert", { ...untied, pad_token_id: null }),
      "distilbert.embeddings.word_embeddings.weight",
    ],
    [of("bart", { architectures: ["BartModel"], pad_token_id: null }), "shared.weight"],
    [of("llama", { pad_token_id: 0 }), llama], // the head is the same table
    [masked("bert", "Bert"), bert],
  ])("is a token as others to %j", async (config, table) => {
    expect(await unfeltRows(config, table)).toEqual([]);
  });

  test("counts from behind the last token when it is negative", async () => {
    expect(await unfeltRows(of("llama", { ...untied, pad_token_id: -1 }), llama)).toEqual([8]);
  });
});

test.each([9, -10])("padding %i, which no row of the table is, is refused", (pad) => {
  expect(() => describeModel(of("llama", { pad_token_id: pad }), "config.json")).toThrow(
    `config.json: pad_token_id ${pad} is no token of vocab_size 9`,
  );
});

test("RoBERTa, whose positions count from behind the padding, has to have one", () => {
  const config = { ...masked("roberta", "Roberta"), pad_token_id: null };
  expect(() => describeModel(config, "config.json")).toThrow("config.json: pad_token_id must be a token");
});

test("without padding, a fresh Marian's target begins with the id that its class has for it", () => {
  const config = { ...of("marian"), vocab_size: 58101, pad_token_id: null };
  expect(describeModel(config, "config.json").facts).toMatchObject({ padding: undefined, decoderStart: 58100 });
});
