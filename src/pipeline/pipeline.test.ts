import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, expectTypeOf, it } from "vitest";
import { openEncoder } from "../../test/support/encoder.js";
import {
  byteLevel,
  labelled,
  tinyBert,
  tinyGpt2,
  tinyT5,
  unigram,
  wordPiece,
} from "../../test/support/tiny-pipeline.js";
import { generate, generateText } from "../generate/index.js";
import { saveModel } from "../pretrained/index.js";
import { saveTokenizer } from "../text/index.js";
import type { Answer, Entity, EntityGroup, FilledMask, LabelScore } from "./index.js";
import { pipeline } from "./pipeline.js";
import { sigmoid, softmax } from "./probabilities.js";

const long = "The white whale dived under the ship in the cold waters, and ahab said: where is the whale? ".repeat(3);
const texts = ["The whale dived.", "Ahab sails from Nantucket with a crew of many men, said the captain.", "ship"];

/** The rows of one text's output, computed without a pipeline. */
async function outputOf(config: Readonly<Record<string, unknown>>, text: string, name: string, pair?: string) {
  using encoder = await openEncoder(config);
  const { ids, typeIds } = wordPiece.encoding(text, pair === undefined ? {} : { pair });
  const { shape, values } = (await encoder.run([ids], [ids.map(() => 1)], [typeIds]))[name]!;
  const width = shape.at(-1)!;
  const rows = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  return { ids, rows };
}

/** Equal, with numbers as near as floats are. */
function expectNear(found: unknown, expected: unknown): void {
  if (typeof expected === "number") expect(found).toBeCloseTo(expected, 5);
  else if (typeof expected !== "object" || expected === null) expect(found).toBe(expected);
  else {
    expect(Object.keys(found as object)).toEqual(Object.keys(expected));
    for (const [key, value] of Object.entries(expected)) expectNear((found as Record<string, unknown>)[key], value);
  }
}

describe("fill-mask", () => {
  const model = tinyBert("BertForMaskedLM");
  const text = "the [MASK] dived";

  it("gives the most probable tokens, and the text with them", async () => {
    using fill = await pipeline("fill-mask", model);
    const { ids, rows } = await outputOf(model.config, text, "logits");
    const probabilities = [...softmax(rows[ids.indexOf(wordPiece.specialTokens.mask!)]!)];
    const best = probabilities.map((score, token) => ({ score, token })).sort((a, b) => b.score - a.score);
    const expected = best.slice(0, 5).map(({ score, token }) => {
      const token_str = wordPiece.decode([token]);
      const inner = ids.map((id) => (id === wordPiece.specialTokens.mask ? token : id));
      return { score, token, token_str, sequence: wordPiece.decode(inner, { skipSpecialTokens: true }) };
    });
    expectNear(await fill(text), expected);
    expect(await fill(text, { topK: 2 })).toHaveLength(2);
  });

  it("several masks have a list each, and stay in each other's text", async () => {
    using fill = await pipeline("fill-mask", model);
    const [first, second] = (await fill("[MASK] the [MASK]", { topK: 1 })) as readonly (readonly FilledMask[])[];
    expect(first![0]!.sequence).toMatch(/^\[CLS\] .+ the \[MASK\] \[SEP\]$/);
    expect(second![0]!.sequence).toMatch(/^\[CLS\] \[MASK\] the .+ \[SEP\]$/);
  });

  it("looks at targets alone, with the probabilities they have among all", async () => {
    using fill = await pipeline("fill-mask", model);
    const all = (await fill(text, { topK: wordPiece.vocabSize })) as readonly FilledMask[];
    const found = (await fill(text, { targets: ["whale", "captain", "whale"], topK: 9 })) as readonly FilledMask[];
    expect(found.map(({ token_str }) => token_str).sort()).toEqual(["captain", "whale"]);
    expectNear(
      found,
      all.filter(({ token }) => ["whale", "captain"].includes(wordPiece.tokenOf(token)!)),
    );
    await expect(fill(text, { targets: "" })).rejects.toThrow('no token stands for the target ""');
    await expect(fill(text, { targets: [] })).rejects.toThrow("targets is empty");
  });

  it("wants a mask, and a tokenizer that has one", async () => {
    using fill = await pipeline("fill-mask", model);
    await expect(fill(["[MASK]", "no mask"])).rejects.toThrow("pipeline fill-mask: text 1 has no mask, write [MASK]");
    await expect(pipeline("fill-mask", { ...model, tokenizer: byteLevel })).rejects.toThrow("has no mask token");
  });
});

