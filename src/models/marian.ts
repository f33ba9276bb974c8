import type { ConfigReader } from "../core/config-reader.js";
import {
  type BartStacks,
  bartCheckpoint,
  bartStacksFacts,
  bartStacksForGeneration,
  freshBartStacks,
  parseBartStacks,
} from "./bart-stacks.js";
import { defineModel } from "./model.js";

/**
 * Marian: the translation models of OPUS-MT, BART's stacks with sinusoidal positions and no norm of the embeddings. Junczys-Dowmunt et
 * al. 2018, Tiedemann & Thottingal 2020; parity with transformers' `MarianMTModel`.
 */
export type MarianConfig = BartStacks;

function parse(c: ConfigReader): MarianConfig {
  const defaults = { pad_token_id: 58100, eos_token_id: 0, start: "pad_token_id" } as const;
  const config = parseBartStacks(c, defaults, { static_position_embeddings: true, normalize_embedding: false });
  const share = c.bool("share_encoder_decoder_embeddings", { default: true });
  const decoderVocabulary = c.int("decoder_vocab_size", { min: 1, default: config.vocab_size });
  if (config.d_model % 2 !== 0) c.problem(`d_model must be even for sines and cosines, got ${config.d_model}`);
  return {
    ...config,
    decoder_vocab_size: share ? config.vocab_size : decoderVocabulary,
    separate_embeddings: !share || config.separate_embeddings,
    share_encoder_decoder_embeddings: share,
  };
}

export const marian = defineModel<MarianConfig>({
  modelType: "marian",
  parse,
  architectures: { MarianMTModel: { task: "seq2seq-lm", build: bartStacksForGeneration } },
  facts: bartStacksFacts,
  fresh: (sizes) => ({
    ...freshBartStacks(sizes),
    activation_function: "swish",
    decoder_vocab_size: sizes.vocabSize,
    eos_token_id: 0,
    pad_token_id: 1,
    scale_embedding: true,
    share_encoder_decoder_embeddings: true,
    static_position_embeddings: true,
  }),
  checkpoint: bartCheckpoint,
});
