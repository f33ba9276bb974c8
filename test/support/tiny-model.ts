import { hostTensor } from "../../src/core/host-tensor.js";
import { parametersOf } from "../../src/core/module.js";
import { randomStream } from "../../src/core/random-stream.js";
import type { GenerationModel } from "../../src/generate/compile-model.js";
import type { GenerationConfig } from "../../src/hub/generation-config.js";
import { describeModel } from "../../src/pretrained/load-model.js";

/** Small configurations of every kind of state: keys and values (heads of 6 and 8), bands, recurrent states, last tokens. */
export const tinyConfigs = {
  gpt2: { model_type: "gpt2", n_layer: 2, n_head: 3, n_embd: 24, n_positions: 32, vocab_size: 50 },
  "gpt2, heads of 6": { model_type: "gpt2", n_layer: 2, n_head: 2, n_embd: 12, n_positions: 40, vocab_size: 31 },
  gpt3: { model_type: "gpt3", n_layer: 3, n_head: 2, n_embd: 16, n_positions: 32, vocab_size: 40, attention_window: 4 },
  "rnn-lm, lstm": {
    model_type: "rnn-lm",
    cell: "lstm",
    num_layers: 2,
    embedding_size: 12,
    hidden_size: 10,
    vocab_size: 40,
  },
  "rnn-lm, gru": {
    model_type: "rnn-lm",
    cell: "gru",
    num_layers: 1,
    embedding_size: 8,
    hidden_size: 9,
    vocab_size: 30,
  },
  "feed-forward-lm": {
    model_type: "feed-forward-lm",
    context_size: 4,
    embedding_size: 6,
    hidden_size: 14,
    vocab_size: 35,
  },
} as const;

/** A model with random weights large enough that its predictions are far apart. */
export function tinyModel(
  config: Readonly<Record<string, unknown>>,
  generation: GenerationConfig = {},
  seed = 1,
): GenerationModel {
  const model = describeModel(config, "config.json");
  const weights = new Map(
    [...parametersOf(model.module)].map(([path, { shape }]) => {
      const random = randomStream(seed, path);
      const count = shape.reduce((a, b) => a * b, 1);
      return [
        path,
        hostTensor(
          Float32Array.from({ length: count }, () => random.normal() * 0.4),
          shape,
        ),
      ] as const;
    }),
  );
  return { ...model, weights, generation };
}