describe("text-classification", () => {
  const three = labelled("sea", "land", "sky");
  const text = texts[0]!;

  it.each([
    ["softmax", three, softmax],
    ["softmax", { ...three, problem_type: "single_label_classification" }, softmax],
    ["sigmoid", { ...three, problem_type: "multi_label_classification" }, sigmoid],
    ["sigmoid", labelled("truth"), sigmoid],
    ["sigmoid", { ...labelled("truth"), problem_type: "single_label_classification" }, sigmoid],
    ["none", { ...labelled("stars"), problem_type: "regression" }, (x: number[]) => x],
  ] as const)("%s for %j", async (_, labels, apply) => {
    const model = tinyBert("BertForSequenceClassification", labels);
    const { rows } = await outputOf(model.config, text, "logits");
    const names = Object.values(labels.id2label);
    const expected = [...apply(rows[0]!)]
      .map((score, i) => ({ label: names[i]!, score }))
      .sort((a, b) => b.score - a.score);
    using classify = await pipeline("text-classification", model);
    expectNear(await classify(text, { topK: null }), expected);
    expectNear(await classify(text), expected.slice(0, 1));
    expectNear(await classify([text, text]), [expected[0], expected[0]]);
    expectNear(await classify([text], { topK: 2 }), [expected.slice(0, 2)]);
    expectNear(
      (await classify(text, { functionToApply: "none", topK: null })).map(({ score }) => score),
      [...rows[0]!].sort((a, b) => b - a),
    );
  });

  it("reads pairs with the types of the second text", async () => {
    const model = tinyBert("BertForSequenceClassification", three);
    const { rows } = await outputOf(model.config, "the whale", "logits", "the ship");
    using classify = await pipeline("text-classification", model);
    const [{ score }] = (await classify({ text: "the whale", pair: "the ship" })) as [LabelScore];
    expect(score).toBeCloseTo(Math.max(...softmax(rows[0]!)), 5);
  });

  it("a text longer than the model is refused, or cut", async () => {
    using classify = await pipeline("text-classification", tinyBert("BertForSequenceClassification", three));
    await expect(classify(["ship", long])).rejects.toThrow(/text 1 has \d+ tokens, the model reads 48 at once/);
    const inner = wordPiece.encode(long, { addSpecialTokens: false }).slice(0, 46);
    expectNear(await classify(long, { truncation: true }), await classify(wordPiece.decode(inner)));
    const [cut] = await classify([{ text: long, pair: "ship" }], { truncation: true, maxLength: 20 });
    expect(cut!.score).toBeGreaterThan(0);
  });
});

it("has transformers' other names of tasks", async () => {
  const [classifier, tagger] = [tinyBert("BertForSequenceClassification"), tinyBert("BertForTokenClassification")];
  using classify = await pipeline("text-classification", classifier);
  using feel = await pipeline("sentiment-analysis", classifier);
  expect(await feel(texts)).toEqual(await classify(texts));
  using tag = await pipeline("token-classification", tagger);
  using name = await pipeline("ner", tagger);
  expect(await name(texts)).toEqual(await tag(texts));
  await expect(name(1 as never)).rejects.toThrow("pipeline ner: called with 1");
});

