// The chapter as a program: every block of the library called on the same five tokens, and the models they add up to.
//   npx tsx examples/chapter.ts
import {
  type AnyModule,
  type HostTensor,
  hostTensor,
  initialize,
  module,
  parametersOf,
  parameterTree,
  type Tensor,
} from "tessera-lm/core";
import { GPT3_175B, gpt3LmHeadModel } from "tessera-lm/models";
import * as nn from "tessera-lm/nn";
import { expandDims, gelu, slice, softmax } from "tessera-lm/ops";
import { evaluate, nativeRuntime } from "tessera-lm/runtime";

const runtime = nativeRuntime();
const [vocab, d, heads, std] = [10, 8, 2, 0.5];
const tokens = hostTensor([3, 1, 4, 1, 5], [1, 5], "int64"); // [b, t]: one text of five tokens

/** Calls a block with fresh weights on the tokens, or on their vectors, and prints what becomes of the third token. */
async function show(
  title: string,
  block: AnyModule,
  call: (block: (...args: unknown[]) => Tensor, x: Tensor, ctx: nn.Context, ids: Tensor) => Tensor,
  training = false,
): Promise<void> {
  const embedding = nn.embedToken(vocab, d, { std: 1 });
  const inputs = {
    ids: tokens,
    key: hostTensor([2015, 1], [2], "int32"),
    ...Object.fromEntries(initialize(embedding, 1)),
    ...prefixed(initialize(block, 2)),
  } as Record<string, HostTensor>;
  const { y } = await evaluate(runtime, inputs, (t) => {
    const x = embedding(
      parameterTree(embedding, (path) => t[path]),
      t.ids!,
    );
    const params = parameterTree(block, (path) => t[`block.${path}`]);
    const ctx = nn.sequenceContext({ batch: 1, length: 5, dropoutKey: training ? t.key : undefined });
    return { y: call((...args) => block(params, ...args), x, ctx, t.ids!) };
  });
  const size = y!.shape.at(-1)!;
  const third = Array.from(y!.data.slice(2 * size, 2 * size + 4) as Float32Array, (v) =>
    v === 0 ? "0" : v.toPrecision(2),
  );
  const count = [...parametersOf(block).values()].reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
  console.log(
    `${title.padEnd(42)} → [${y!.shape.join(", ")}]`.padEnd(62),
    `${count} parameters`.padEnd(16),
    third.join(" "),
  );
}

const prefixed = (weights: ReadonlyMap<string, HostTensor>) =>
  Object.fromEntries([...weights].map(([path, w]) => [`block.${path}`, w]));

console.log("Tokens to vectors");
await show("EmbedToken", nn.embedToken(vocab, d), (f, _x, _ctx, ids) => f(ids));
await show("EmbedTokenWithPosition (sinusoidal)", nn.embedTokenWithPosition(vocab, d, 16), (f, _x, ctx, ids) =>
  f(ids, ctx),
);
await show(
  "EmbedTokenWithPosition (learned)",
  nn.embedTokenWithPosition(vocab, d, 16, { positions: "learned" }),
  (f, _x, ctx, ids) => f(ids, ctx),
);

console.log("\nSequence models before attention");
const sequenceModels: Readonly<Record<string, nn.SequenceModel>> = {
  "FeedForwardSequenceModel, n = 3": nn.feedForwardSequenceModel(3, d, 16),
  "SequenceRNN(SimpleRNN)": nn.sequenceRnn(nn.simpleRnn({ input: d, hidden: d })),
  "SequenceRNN(LSTM)": nn.sequenceRnn(nn.lstm({ input: d, hidden: d })),
  "SequenceRNN(GRU)": nn.sequenceRnn(nn.gru({ input: d, hidden: d })),
  "BidirectionalSequenceRNN(LSTM)": nn.bidirectionalSequenceRnn(nn.lstm({ input: d, hidden: d })),
};
for (const [title, model] of Object.entries(sequenceModels)) await show(title, model, (f, x, ctx) => f(x, ctx));

