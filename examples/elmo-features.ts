// A classifier of texts on word vectors: plain ones that are learned with the labels, ELMo's features of a language model in both
// directions that stays as it is, or both side by side (Peters et al. 2018, section 3.3). Everything else is the same: mean and maximum
// over the text, a projection. See docs/training.md.
//   npx tsx examples/elmo-features.ts both runs/spam/few.jsonl runs/spam/test.jsonl runs/mails-elmo 300
import { readFileSync } from "node:fs";
import { type HostTensor, initialize, module, randomStream, type Tensor } from "tessera-lm/core";
import * as nn from "tessera-lm/nn";
import { cast, concat, equal, not, sum } from "tessera-lm/ops";
import { loadModel } from "tessera-lm/pretrained";
import { nativeRuntime } from "tessera-lm/runtime";
import { loadTokenizer } from "tessera-lm/text";
import { evaluator, type Objective, trainStep } from "tessera-lm/train";

const [
  kind = "both",
  trainFile = "runs/spam/few.jsonl",
  testFile = "runs/spam/test.jsonl",
  folder = "runs/mails-elmo",
] = process.argv.slice(2);
const steps = Number(process.argv[6] ?? 300);
const [length, batchSize, rate, dropout, labels] = [128, 32, 3e-3, 0.3, ["ham", "spam"]] as const;
const [tokenizer, biLm] = await Promise.all([
  loadTokenizer(folder),
  loadModel(folder, { task: "features", initialize: 0 }),
]);
const examplesOf = (path: string) =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly text: string; readonly label: "ham" | "spam" })
    .map(({ text, label }) => ({ ids: tokenizer.encode(text).slice(0, length), label: labels.indexOf(label) }));
const [training, test] = [examplesOf(trainFile), examplesOf(testFile)];

const d = 2 * (biLm.config as { readonly lstm: { readonly projection_dim: number } }).lstm.projection_dim;
const [plain, features] = [kind !== "elmo", kind !== "plain"];
const classifier = module(
  {
    embedding: plain ? nn.embedToken(tokenizer.vocabSize, d, { std: 0.1 }) : undefined,
    elmo: features ? biLm.module : undefined,
    projection: nn.linear(2 * d * (Number(plain) + Number(features)), labels.length),
  },
  ({ embedding, elmo, projection }, ids: Tensor, ctx: nn.Context) => {
    const vectors = [
      ...(embedding ? [embedding(ids)] : []),
      ...(elmo ? [elmo(ids, ctx).last_hidden_state as Tensor] : []),
    ];
    const x = ctx.dropout(concat(vectors), dropout); // [b, t, d], or [b, t, 2d]
    return projection(concat([nn.meanOverTime(x, ctx.attentionMask), nn.maxOverTime(x, ctx.attentionMask)]));
  },
);
const weights = initialize(classifier, 0);
if (features) for (const [path, weight] of biLm.weights) weights.set(`elmo.${path}`, weight);

const int64 = (...shape: number[]) => ({ dtype: "int64", shape }) as const;
const objective: Objective<typeof classifier> = {
  batch: (rows) => ({ ids: int64(rows, length), mask: int64(rows, length), label: int64(rows) }),
  loss(model, params, { ids, mask, label }, context) {
    const logits = model(params, ids!, context({ batch: ids!.shape[0]!, length, attentionMask: mask }));
    const count = sum(cast(not(equal(label!, -100)), "float32"));
    return { loss: nn.crossEntropy(logits, label!), count, outputs: { logits } };
  },
  leaveOut: ({ label }, row) => void ((label!.data as BigInt64Array)[row] = -100n),
};
type Batch = Readonly<Record<string, HostTensor>>;
const write = ({ ids, label }: (typeof training)[number], batch: Batch, row: number) => {
  const set = (name: string, at: number, value: number) =>
    void ((batch[name]!.data as BigInt64Array)[at] = BigInt(value));
  for (let i = 0; i < length; i++) {
    set("ids", row * length + i, ids[i] ?? 0);
    set("mask", row * length + i, i < ids.length ? 1 : 0);
  }
  set("label", row, label);
};

const runtime = nativeRuntime();
const common = { module: classifier, weights, objective, threads: 1 };
using step = await trainStep(runtime, { ...common, batchSize, trainable: (path) => !path.includes("_elmo_lstm") });
using evaluation = await evaluator(runtime, { ...common, rows: batchSize });
const accuracy = async () => {
  let right = 0;
  const set = { size: test.length, write: (i: number, batch: Batch, row: number) => write(test[i]!, batch, row) };
  await evaluation.evaluate(set, (first, count, { logits }) => {
    const scores = logits!.data as Float32Array;
    for (let r = 0; r < count; r++) if (Number(scores[2 * r + 1]! > scores[2 * r]!) === test[first + r]!.label) right++;
  });
  return `${((100 * right) / test.length).toFixed(1)} %`;
};

console.log(`${kind}, ${training.length} texts to learn from; untrained: ${await accuracy()}`);
const random = randomStream(0, "examples");
for (let n = 1; n <= steps; n++) {
  for (let row = 0; row < batchSize; row++) write(training[random.below(training.length)]!, step.batch, row);
  const { loss } = await step.run(n - 1, rate * (1 - (n - 1) / steps));
  if (n % Math.ceil(steps / 3) === 0 || n === steps)
    console.log(`step ${n}: loss ${loss.toFixed(3)}, held out ${await accuracy()}`);
}