describe("token-classification", () => {
  const labels = labelled("O", "B-PER", "I-PER", "B-LOC", "I-LOC");
  const model = tinyBert("BertForTokenClassification", labels);
  const text = "Ahab sails from Nantucket";

  it("labels tokens, with their places in the text", async () => {
    using tag = await pipeline("token-classification", model);
    const { ids, rows } = await outputOf(model.config, text, "logits");
    const all = await tag(text, { ignoreLabels: [] });
    expect(all.length).toBe(ids.length - 2);
    for (const [i, entity] of all.entries()) {
      const scores = softmax(rows[i + 1]!);
      expect(entity.index).toBe(i + 1);
      expect(entity.score).toBeCloseTo(Math.max(...scores), 5);
      expect(entity.entity).toBe(Object.values(labels.id2label)[scores.indexOf(Math.max(...scores))]);
      expect(text.slice(entity.start, entity.end).toLowerCase()).toBe(entity.word.replace("##", ""));
    }
    expect(await tag(text)).toEqual(all.filter(({ entity }) => entity !== "O"));
    expect(await tag(text, { ignoreLabels: ["B-PER", "O"] })).toEqual(
      all.filter(({ entity }) => !["B-PER", "O"].includes(entity)),
    );
  });

  it("groups into entities, whose words are whole", async () => {
    using tag = await pipeline("token-classification", model);
    const groups = await tag(text, { aggregationStrategy: "average", ignoreLabels: [] });
    expect(groups.map(({ start, end }) => text.slice(start, end).toLowerCase())).toEqual(
      groups.map(({ word }) => word),
    );
    expect(groups.map(({ word }) => word).join(" ")).toBe(text.toLowerCase());
  });

  it("reads a long text in windows, where asked to", async () => {
    using tag = await pipeline("token-classification", model);
    const cut = await tag(long, { aggregationStrategy: "simple", ignoreLabels: [] });
    const whole = await tag(long, { aggregationStrategy: "simple", ignoreLabels: [], stride: 8 });
    expect(cut.at(-1)!.end).toBeLessThan(long.length / 2);
    expect(whole.at(-1)!.end).toBe(long.trimEnd().length);
    for (const [i, { start }] of whole.entries()) if (i > 0) expect(start).toBeGreaterThanOrEqual(whole[i - 1]!.end);
    await expect(tag(long, { stride: 8 })).rejects.toThrow("stride needs an aggregationStrategy");
    await expect(tag(long, { stride: 46, aggregationStrategy: "max" })).rejects.toThrow("a whole number below 46");
  });
});

describe("question-answering", () => {
  const model = tinyBert("BertForQuestionAnswering");
  const question = "Where is the whale?";
  const context = "The white whale dived under the ship.";

  it("answers with the most probable stretch of the context, in whole words", async () => {
    using answer = await pipeline("question-answering", model);
    const [starts, ends] = await Promise.all(
      ["start_logits", "end_logits"].map(
        async (name) => (await outputOf(model.config, question, name, context)).rows[0]!,
      ),
    );
    const { ids, typeIds } = wordPiece.encoding(question, { pair: context });
    const may = ids.map((id, i) => i === 0 || (typeIds[i] === 1 && id !== wordPiece.specialTokens.sep));
    const over = (logits: number[]) => softmax(logits.map((x, i) => (may[i] ? x : Number.NEGATIVE_INFINITY)));
    const [s, e] = [over(starts!), over(ends!)];
    let best = 0;
    for (let i = 1; i < ids.length; i++)
      for (let j = i; j < Math.min(ids.length, i + 15); j++) best = Math.max(best, s[i]! * e[j]!);
    const found = await answer({ question, context }, { alignToWords: false, topK: 1 });
    expect(found[0]!.score).toBeCloseTo(best, 6);

    const { start, end, answer: text, score } = await answer({ question, context });
    expect(context.slice(start, end)).toBe(text);
    expect(text).toMatch(/^[\w.].*[\w.]$|^[\w.]$/);
    expect(/\w/.test(context[start - 1] ?? " ") && /\w/.test(text[0]!)).toBe(false);
    expect(score).toBeGreaterThanOrEqual(found[0]!.score - 1e-6);
  });

  it("gives as many answers as are asked for, no two the same, best first", async () => {
    using answer = await pipeline("question-answering", model);
    const answers = await answer({ question, context }, { topK: 4 });
    expect(answers).toHaveLength(4);
    expect(new Set(answers.map((a) => a.answer.toLowerCase())).size).toBe(4);
    for (const [i, { score }] of answers.entries()) if (i > 0) expect(score).toBeLessThanOrEqual(answers[i - 1]!.score);
    for (const { answer: text } of await answer(
      { question, context },
      { topK: 4, maxAnswerLen: 1, alignToWords: false },
    ))
      expect(wordPiece.encode(text, { addSpecialTokens: false })).toHaveLength(1);
    const [either] = [await answer({ question, context }, { topK: 50, handleImpossibleAnswer: true })];
    expect(either.filter(({ answer }) => answer === "")).toHaveLength(1);
  });

  it("reads a long context in windows", async () => {
    using answer = await pipeline("question-answering", model);
    const filler = "the crew sang and the men of the ship said no. ";
    const answers = await answer({ question, context: filler.repeat(6) + long }, { topK: 200, docStride: 10 });
    expect(answers.some(({ start }) => start > filler.length * 6)).toBe(true);
    await expect(answer({ question, context: long }, { docStride: 47 })).rejects.toThrow("Give a smaller docStride");
    await expect(answer({ question, context: long }, { maxSeqLen: 9 })).rejects.toThrow("no room for the context");
    await expect(answer([{ question, context: "" }])).rejects.toThrow("the context of question 0 is empty");
  });
});

