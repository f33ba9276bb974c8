import { eachProjection, freshLlama, type LlamaConfig, llamaArchitectures, llamaFacts, parseLlama } from "./llama.js";
import { defineModel } from "./model.js";

/** Mistral: LLaMA over a sliding window in every layer. Jiang et al. 2023; parity with transformers' `MistralForCausalLM`. */
export const mistral = defineModel<LlamaConfig>({
  ...llamaFacts,
  modelType: "mistral",
  parse(c) {
    const shared = parseLlama(c, { positions: 4096 * 32, keyValueHeads: 8 });
    const given = c.int("sliding_window", { min: 1, default: null });
    const window = c.raw("sliding_window") === undefined ? 4096 : given; // null is a value of its own: no window
    return {
      ...shared,
      attention_bias: eachProjection(false),
      mlp_bias: false,
      query_key_norms: false,
      windows: Array<number | null>(shared.num_hidden_layers).fill(window),
    };
  },
  architectures: llamaArchitectures("Mistral"),
  fresh: (sizes) => ({ ...freshLlama(sizes), sliding_window: Math.max(1, Math.floor(sizes.contextLength / 2)) }),
});
