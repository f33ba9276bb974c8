import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openEncoder } from "../../test/support/encoder.js";
import { parametersOf } from "../core/module.js";
import { describeModel } from "../pretrained/load-model.js";
import { bert } from "./bert.js";
import { distilbert } from "./distilbert.js";
import { families } from "./index.js";
import { roberta } from "./roberta.js";

const sizes = { vocabSize: 30, contextLength: 12, layers: 2, heads: 3, d: 12, dropout: 0.1 };
const fresh = {
  bert: { model_type: "bert", ...bert.fresh(sizes) },
  roberta: { model_type: "roberta", ...roberta.fresh(sizes) },
  distilbert: { model_type: "distilbert", ...distilbert.fresh(sizes) },
};
const config = (family: keyof typeof fresh, architecture: string, over: object = {}) => ({
  ...fresh[family],
  architectures: [architecture],
  ...over,
});
const names = (raw: Readonly<Record<string, unknown>>) => [
  ...parametersOf(describeModel(raw, "config.json").module).keys(),
];

describe("padding changes no answer", () => {
  test.each([
    ["bert", "BertModel", 0],
    ["bert", "BertForMaskedLM", 0],
    ["bert", "BertForQuestionAnswering", 0],
    ["bert", "BertForNextSentencePrediction", 0],
    ["roberta", "RobertaForSequenceClassification", 1],
    ["roberta", "RobertaForTokenClassification", 1],
    ["distilbert", "DistilBertForSequenceClassification", 0],
    ["distilbert", "DistilBertModel", 0],
  ] as const)("of %s: %s", async (family, architecture, pad) => {
    using encoder = await openEncoder(config(family, architecture));
    const text = fc.array(fc.integer({ min: 2, max: sizes.vocabSize - 1 }), { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 2, maxLength: 4 }), async (texts) => {
        const longest = Math.max(...texts.map((ids) => ids.length));
        const fill = (row: readonly number[], value: number) => [
          ...row,
          ...Array<number>(longest - row.length).fill(value),
        ];
        const together = await encoder.run(
          texts.map((ids) => fill(ids, pad)),
          texts.map((ids) =>
            fill(
              ids.map(() => 1),
              0,
            ),
          ),
        );
        for (const [r, ids] of texts.entries())
          for (const [name, { shape, values }] of Object.entries(await encoder.run([ids]))) {
            const row = together[name]!.values.length / texts.length;
            const inBatch = together[name]!.values.slice(r * row, r * row + values.length); // padding's own follow
            const difference = Math.max(...values.map((x, i) => Math.abs(x - inBatch[i]!)));
            expect(difference, `${name} ${shape.join("×")}`).toBeLessThan(2e-5);
          }
      }),
      { numRuns: 12, seed: 1 },
    );
  });
});

describe("segments", () => {
  const ids = [[5, 6, 7, 8]];
  const differs = async (family: keyof typeof fresh, architecture: string) => {
    using encoder = await openEncoder(config(family, architecture));
    const [first, second] = [await encoder.run(ids), await encoder.run(ids, undefined, [[0, 0, 1, 1]])];
    return JSON.stringify(first) !== JSON.stringify(second);
  };
  test("matter to BERT", async () => expect(await differs("bert", "BertForMaskedLM")).toBe(true));
  test("are none of DistilBERT's", async () => expect(await differs("distilbert", "DistilBertModel")).toBe(false));
});

test("a RoBERTa token stands behind the padding id and those before it that are no padding, wherever its row begins", async () => {
  using encoder = await openEncoder(config("roberta", "RobertaModel"));
  const alone = (await encoder.run([[5, 6, 7]])).last_hidden_state!.values;
  const behind = (await encoder.run([[1, 1, 5, 6, 7]], [[0, 0, 1, 1, 1]])).last_hidden_state!.values.slice(2 * sizes.d);
  expect(Math.max(...alone.map((x, i) => Math.abs(x - behind[i]!)))).toBeLessThan(1e-5);
});

describe("parameters", () => {
  const mlm = names(config("bert", "BertForMaskedLM"));
  test("of heads", () => {
    expect(mlm.filter((name) => !name.startsWith("bert.encoder."))).toEqual([
      "bert.embeddings.word_embeddings.weight",
      "bert.embeddings.position_embeddings.weight",
      "bert.embeddings.token_type_embeddings.weight",
      "bert.embeddings.LayerNorm.weight",
      "bert.embeddings.LayerNorm.bias",
      "cls.predictions.transform.dense.weight",
      "cls.predictions.transform.dense.bias",
      "cls.predictions.transform.LayerNorm.weight",
      "cls.predictions.transform.LayerNorm.bias",
      "cls.predictions.bias",
    ]);
    const added = names(config("bert", "BertForMaskedLM", { tie_word_embeddings: false }));
    expect(added.filter((name) => !mlm.includes(name))).toEqual([
      "cls.predictions.decoder.weight",
      "cls.predictions.decoder.bias",
    ]);
    const distil = names(config("distilbert", "DistilBertForMaskedLM", { tie_word_embeddings: false }));
    expect(distil.filter((name) => name.startsWith("vocab_projector"))).toEqual([
      "vocab_projector.weight",
      "vocab_projector.bias",
    ]);
  });
  test("of a classifier follow its labels", () => {
    const raw = config("roberta", "RobertaForSequenceClassification", { id2label: { 0: "a", 1: "b", 2: "c" } });
    const { module, facts } = describeModel(raw, "config.json");
    expect(parametersOf(module).get("classifier.out_proj.weight")!.shape).toEqual([3, sizes.d]);
    expect(facts.labels!.names).toEqual(["a", "b", "c"]);
  });
  test("XLM-RoBERTa's are RoBERTa's", () => {
    const raw = { ...fresh.roberta, model_type: "xlm-roberta", architectures: ["XLMRobertaForMaskedLM"] };
    expect(names(raw)).toEqual(names(config("roberta", "RobertaForMaskedLM")));
  });
});

test.each(["bert", "roberta", "xlm-roberta", "distilbert"])("a fresh %s sees the tokens asked for", (type) => {
  const raw = { model_type: type, ...families.get(type)!.fresh({ ...sizes, padding: 7 }) };
  const { facts, task } = describeModel(raw, "config.json");
  expect({ ...facts, task }).toMatchObject({ vocabSize: 30, contextLength: 12, padding: 7, task: "masked-lm" });
});

describe("configurations that are refused", () => {
  test.each([
    [
      "bert",
      { position_embedding_type: "relative_key" },
      'position_embedding_type "relative_key" is not supported (only "absolute")',
    ],
    ["bert", { is_decoder: true }, "is_decoder true is not supported (only false)"],
    ["bert", { num_attention_heads: 5 }, "hidden_size 12 does not divide into num_attention_heads 5"],
    ["bert", { hidden_act: "prelu" }, "hidden_act must be one of gelu, "],
    ["bert", { architectures: ["BertForMultipleChoice"] }, "architecture BertForMultipleChoice is not supported"],
    ["roberta", { pad_token_id: 13 }, "max_position_embeddings leaves no position behind pad_token_id (14 vs 13)"],
    ["distilbert", { n_heads: 5 }, "dim 12 does not divide into n_heads 5"],
    ["distilbert", { vocab_size: undefined }, "vocab_size is missing"],
  ] as const)("%s %j", (family, over, message) => {
    expect(() => describeModel({ ...fresh[family], ...over }, "config.json")).toThrow(`config.json: ${message}`);
  });
});