describe("feature-extraction", () => {
  const model = tinyBert("BertModel");

  it("gives the vectors of the tokens, or one vector for a text", async () => {
    using extract = await pipeline("feature-extraction", model);
    const { rows } = await outputOf(model.config, texts[0]!, "last_hidden_state");
    const length = (x: readonly number[]) => Math.hypot(...x);
    expectNear(await extract(texts[0]!), [rows]);
    const mean = rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
    expectNear(await extract(texts[0]!, { pooling: "mean" }), mean);
    expectNear(await extract(texts[0]!, { pooling: "cls" }), rows[0]!);
    expectNear(await extract(texts, { pooling: "last" }).then(([first]) => first), rows.at(-1)!);
    expectNear(
      await extract(texts[0]!, { pooling: "mean", normalize: true }),
      mean.map((x) => x / length(mean)),
    );
    const [vectors] = await extract(texts[0]!, { normalize: true });
    for (const vector of vectors!) expect(length(vector)).toBeCloseTo(1, 5);
    await expect(extract("a", { pooling: "max" as "mean" })).rejects.toThrow(
      "pooling must be mean, cls or last, got max",
    );
  });
});

describe("a batch", () => {
  const masked = texts.map((text) => `${text} [MASK]`);
  const questions = texts.map((context) => ({ question: "where?", context }));
  it.each([1, 2, 8])("of %i gives what its texts give alone", async (batchSize) => {
    const labels = labelled("O", "B-PER", "I-PER");
    using fill = await pipeline("fill-mask", tinyBert("BertForMaskedLM"), { batchSize });
    using classify = await pipeline("text-classification", tinyBert("BertForSequenceClassification", labels), {
      batchSize,
    });
    using tag = await pipeline("token-classification", tinyBert("BertForTokenClassification", labels), { batchSize });
    using answer = await pipeline("question-answering", tinyBert("BertForQuestionAnswering"), { batchSize });
    using extract = await pipeline("feature-extraction", tinyBert("BertModel"), { batchSize });
    using go = await pipeline("text-generation", tinyGpt2(), { batchSize });
    const draw = { maxNewTokens: 6, temperature: 1, seed: 5, eosTokenId: [] };
    expectNear(await fill(masked), await Promise.all(masked.map((text) => fill(text))));
    expectNear(await classify(texts), (await Promise.all(texts.map((text) => classify(text)))).flat());
    expectNear(await tag(texts), await Promise.all(texts.map((text) => tag(text))));
    expectNear(await answer(questions), await Promise.all(questions.map((question) => answer(question))));
    expectNear(await extract(texts), await Promise.all(texts.map((text) => extract(text))));
    expect(await go(texts, draw)).toEqual(
      await Promise.all(texts.map((text, i) => go(text, { ...draw, seed: draw.seed + i }))),
    );
    expect(await classify([])).toEqual([]);
  });
});

