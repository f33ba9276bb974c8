import { module } from "../core/module.js";
import type { Tensor } from "../core/tensor.js";
import { activations } from "../nn/activations.js";
import type { Context } from "../nn/context.js";
import { linear } from "../nn/linear.js";
import { rmsNorm } from "../nn/rms-norm.js";
import { add, mul } from "../ops/elementwise.js";
import { split } from "../ops/shape.js";
import { freshLlama, type LlamaConfig, llamaArchitectures, llamaAttention, llamaFacts, parseLlama } from "./llama.js";
import { defineModel, type ModelFamily } from "./model.js";

/** SwiGLU with the gate's and the other projection's rows in one matrix. `[..., d]` → `[..., d]`. */
const mlp = ({ hidden_size: d, intermediate_size, hidden_act, initializer_range: std }: LlamaConfig) =>
  module(
    {
      gate_up_proj: linear(d, 2 * intermediate_size, { bias: false, std }),
      down_proj: linear(intermediate_size, d, { bias: false, std }),
    },
    ({ gate_up_proj, down_proj }, x: Tensor) => {
      const [gate, up] = split(gate_up_proj(x), 2) as [Tensor, Tensor];
      return down_proj(mul(activations[hidden_act](gate), up));
    },
  );

/** LLaMA's block with neighbours turned; GLM-4-0414's has norms behind attention and feed-forward as well. */
const block = (postNorms: boolean) => (c: LlamaConfig, layer: number) => {
  const norm = () => rmsNorm(c.hidden_size, c.rms_norm_eps);
  return module(
    {
      input_layernorm: norm(),
      self_attn: llamaAttention(c, layer, { interleaved: true }),
      post_self_attn_layernorm: postNorms ? norm() : undefined,
      post_attention_layernorm: norm(),
      mlp: mlp(c),
      post_mlp_layernorm: postNorms ? norm() : undefined,
    },
    (self, x: Tensor, ctx: Context): Tensor => {
      const y = self.input_layernorm(x);
      const attended = self.self_attn(y, y, ctx);
      x = add(x, self.post_self_attn_layernorm?.(attended) ?? attended);
      const fed = self.mlp(self.post_attention_layernorm(x));
      return add(x, self.post_mlp_layernorm?.(fed) ?? fed);
    },
  );
};

const family: Pick<ModelFamily<LlamaConfig>, "parse" | "fresh" | "facts" | "checkpoint"> = {
  ...llamaFacts,
  parse(c) {
    const shared = parseLlama(c, {
      positions: 131072,
      keyValueHeads: 2,
      headSize: 128,
      eps: 1.5625e-7,
      padding: 151329,
      part: ["partial_rotary_factor", 0.5],
    });
    const bias = c.bool("attention_bias", { default: true });
    return {
      ...shared,
      attention_bias: { query: bias, key: bias, value: bias, output: false },
      mlp_bias: false,
      query_key_norms: false,
      windows: Array<null>(shared.num_hidden_layers).fill(null),
    };
  },
  fresh: (sizes) => ({
    ...freshLlama(sizes),
    attention_bias: true,
    pad_token_id: sizes.padding ?? null,
    partial_rotary_factor: 0.5,
    rms_norm_eps: 1.5625e-7,
    rope_parameters: { partial_rotary_factor: 0.5, rope_theta: 10000, rope_type: "default" },
  }),
};

/**
 * GLM-4 (2024), of ChatGLM's line: LLaMA with half of each head turned, by neighbours, and one projection for gate and inner vectors.
 * GLM team 2024; parity with transformers' `GlmForCausalLM`.
 */
export const glm = defineModel<LlamaConfig>({
  ...family,
  modelType: "glm",
  architectures: llamaArchitectures("Glm", block(false)),
});

/** GLM-4-0414 (2025): norms behind attention and feed-forward as well; parity with transformers' `Glm4ForCausalLM`. */
export const glm4 = defineModel<LlamaConfig>({
  ...family,
  modelType: "glm4",
  architectures: llamaArchitectures("Glm4", block(true)),
});