console.log("\nAttention");
const oneHead = (x: Tensor) => expandDims(x, 2); // [b, t, d] → [b, t, 1, d]
await show(
  "Attention, scaled dot products",
  module({}, (_, y: Tensor, x: Tensor) => nn.mergeHeads(nn.attention(oneHead(y), oneHead(x), oneHead(x)))),
  (f, x) => f(x, x),
);
await show(
  "Attention, additive (Bahdanau 2015)",
  nn.additiveAttention(d, 6),
  (f, x) => (f(x, x) as unknown as { context: Tensor }).context,
);
const selfAttentions: Readonly<Record<string, Partial<nn.MultiHeadedAttentionOptions>>> = {
  "MultiHeadedAttention, no mask": { mask: "none" },
  "MultiHeadedAttention, causal": { mask: "causal" },
  "MultiHeadedAttention, banded (2 tokens)": { mask: { window: 2 } },
  "MultiHeadedAttention, grouped queries": { keyValueHeads: 1 },
  "MultiHeadedAttention, rotary positions": { mask: "causal", onQueryKey: nn.rotaryPositions(d / heads) },
};
await show("SelfAttention", nn.multiHeadedAttention({ d, heads: 1, std }), (f, x, ctx) => f(x, x, ctx));
await show("CrossAttention, the first three to all", nn.multiHeadedAttention({ d, heads, std }), (f, x, ctx) =>
  f(slice(x, 1, 0, 3), x, ctx),
);
for (const [title, options] of Object.entries(selfAttentions))
  await show(title, nn.multiHeadedAttention({ d, heads, std, ...options }), (f, x, ctx) => f(x, x, ctx));
await show("MultiHeadedAttention, ALiBi", nn.multiHeadedAttention({ d, heads, std, mask: "causal" }), (f, x, ctx) =>
  f(x, x, ctx, { bias: nn.alibiBias(heads, ctx.keyPositions) }),
);
const attention = nn.multiHeadedAttention({ d, heads, std });
const buckets = nn.relativePositionBias(heads, { buckets: 4, maxDistance: 8, bidirectional: true, std: 1 });
await show(
  "MultiHeadedAttention, relative buckets",
  module({ attention, buckets }, (m, x: Tensor, ctx: nn.Context) =>
    m.attention(x, x, ctx, { bias: m.buckets(ctx.positions, ctx.keyPositions) }),
  ),
  (f, x, ctx) => f(x, ctx),
);

console.log("\nThe Transformer's other layers");
await show("FeedForward", nn.feedForward(d, 4 * d), (f, x) => f(x));
await show("FeedForward, SwiGLU", nn.gatedFeedForward(d, 4 * d), (f, x) => f(x));
await show("LayerNorm", nn.layerNorm(d), (f, x) => f(x));
await show("RMSNorm", nn.rmsNorm(d), (f, x) => f(x));
await show("AddNorm(f, x) = LayerNorm(x + f(x))", nn.addNorm(d), (f, x) => f((y: Tensor) => gelu(y), x));
await show("AddNorm, pre-norm: x + f(LayerNorm(x))", nn.addNorm(d, { norm: "pre" }), (f, x) =>
  f((y: Tensor) => gelu(y), x),
);
await show("Dropout 0.5, while training", nn.dropout(0.5), (f, x, ctx) => f(x, ctx), true);
await show("TransformerBlock", nn.transformerBlock({ d, heads }), (f, x, ctx) => f(x, ctx));
await show(
  "TransformerBlock, causal, pre-norm",
  nn.transformerBlock({ d, heads, norm: "pre", mask: "causal" }),
  (f, x, ctx) => f(x, ctx),
);

console.log("\nMasks: the weights of four equal scores");
for (const mask of ["causal", { window: 2 }] as const) {
  const { weights } = await evaluate(runtime, {}, () => ({ weights: softmax(nn.maskBias(mask, 4)) }));
  const rows = [0, 1, 2, 3].map((i) =>
    Array.from(weights.data.slice(4 * i, 4 * i + 4) as Float32Array, (v) => v.toFixed(2)).join(" "),
  );
  console.log(
    `${(typeof mask === "string" ? mask : `banded, window ${mask.window}`).padEnd(42)}   ${rows.join(" | ")}`,
  );
}

console.log("\nGPT-3 = TransformerBlock⁹⁶ ∘ EmbedTokenWithPosition");
const large = [...parametersOf(gpt3LmHeadModel(GPT3_175B)).values()].reduce(
  (n, p) => n + p.shape.reduce((a, b) => a * b, 1),
  0,
);
console.log(
  `${"gpt3(d 12288, 96 heads, 96 blocks)".padEnd(42)}   ${large.toLocaleString("en")} parameters, counted without allocating one`,
);
const toy = gpt3LmHeadModel({
  ...GPT3_175B,
  vocab_size: vocab,
  n_positions: 16,
  n_embd: d,
  n_layer: 4,
  n_head: heads,
  attention_window: 2,
});
await show("gpt3(d 8, 2 heads, 4 blocks): the same function", toy, (f, _x, ctx, ids) => f(ids, ctx));