describe("text-generation", () => {
  const options = { maxNewTokens: 5, eosTokenId: [] } as const;
  const template =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

  it("continues a prompt, several times where asked to", async () => {
    const { model, tokenizer } = tinyGpt2();
    using go = await pipeline("text-generation", { model, tokenizer });
    const { text } = await generateText(model, tokenizer, "the whale", options);
    expect(await go("the whale", options)).toEqual([{ generated_text: `the whale${text}` }]);
    expect(await go(["the whale"], { ...options, returnFullText: false })).toEqual([[{ generated_text: text }]]);
    const drawn = await go("the whale", { ...options, temperature: 1, seed: 1, numReturnSequences: 3 });
    expect(new Set(drawn.map(({ generated_text }) => generated_text)).size).toBe(3);
  });

  it("answers a conversation, or goes on with its last message", async () => {
    const { model, tokenizer } = tinyGpt2({ chat_template: template });
    using go = await pipeline("text-generation", { model, tokenizer });
    const chat = [{ role: "user", content: "where?" }];
    const { text } = await generateText(model, tokenizer, "<user>where?</><assistant>", {
      ...options,
      addSpecialTokens: false,
    });
    expect(await go(chat, options)).toEqual([{ generated_text: [...chat, { role: "assistant", content: text }] }]);
    expect(await go([chat, chat], { ...options, returnFullText: false })).toEqual(
      [0, 1].map(() => [{ generated_text: text }]),
    );
    const begun = [...chat, { role: "assistant", content: "in the" }];
    const on = await generateText(model, tokenizer, "<user>where?</><assistant>in the", {
      ...options,
      addSpecialTokens: false,
    });
    expect(await go(begun, options)).toEqual([
      { generated_text: [...chat, { role: "assistant", content: `in the${on.text}` }] },
    ]);
  });
});

describe("encoder-decoders", () => {
  const options = { maxNewTokens: 6 } as const;
  const specific = { summarization: { prefix: "sum " }, translation_en_to_de: { prefix: "en de " } };
  const { model, tokenizer } = tinyT5({ task_specific_params: specific });
  const expected = (text: string, more: object = {}) =>
    generateText(model, tokenizer, text, { ...options, numBeams: 4, ...more }).then((completion) => completion.text);

  it("rewrite, summarize and translate under their names, with the prefix of the task, by beam search", async () => {
    using rewrite = await pipeline("text2text-generation", { model, tokenizer });
    using summarize = await pipeline("summarization", { model, tokenizer });
    using translate = await pipeline("translation", { model, tokenizer });
    const text = "the whale";
    expect(await rewrite(text, options)).toEqual([{ generated_text: await expected(text) }]);
    expect(await summarize([text, text], options)).toEqual(
      Array(2).fill({ summary_text: await expected(`sum ${text}`) }),
    );
    const german = { translation_text: await expected(`en de ${text}`) };
    expect(await translate(text, options)).toEqual([german]);
    expect(await translate(text, { ...options, from: "en", to: "de" })).toEqual([german]);
    expect(await translate([text], { ...options, prefix: "", numBeams: 1 })).toEqual([
      { translation_text: await expected(text, { numBeams: 1 }) },
    ]);
    const two = await rewrite([text], { ...options, numReturnSequences: 2 });
    expect(two[0]).toHaveLength(2);
    await expect(translate(text, { from: "en", to: "fr" })).rejects.toThrow(
      "nothing for translating from en to fr (translation_en_to_de)",
    );
  });

  it("take what config.json has for the task, or, without a generation_config.json, for the model", async () => {
    const eos = unigram.specialTokens.eos!;
    const sizes = { max_length: 6, min_length: 6, num_beams: 1 };
    const params = { summarization: { ...sizes, max_length: 4, min_length: 4, prefix: "sum " } };
    const older = tinyT5({ ...sizes, task_specific_params: params });
    using summarize = await pipeline("summarization", older);
    using rewrite = await pipeline("text2text-generation", older);
    const made = async (text: string, maxNewTokens: number) => {
      const plain = tinyT5(); // the same weights
      const how = { maxNewTokens, minNewTokens: maxNewTokens, numBeams: 1, eosTokenId: eos };
      return (await generateText(plain.model, unigram, text, how)).text;
    };
    expect(await summarize("the whale")).toEqual([{ summary_text: await made("sum the whale", 3) }]);
    expect(await rewrite("the whale")).toEqual([{ generated_text: await made("the whale", 5) }]);
    const newer = { ...older.model, generation: { max_length: 3, num_beams: 1, min_length: 3 } };
    using other = await pipeline("text2text-generation", { ...older, model: newer });
    expect(await other("the whale")).toEqual([{ generated_text: await made("the whale", 2) }]);
    expect(await summarize("the whale", { maxNewTokens: 1, minNewTokens: 0 })).toEqual([
      { summary_text: await made("sum the whale", 1) },
    ]);
  });

  it("draw where they are told to, and take the model's own number of beams", async () => {
    using draws = await pipeline("text2text-generation", { model, tokenizer });
    const seen = await Promise.all(
      [1, 2, 3, 4].map((seed) => draws("the whale", { ...options, temperature: 2, seed })),
    );
    expect(new Set(seen.map(([first]) => first!.generated_text)).size).toBeGreaterThan(1);
    const greedy = { ...model, generation: { ...model.generation, num_beams: 1 } };
    using rewrite = await pipeline("text2text-generation", { model: greedy, tokenizer });
    expect(await rewrite("the whale", options)).toEqual([
      { generated_text: await expected("the whale", { numBeams: 1 }) },
    ]);
  });

  it("cut a source that is too long only where told to", async () => {
    const short = { ...model, facts: { ...model.facts, sourceLength: 12 } };
    using rewrite = await pipeline("text2text-generation", { model: short, tokenizer });
    await expect(rewrite(long, options)).rejects.toThrow("the model reads 12 at once");
    const kept = [...unigram.encode(long, { addSpecialTokens: false }).slice(0, 11), unigram.specialTokens.eos!];
    const { ids } = await generate(short, kept, { ...options, numBeams: 4 });
    expect(await rewrite(long, { ...options, truncation: true })).toEqual([
      { generated_text: unigram.decode(ids, { skipSpecialTokens: true }) },
    ]);
  });

  it("cut it so that the end token has room that the tokenizer does not set", async () => {
    const { model } = tinyT5({ vocab_size: byteLevel.vocabSize });
    const short = { ...model, facts: { ...model.facts, sourceLength: 12 } };
    using rewrite = await pipeline("text2text-generation", { model: short, tokenizer: byteLevel });
    const kept = byteLevel.decode(byteLevel.encode(long).slice(0, 11));
    expect(byteLevel.encode(kept)).toHaveLength(11);
    expect(await rewrite(long, { ...options, truncation: true })).toEqual(await rewrite(kept, options));
  });
});

