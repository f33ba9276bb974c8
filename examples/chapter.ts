// The chapter as a program: every block of the library called on the same five tokens, and the models they add up to.
//   npx tsx examples/chapter.ts
import {
  type AnyModule,
  type HostTensor,
  hostTensor,
  initialize,
  parametersOf,
  parameterTree,
  type Tensor,
} from "tessera-lm/core";
import { GPT3_175B, gpt3LmHeadModel } from "tessera-lm/models";
import * as nn from "tessera-lm/nn";
import { gelu, softmax } from "tessera-lm/ops";
import { evaluate, nativeRuntime } from "tessera-lm/runtime";

const runtime = nativeRuntime();
const [vocab, d, heads] = [10, 8, 2];
const tokens = hostTensor([3, 1, 4, 1, 5], [1, 5], "int64"); // [b, t]: one text of five tokens

/** Calls a module with fresh weights on the tokens, or on their vectors, and prints what comes out. */
async function show(
  title: string,
  module: AnyModule,
  call: (block: (...args: unknown[]) => Tensor, x: Tensor, ctx: nn.Context, ids: Tensor) => Tensor,
): Promise<void> {
  const embedding = nn.embedToken(vocab, d, { std: 1 });
  const inputs = {
    ids: tokens,
    ...Object.fromEntries(initialize(embedding, 1)),
    ...prefixed(initialize(module, 2)),
  } as Record<string, HostTensor>;
  const { y } = await evaluate(runtime, inputs, (t) => {
    const x = embedding(
      parameterTree(embedding, (path) => t[path]),
      t.ids!,
    );
    const params = parameterTree(module, (path) => t[`block.${path}`]);
    const ctx = nn.sequenceContext({ batch: 1, length: 5 });
    return { y: call((...args) => module(params, ...args), x, ctx, t.ids!) };
  });
  const last = Array.from(y!.data.slice(-Math.min(4, y!.shape.at(-1)!)) as Float32Array, (v) => v.toFixed(2));
  const count = [...parametersOf(module).values()].reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
  console.log(
    `${title.padEnd(42)} → [${y!.shape.join(", ")}]`.padEnd(62),
    `${count} parameters`.padEnd(16),
    `… ${last.join(" ")}`,
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
await show("FeedForwardSequenceModel, n = 3", nn.feedForwardSequenceModel(3, d, 16), (f, x, ctx) => f(x, ctx));
await show("SequenceRNN(SimpleRNN)", nn.sequenceRnn(nn.simpleRnn({ input: d, hidden: d })), (f, x, ctx) => f(x, ctx));
await show("SequenceRNN(LSTM)", nn.sequenceRnn(nn.lstm({ input: d, hidden: d })), (f, x, ctx) => f(x, ctx));
await show("SequenceRNN(GRU)", nn.sequenceRnn(nn.gru({ input: d, hidden: d })), (f, x, ctx) => f(x, ctx));
await show(
  "BidirectionalSequenceRNN(LSTM)",
  nn.bidirectionalSequenceRnn(nn.lstm({ input: d, hidden: d })),
  (f, x, ctx) => f(x, ctx),
);

console.log("\nAttention");
await show(
  "Attention, additive (Bahdanau 2015)",
  nn.additiveAttention(d, 6),
  (f, x) => (f(x, x) as unknown as { context: Tensor }).context,
);
await show("SelfAttention", nn.multiHeadedAttention({ d, heads: 1 }), (f, x, ctx) => f(x, x, ctx));
await show("MultiHeadedAttention, causal", nn.multiHeadedAttention({ d, heads, mask: "causal" }), (f, x, ctx) =>
  f(x, x, ctx),
);
await show(
  "MultiHeadedAttention, banded (2 tokens)",
  nn.multiHeadedAttention({ d, heads, mask: { window: 2 } }),
  (f, x, ctx) => f(x, x, ctx),
);
await show(
  "MultiHeadedAttention, grouped queries",
  nn.multiHeadedAttention({ d, heads, keyValueHeads: 1 }),
  (f, x, ctx) => f(x, x, ctx),
);
await show(
  "MultiHeadedAttention, rotary positions",
  nn.multiHeadedAttention({ d, heads, mask: "causal", onQueryKey: nn.rotaryPositions(d / heads) }),
  (f, x, ctx) => f(x, x, ctx),
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
