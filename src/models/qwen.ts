import type { ConfigReader } from "../core/config-reader.js";
import { eachProjection, freshLlama, type LlamaConfig, llamaArchitectures, llamaFacts, parseLlama } from "./llama.js";
import { defineModel } from "./model.js";

const layerTypes = ["full_attention", "sliding_attention"] as const;

/** Windows by `layer_types`; without them the layers from `max_window_layers` on have one. Not unless `use_sliding_window`. */
function parseWindows(c: ConfigReader, layers: number): LlamaConfig["windows"] {
  const used = c.bool("use_sliding_window", { default: false });
  const given = c.int("sliding_window", { min: 1, default: null });
  const window = !used ? null : c.raw("sliding_window") === undefined ? 4096 : given;
  const first = c.int("max_window_layers", { min: 0, default: 28 });
  const types = c.strings("layer_types", { allowed: layerTypes, default: null });
  if (types && types.length !== layers)
    c.problem(`layer_types and num_hidden_layers disagree (${types.length} vs ${layers})`);
  if (window === null && types?.includes("sliding_attention"))
    c.problem("layer_types has sliding_attention, which needs use_sliding_window and sliding_window");
  return Array.from({ length: layers }, (_, i) =>
    (types ? types[i] === "sliding_attention" : i >= first) ? window : null,
  );
}

/** Qwen 2 and 2.5: LLaMA with biases of queries, keys and values. Yang et al. 2024; parity with transformers' `Qwen2ForCausalLM`. */
export const qwen2 = defineModel<LlamaConfig>({
  ...llamaFacts,
  modelType: "qwen2",
  parse(c) {
    const shared = parseLlama(c, { positions: 32768, keyValueHeads: 32 });
    return {
      ...shared,
      attention_bias: { query: true, key: true, value: true, output: false },
      mlp_bias: false,
      query_key_norms: false,
      windows: parseWindows(c, shared.num_hidden_layers),
    };
  },
  architectures: llamaArchitectures("Qwen2"),
  fresh: (sizes) => ({ ...freshLlama(sizes), use_sliding_window: false }),
});

/** Qwen 3: norms of each head's queries and keys. Yang et al. 2025; parity with transformers' `Qwen3ForCausalLM`. */
export const qwen3 = defineModel<LlamaConfig>({
  ...llamaFacts,
  modelType: "qwen3",
  parse(c) {
    const shared = parseLlama(c, { positions: 32768, keyValueHeads: 32, headSize: 128 });
    return {
      ...shared,
      attention_bias: eachProjection(c.bool("attention_bias", { default: false })),
      mlp_bias: false,
      query_key_norms: true,
      windows: parseWindows(c, shared.num_hidden_layers),
    };
  },
  architectures: llamaArchitectures("Qwen3"),
  fresh: (sizes) => ({ ...freshLlama(sizes), attention_bias: false, use_sliding_window: false }),
});
