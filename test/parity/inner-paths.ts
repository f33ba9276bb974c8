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

/** By `model_type`; with the prefix that a checkpoint with a head has. A family without an entry has no recorded cases yet. */
export const innerPaths: Readonly<Record<string, InnerPaths>> = {
  gpt2: {
    embeddings: "transformer.embeddings",
    layer: "transformer.h.#",
    last: "transformer.ln_f",
    attention: "transformer.h.#.attn.attention_weights",
  },
};
