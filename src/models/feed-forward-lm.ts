import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { lastElements } from "../nn/feed-forward-sequence-model.js";
import { linear } from "../nn/linear.js";
import { tanh } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { defineModel } from "./model.js";

/**
 * The neural n-gram model: `b + W x + U tanh(d + H x)` with `x` the embeddings of the last n tokens, one behind the other.
 * Bengio et al. 2003, section 2; names of the parameters as there, with `b` as `U.bias` and `d` as `H.bias`.
 */
export interface FeedForwardLmConfig {
  readonly vocab_size: number;
  /** n: tokens that a prediction sees. */
  readonly context_size: number;
  readonly embedding_size: number;
  readonly hidden_size: number;
  /** Whether there are connections `W` from the embeddings to the output. */
  readonly direct_connections: boolean;
}

function parse(c: ConfigReader): FeedForwardLmConfig {
  const size = { min: 1 };
  return {
    vocab_size: c.int("vocab_size", size),
    context_size: c.int("context_size", size),
    embedding_size: c.int("embedding_size", size),
    hidden_size: c.int("hidden_size", size),
    direct_connections: c.bool("direct_connections", { default: true }),
  };
}

/**
 * Logits `[b, t, v]`: those at position i are of the token after it and see tokens i − n + 1 … i. The first n − 1 positions see
 * zero vectors where the text has not begun, so every position of a text can be trained on and continued from.
 */
export const feedForwardLanguageModel = (c: FeedForwardLmConfig) => {
  const n = c.context_size * c.embedding_size;
  return module(
    {
      C: embedToken(c.vocab_size, c.embedding_size, { std: 0.1 }),
      H: linear(n, c.hidden_size, { std: 1 / Math.sqrt(n) }),
      W: c.direct_connections ? linear(n, c.vocab_size, { bias: false, std: 1 / Math.sqrt(n) }) : undefined,
      U: linear(c.hidden_size, c.vocab_size, { std: 1 / Math.sqrt(c.hidden_size) }),
    },
    ({ C, H, W, U }, ids: Tensor, ctx: Context): Tensor => {
      const x = ctx.scored(lastElements(c.context_size, C(ids), ctx)); // [b, t, n·e]
      const y = U(tanh(H(x)));
      return W ? add(W(x), y) : y;
    },
  );
};

export const feedForwardLm = defineModel<FeedForwardLmConfig>({
  modelType: "feed-forward-lm",
  parse,
  architectures: { FeedForwardLM: { task: "causal-lm", build: feedForwardLanguageModel } },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: undefined }),
  fresh: ({ vocabSize, contextLength, d }) => ({
    context_size: Math.min(contextLength, 8),
    direct_connections: true,
    embedding_size: d,
    hidden_size: 4 * d,
    vocab_size: vocabSize,
  }),
});
