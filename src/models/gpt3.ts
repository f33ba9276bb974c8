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
  /** Size of a head; null: `n_embd / n_head`. */
  readonly d_head: number | null;
  /** Tokens that a banded layer sees; the paper does not say how many. */
  readonly attention_window: number;
  readonly dropout: number;
}

/** A row of table 2.1; `d_head` is what the row prints. */
const row = (n_layer: number, n_embd: number, n_head: number, d_head: number): Gpt3Config => ({
  vocab_size: 50257,
  n_positions: 2048,
  n_embd,
  n_layer,
  n_head,
  d_head: d_head === n_embd / n_head ? null : d_head,
  attention_window: 256,
  dropout: 0,
});

/**
 * The eight models of the paper, table 2.1, by their names there ("GPT-3 Small" …), as the table prints them: layers, size, heads, size of
 * a head. Two of its rows do not multiply out, heads · head ≠ size: XL (24 · 128 = 3072, size 2048) and 13B (40 · 128 = 5120, size 5140).
 * They are built all the same, their attention projects into heads · head elements and back. XL then has 1.52 billion parameters and not
 * the printed 1.3; with 16 heads it has 1.31, so that its number of heads is most likely a misprint.
 */
export const gpt3Sizes = {
  Small: row(12, 768, 12, 64),
  Medium: row(24, 1024, 16, 64),
  Large: row(24, 1536, 16, 96),
  XL: row(24, 2048, 24, 128),
  "2.7B": row(32, 2560, 32, 80),
  "6.7B": row(32, 4096, 32, 128),
  "13B": row(40, 5140, 40, 128),
  "175B": row(96, 12288, 96, 128),
};

/** The largest model of the paper, "GPT-3": 175 billion parameters. */
export const GPT3_175B: Gpt3Config = gpt3Sizes["175B"];

/** TransformerBlockⁿ ∘ EmbedTokenWithPosition, and the embedding's transpose as head: `ids: [b, t]` → logits `[b, t, v]`. */
export const gpt3LmHeadModel = ({
  vocab_size,
  n_positions,
  n_embd: d,
  n_layer,
  n_head: heads,
  d_head,
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
          headSize: d_head ?? d / heads,
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
      d_head: c.int("d_head", { min: 1, default: null }),
      attention_window: c.int("attention_window", { min: 1, default: 256 }),
      dropout: c.number("dropout", { min: 0, max: 0.999, default: 0 }),
    };
    if (config.d_head === null) c.divides(config, "n_embd", "n_head");
    return config;
  },
  architectures: { Gpt3LMHeadModel: { task: "causal-lm", build: gpt3LmHeadModel } },
  presets: {
    configs: gpt3Sizes,
    fresh: (c, { vocabSize, contextLength, dropout }) => ({
      ...c,
      dropout,
      n_positions: contextLength,
      vocab_size: vocabSize,
    }),
  },
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
