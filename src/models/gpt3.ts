import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import type { Context } from "../nn/context.js";
import { embedTokenWithPosition } from "../nn/embed-token-with-position.js";
import { layerNorm } from "../nn/layer-norm.js";
import { transformerBlock } from "../nn/transformer-block.js";
import { gelu } from "../ops/activation.js";
import { matmul } from "../ops/matmul.js";
import { defineModel } from "./model.js";

/**
 * GPT-3: GPT-2 made larger, its layers alternating between dense and locally banded sparse attention. Brown et al. 2020, section 2.1.
 * Its weights were never published, so the names on disk are this library's.
 */
export interface Gpt3Config {
  readonly vocab_size: number;
  readonly n_positions: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  /** Tokens that a banded layer sees; the paper does not say how many. */
  readonly attention_window: number;
  readonly dropout: number;
}

/** The largest model of the paper, "GPT-3" (table 2.1): 175 billion parameters. */
export const GPT3_175B: Gpt3Config = {
  vocab_size: 50257,
  n_positions: 2048,
  n_embd: 12288,
  n_layer: 96,
  n_head: 96,
  attention_window: 256,
  dropout: 0,
};

/** TransformerBlockⁿ ∘ EmbedTokenWithPosition, and the embedding's transpose as head: `ids: [b, t]` → logits `[b, t, v]`. */
export const gpt3LmHeadModel = ({
  vocab_size,
  n_positions,
  n_embd: d,
  n_layer,
  n_head: heads,
  attention_window,
  dropout,
}: Gpt3Config) =>
  module(
    {
      $embed: embedTokenWithPosition(vocab_size, d, n_positions, { positions: "learned" }),
      h: Array.from({ length: n_layer }, (_, i) =>
        transformerBlock({
          d,
          heads,
          activation: gelu,
          norm: "pre",
          mask: i % 2 === 0 ? "causal" : { window: attention_window },
          dropout,
        }),
      ),
      ln_f: layerNorm(d),
    },
    ({ $embed, h, ln_f }, ids: Tensor, ctx: Context) => {
      let x = ctx.dropout($embed(ids, ctx), dropout); // [b, t, d]
      for (const block of h) x = block(x, ctx);
      return matmul(ctx.scored(ln_f(x)), $embed.params.wte.weight, { transB: true });
    },
  );

export const gpt3 = defineModel<Gpt3Config>({
  modelType: "gpt3",
  parse(c: ConfigReader) {
    const size = { min: 1 };
    const config = {
      vocab_size: c.int("vocab_size", size),
      n_positions: c.int("n_positions", size),
      n_embd: c.int("n_embd", size),
      n_layer: c.int("n_layer", size),
      n_head: c.int("n_head", size),
      attention_window: c.int("attention_window", { min: 1, default: 256 }),
      dropout: c.number("dropout", { min: 0, max: 0.999, default: 0 }),
    };
    if (config.n_embd % config.n_head !== 0)
      c.problem(`n_embd ${config.n_embd} does not divide into n_head ${config.n_head}`);
    return config;
  },
  architectures: { Gpt3LMHeadModel: { task: "causal-lm", build: gpt3LmHeadModel } },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.n_positions }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => ({
    attention_window: Math.max(1, Math.floor(contextLength / 2)),
    dropout,
    n_embd: d,
    n_head: heads,
    n_layer: layers,
    n_positions: contextLength,
    vocab_size: vocabSize,
  }),
});
