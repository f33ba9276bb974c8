/** Where a stack of layers shows what the original returns: module paths, `#` for the layer. */
export interface StackPaths {
  /** Hidden state 0: what goes into the first layer. */
  readonly embeddings: string;
  readonly layer: string;
  /** The last hidden state, where it is not the last layer's output: a final norm. */
  readonly last?: string;
  readonly attention: string;
  /** Cross-attention. */
  readonly cross?: string;
}

/** Of a model with one stack, or of an encoder-decoder. */
export type InnerPaths = StackPaths | { readonly encoder: StackPaths; readonly decoder: StackPaths };

const llama: StackPaths = {
  embeddings: "model.embed_tokens",
  layer: "model.layers.#",
  last: "model.norm",
  attention: "model.layers.#.self_attn.attention_weights",
};

const bartStack = (side: "encoder" | "decoder"): StackPaths => ({
  embeddings: `model.${side}.embeddings`,
  layer: `model.${side}.layers.#`,
  attention: `model.${side}.layers.#.self_attn.attention_weights`,
  cross: "model.decoder.layers.#.encoder_attn.attention_weights",
});

const roberta: StackPaths = {
  embeddings: "roberta.embeddings",
  layer: "roberta.encoder.layer.#",
  attention: "roberta.encoder.layer.#.attention.attention_weights",
};

/**
 * By `model_type`; with the prefix that a checkpoint with a head has. What a family without an entry computes can be captured by its paths
 * all the same.
 */
export const innerPaths: Readonly<Record<string, InnerPaths>> = {
  bert: {
    embeddings: "bert.embeddings",
    layer: "bert.encoder.layer.#",
    attention: "bert.encoder.layer.#.attention.attention_weights",
  },
  distilbert: {
    embeddings: "distilbert.embeddings",
    layer: "distilbert.transformer.layer.#",
    attention: "distilbert.transformer.layer.#.attention.attention_weights",
  },
  roberta,
  "xlm-roberta": roberta,
  glm: llama,
  glm4: llama,
  gpt_neox: {
    embeddings: "gpt_neox.embed_in",
    layer: "gpt_neox.layers.#",
    last: "gpt_neox.final_layer_norm",
    attention: "gpt_neox.layers.#.attention.attention_weights",
  },
  llama,
  mistral: llama,
  qwen2: llama,
  qwen3: llama,
  bloom: {
    embeddings: "transformer.embeddings",
    layer: "transformer.h.#",
    last: "transformer.ln_f",
    attention: "transformer.h.#.self_attention.attention_weights",
  },
  gpt_neo: {
    embeddings: "transformer.embeddings",
    layer: "transformer.h.#",
    last: "transformer.ln_f",
    attention: "transformer.h.#.attn.attention.attention_weights",
  },
  xlnet: {
    embeddings: "transformer.embeddings",
    layer: "transformer.layer.#",
    attention: "transformer.layer.#.rel_attn.attention_weights",
  },
  opt: {
    embeddings: "model.decoder.embeddings",
    layer: "model.decoder.layers.#",
    last: "model.decoder",
    attention: "model.decoder.layers.#.self_attn.attention_weights",
  },
  bart: { encoder: bartStack("encoder"), decoder: bartStack("decoder") },
  marian: { encoder: bartStack("encoder"), decoder: bartStack("decoder") },
  t5: {
    encoder: {
      embeddings: "encoder.embeddings",
      layer: "encoder.block.#",
      last: "encoder",
      attention: "encoder.block.#.layer.0.SelfAttention.attention_weights",
    },
    decoder: {
      embeddings: "decoder.embeddings",
      layer: "decoder.block.#",
      last: "decoder",
      attention: "decoder.block.#.layer.0.SelfAttention.attention_weights",
      cross: "decoder.block.#.layer.1.EncDecAttention.attention_weights",
    },
  },
  gpt2: {
    embeddings: "transformer.embeddings",
    layer: "transformer.h.#",
    last: "transformer.ln_f",
    attention: "transformer.h.#.attn.attention_weights",
  },
  gpt3: {
    embeddings: "$embed",
    layer: "h.#",
    last: "ln_f",
    attention: "h.#.self_attn.attention_weights",
  },
  transformer: {
    encoder: {
      embeddings: "encoder.embeddings",
      layer: "encoder.layers.#",
      last: "encoder",
      attention: "encoder.layers.#.self_attn.attention_weights",
    },
    decoder: {
      embeddings: "decoder.embeddings",
      layer: "decoder.layers.#",
      last: "decoder",
      attention: "decoder.layers.#.self_attn.attention_weights",
      cross: "decoder.layers.#.multihead_attn.attention_weights",
    },
  },
};
