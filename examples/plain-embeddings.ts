// A classifier of texts on plain embeddings, learned with the labels alone, to compare with a classifier on ELMo's features: the same
// pooling, mean and maximum over the text, the same projection, vectors of the same size. See docs/training.md.
//   npx tsx examples/plain-embeddings.ts runs/spam/train.jsonl runs/spam/test.jsonl runs/mails-elmo 128
import { readFileSync } from "node:fs";
import { type HostTensor, initialize, module, randomStream, type Tensor } from "tessera-lm/core";
import * as nn from "tessera-lm/nn";
import { cast, concat, equal, not, sum } from "tessera-lm/ops";
import { nativeRuntime } from "tessera-lm/runtime";
import { loadTokenizer } from "tessera-lm/text";
import { evaluator, type Objective, trainStep } from "tessera-lm/train";

const [
  trainFile = "runs/spam/train.jsonl",
  testFile = "runs/spam/test.jsonl",
  folder = "runs/mails-elmo",
  size = "128",
] = process.argv.slice(2);
const [length, batchSize, epochs, rate, labels] = [128, 32, 6, 3e-3, ["ham", "spam"]] as const;
const tokenizer = await loadTokenizer(folder);
const examplesOf = (path: string) =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly text: string; readonly label: "ham" | "spam" })
    .map(({ text, label }) => ({ ids: tokenizer.encode(text).slice(0, length), label: labels.indexOf(label) }));
const [training, test] = [examplesOf(trainFile), examplesOf(testFile)];

const embeddings = module(
  {
    embedding: nn.embedToken(tokenizer.vocabSize, Number(size), { std: 0.1 }),
    classifier: nn.linear(2 * Number(size), labels.length),
  },
  ({ embedding, classifier }, ids: Tensor, ctx: nn.Context) => {
    const x = ctx.dropout(embedding(ids), 0.5); // [b, t, d]
    const pooled = concat([nn.meanOverTime(x, ctx.attentionMask), nn.maxOverTime(x, ctx.attentionMask)]);
    return classifier(ctx.dropout(pooled, 0.5));
  },
);

const rowsOf = (rows: number, ...axes: number[]) => ({ dtype: "int64", shape: [rows, ...axes] }) as const;
const objective: Objective<typeof embeddings> = {
  batch: (rows) => ({ ids: rowsOf(rows, length), mask: rowsOf(rows, length), label: rowsOf(rows) }),
  loss(model, params, { ids, mask, label }, context) {
    const logits = model(params, ids!, context({ batch: ids!.shape[0]!, length, attentionMask: mask }));
    return {
      loss: nn.crossEntropy(logits, label!),
      count: sum(cast(not(equal(label!, -100)), "float32")),
      outputs: { logits },
    };
  },
  leaveOut: ({ label }, row) => void ((label!.data as BigInt64Array)[row] = -100n),
};

const write = (
  { ids, label }: { readonly ids: readonly number[]; readonly label: number },
  batch: Readonly<Record<string, HostTensor>>,
  row: number,
) => {
  const set = (name: string, at: number, value: number) =>
    void ((batch[name]!.data as BigInt64Array)[at] = BigInt(value));
  for (let i = 0; i < length; i++) {
    set("ids", row * length + i, ids[i] ?? 0);
    set("mask", row * length + i, i < ids.length ? 1 : 0);
  }
  set("label", row, label);
};

const runtime = nativeRuntime();
const weights = initialize(embeddings, 0);
const common = { module: embeddings, weights, objective, threads: 1 };
using step = await trainStep(runtime, { ...common, batchSize });
using evaluation = await evaluator(runtime, { ...common, rows: batchSize });
const accuracy = async () => {
  let right = 0;
  const set = { size: test.length, write: (i: number, ...at: Tail<typeof write>) => write(test[i]!, ...at) };
  await evaluation.evaluate(set, (first, count, { logits }) => {
    const scores = logits!.data as Float32Array;
    for (let r = 0; r < count; r++)
      right += Number(scores[2 * r + 1]! > scores[2 * r]!) === test[first + r]!.label ? 1 : 0;
  });
  return `${((100 * right) / test.length).toFixed(1)} %`;
};
type Tail<F> = F extends (first: never, ...rest: infer R) => unknown ? R : never;

console.log(`${training.length} texts to learn from; untrained: ${await accuracy()}`);
const random = randomStream(0, "examples");
const perEpoch = Math.floor(training.length / batchSize);
for (let n = 0; n < epochs * perEpoch; n++) {
  for (let row = 0; row < batchSize; row++) write(training[random.below(training.length)]!, step.batch, row);
  const { loss } = await step.run(n, rate * (1 - n / (epochs * perEpoch)));
  if ((n + 1) % perEpoch === 0)
    console.log(`epoch ${(n + 1) / perEpoch}: loss ${loss.toFixed(3)}, held out ${await accuracy()}`);
}