describe("what a pipeline is called with", () => {
  const labels = labelled("sea", "land");
  const tasks = [
    ["fill-mask", tinyBert("BertForMaskedLM"), "a [MASK]", "text"],
    ["text-classification", tinyBert("BertForSequenceClassification", labels), "a", "text"],
    ["token-classification", tinyBert("BertForTokenClassification", labels), "a", "text"],
    ["feature-extraction", tinyBert("BertModel"), "a", "text"],
    ["question-answering", tinyBert("BertForQuestionAnswering"), { question: "a", context: "b" }, "question, context"],
    ["text-generation", tinyGpt2(), "a", "text"],
    ["text2text-generation", tinyT5(), "a", "text"],
  ] as const;

  it.each(tasks)("%s refuses an option that it has not, and what is no input", async (task, model, good, expected) => {
    using open = await pipeline(task, model);
    const call = open as unknown as (given?: unknown, options?: unknown) => Promise<unknown>;
    await expect(call(good, { top_k: 1 })).rejects.toThrow(
      /there is no option top_k \(it has .*(topK|pooling|ignoreLabels)/,
    );
    for (const given of [undefined, null, 3, { texts: ["a"] }])
      await expect(call(given)).rejects.toThrow(new RegExp(`pipeline ${task}: called with .*${expected}.* expected`));
    await expect(call([good, 3])).rejects.toThrow(`pipeline ${task}: input 1 is 3 (`);
  });

  it("a tokenizer that is another model's", async () => {
    using embed = await pipeline("feature-extraction", { ...tasks[3][1], tokenizer: byteLevel });
    await expect(embed("the whale")).rejects.toThrow(/gives token "\S+" the id \d+, the model has \d+ tokens/);
  });

  it("a length that leaves no room for text, and a mask that is cut off", async () => {
    using classify = await pipeline("text-classification", tasks[1][1]);
    await expect(classify("the whale", { maxLength: 3 })).rejects.toThrow("tokens, maxLength allows 3 at once");
    await expect(classify("the whale", { maxLength: -1 })).rejects.toThrow("maxLength must be a whole number ≥ 1");
    await expect(classify("the whale", { maxLength: 2, truncation: true })).rejects.toThrow(
      "no room for text beside 2",
    );
    using fill = await pipeline("fill-mask", tasks[0][1]);
    await expect(fill(`${long} [MASK]`, { truncation: true })).rejects.toThrow("the mask of text 0 is cut off");
  });
});

describe("pipeline", () => {
  const folder = mkdtempSync(join(tmpdir(), "tessera-pipeline-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("loads a folder with the head for its task, and what lies beside the tokenizer", async () => {
    const { model, tokenizer } = tinyBert("BertForPreTraining");
    saveModel(folder, model);
    await saveTokenizer(folder, tokenizer);
    writeFileSync(join(folder, "chat_template.jinja"), "{{ messages }}");
    await using fill = await pipeline("fill-mask", folder);
    expect(fill.model.architecture).toBe("BertForMaskedLM");
    expect(fill.tokenizer.config.chat_template).toEqual([{ name: "default", template: "{{ messages }}" }]);
    expect(await fill("the [MASK]", { topK: 3 })).toHaveLength(3);
    using extract = await pipeline("feature-extraction", folder);
    expect(await extract("the whale", { pooling: "cls" })).toHaveLength(24);
    await expect(pipeline("text-generation", folder)).rejects.toThrow("bert: it has no head for causal-lm");
    await expect(pipeline("token-classification", folder)).rejects.toThrow(
      `${folder} holds BertForPreTraining, which is for pre-training (token-classification expected). Train a head`,
    );
  });

  it("refuses a model of another task, an unknown task, and batches of nothing", async () => {
    const model = tinyBert("BertForMaskedLM");
    await expect(pipeline("question-answering", model)).rejects.toThrow(
      "pipeline question-answering: BertForMaskedLM is for masked-lm (question-answering expected)",
    );
    await expect(pipeline("sing" as "fill-mask", model)).rejects.toThrow('there is no task "sing" (fill-mask, ');
    await expect(pipeline("fill-mask", model, { batchSize: 0 })).rejects.toThrow("batchSize must be a whole number");
    await expect(pipeline("fill-mask", "nowhere/at/all")).rejects.toThrow("nowhere/at/all");
  });

  it("can no longer be called when it is disposed of", async () => {
    const classify = await pipeline("text-classification", tinyBert("BertForSequenceClassification"));
    expect(classify.task).toBe("text-classification");
    classify.dispose();
    classify.dispose();
    await expect(classify("ship")).rejects.toThrow();
  });

  it("has results that follow from the task and the options", () => {
    type Tag = Awaited<ReturnType<typeof pipeline<"token-classification">>>;
    type Classify = Awaited<ReturnType<typeof pipeline<"text-classification">>>;
    type Ask = Awaited<ReturnType<typeof pipeline<"question-answering">>>;
    const calls = (tag: Tag, classify: Classify, ask: Ask) => ({
      tokens: tag("a"),
      groups: tag(["a"], { aggregationStrategy: "max" }),
      label: classify(["a"]),
      labels: classify(["a"], { topK: 2 }),
      answer: ask({ question: "a", context: "b" }),
      answers: ask({ question: "a", context: "b" }, { topK: 2 }),
    });
    type Calls = ReturnType<typeof calls>;
    expectTypeOf<Awaited<Calls["tokens"]>>().toEqualTypeOf<readonly Entity[]>();
    expectTypeOf<Awaited<Calls["groups"]>>().toEqualTypeOf<readonly (readonly EntityGroup[])[]>();
    expectTypeOf<Awaited<Calls["label"]>>().toEqualTypeOf<readonly LabelScore[]>();
    expectTypeOf<Awaited<Calls["labels"]>>().toEqualTypeOf<readonly (readonly LabelScore[])[]>();
    expectTypeOf<Awaited<Calls["answer"]>>().toEqualTypeOf<Answer>();
    expectTypeOf<Awaited<Calls["answers"]>>().toEqualTypeOf<readonly Answer[]>();
  });
});
