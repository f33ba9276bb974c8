import type { PipelineModel } from "../../src/pipeline/index.js";
import type { LanguageModel } from "../../src/pretrained/load-model.js";
import {
  type LoadedTokenizer,
  tokenizerFromJson,
  trainByteLevelBpe,
  trainUnigram,
  trainWordPiece,
} from "../../src/text/index.js";
import { tinyModel } from "./tiny-model.js";

const corpus = [
  "the white whale dived under the ship in the cold waters, and the old captain saw the whale rise.",
  "the captain of the ship is ahab; ahab sails from nantucket with a crew of many men.",
  "where is the whale? in the sea, said the captain, and the men of the crew sang to the white whale.",
];

export const wordPiece: LoadedTokenizer = trainWordPiece(corpus, { vocabSize: 140 });
export const byteLevel: LoadedTokenizer = trainByteLevelBpe(corpus, { vocabSize: 300 });
export const unigram: LoadedTokenizer = trainUnigram(corpus, { vocabSize: 80 });

const bert = {
  model_type: "bert",
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 32,
  vocab_size: wordPiece.vocabSize,
  max_position_embeddings: 48,
};

/** A BERT with random weights and a head, with its tokenizer. */
export function tinyBert(
  architecture: string,
  more: Readonly<Record<string, unknown>> = {},
): PipelineModel & { readonly config: Readonly<Record<string, unknown>> } {
  const config = { ...bert, architectures: [architecture], ...more };
  return { ...opened(config, wordPiece), config };
}

/** The names of labels as config.json has them. */
export const labelled = (...names: readonly string[]) => ({
  id2label: Object.fromEntries(names.map((name, i) => [i, name])),
});

/** A GPT-2 with random weights, with its tokenizer. */
export function tinyGpt2(config: Readonly<Record<string, unknown>> = {}): PipelineModel {
  const tokenizer = tokenizerFromJson(byteLevel.json, { ...byteLevel.config, ...config });
  return opened(
    { model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 16, n_positions: 256, vocab_size: byteLevel.vocabSize },
    tokenizer,
  );
}

/** A T5 with random weights, with its tokenizer. */
export function tinyT5(more: Readonly<Record<string, unknown>> = {}): PipelineModel {
  const sizes = { d_model: 16, d_kv: 8, d_ff: 24, num_layers: 1, num_heads: 2 };
  const vocab = { vocab_size: unigram.vocabSize, pad_token_id: unigram.specialTokens.pad, decoder_start_token_id: 0 };
  return opened({ model_type: "t5", ...sizes, ...vocab, eos_token_id: unigram.specialTokens.eos, ...more }, unigram);
}

function opened(config: Readonly<Record<string, unknown>>, tokenizer: LoadedTokenizer): PipelineModel {
  return { model: { ...tinyModel(config), generationExtra: {} } as unknown as LanguageModel, tokenizer };
}
