import type { ConfigReader } from "../core/config-reader.js";
import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { observe } from "../core/trace.js";
import type { Context } from "../nn/context.js";
import { embedToken } from "../nn/embed-token.js";
import { layerNorm } from "../nn/layer-norm.js";
import { learnedPositions } from "../nn/positions.js";
import { transformerBlock } from "../nn/transformer-block.js";
import { gelu } from "../ops/activation.js";
import { add } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { defineModel } from "./model.js";

/**
 * GLM as it was published: autoregressive blank infilling. A row is the text with its blanks (Part A), which sees itself in both
 * directions, and behind it the blanks' contents (Part B), which see Part A and what came before them. Du et al. 2022, section 2.
 * Later checkpoints (`glm`, `glm4`) are decoders with rotary positions; the names on disk here are this library's.
 */
export interface Glm2022Config {
  readonly vocab_size: number;
  /** Positions of each of the two kinds. */
  readonly n_positions: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly dropout: number;
}

function parse(c: ConfigReader): Glm2022Config {
  const size = { min: 1 };
  const config = {
    vocab_size: c.int("vocab_size", size),
    n_positions: c.int("n_positions", size),
    n_embd: c.int("n_embd", size),
    n_layer: c.int("n_layer", size),
    n_head: c.int("n_head", size),
    dropout: c.number("dropout", { min: 0, max: 0.999, default: 0.1 }),
  };
  c.divides(config, "n_embd", "n_head");
  return config;
}

/**
 * Two positions are added to each token (section 2.2): in the text its own place and 0; in a blank's content the place of the blank in
 * the text, and 1, 2, … within the blank. `ids: [b, t]` → logits `[b, t, v]` of the token after each.
 */
export const glm2022 = ({ vocab_size, n_positions, n_embd: d, n_layer, n_head: heads, dropout }: Glm2022Config) =>
  module(
    {
      word_embeddings: embedToken(vocab_size, d),
      position_embeddings: learnedPositions(n_positions, d),
      block_position_embeddings: learnedPositions(n_positions, d),
      layers: Array.from({ length: n_layer }, () =>
        transformerBlock({ d, heads, activation: gelu, norm: "pre", mask: "causal", dropout }),
      ),
      final_layernorm: layerNorm(d),
    },
    (
      { word_embeddings, position_embeddings, block_position_embeddings, layers, final_layernorm },
      ids: Tensor,
      ctx: Context,
    ) => {
      let x = add(word_embeddings(ids), position_embeddings(ctx.positions)); // [b, t, d]
      if (ctx.blockPositions) x = add(x, block_position_embeddings(ctx.blockPositions));
      x = observe("embeddings", ctx.dropout(x, dropout));
      for (const layer of layers) x = layer(x, ctx);
      return { logits: matmul(ctx.scored(final_layernorm(x)), word_embeddings.params.weight, { transB: true }) };
    },
  );

export const glm2022Family = defineModel<Glm2022Config>({
  modelType: "glm-2022",
  parse,
  architectures: { Glm2022ForBlankInfilling: { task: "blank-infilling", build: glm2022 } },
  facts: (c) => ({ vocabSize: c.vocab_size, contextLength: c.n_positions }),
  fresh: ({ vocabSize, contextLength, layers, heads, d, dropout }) => ({
    dropout,
    n_embd: d,
    n_head: heads,
    n_layer: layers,
    n_positions: contextLength,
    vocab_size: vocabSize,
  }),
});
