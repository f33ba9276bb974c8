import { trainCharacterTokenizer } from "../text/character-tokenizer.js";
import type { LoadedTokenizer } from "../text/tokenizer-from-json.js";
import { trainByteLevelBpe } from "../text/train-bpe.js";
import { trainUnigram } from "../text/train-unigram.js";
import { trainWordPiece } from "../text/train-wordpiece.js";
import { trainWordTokenizer } from "../text/train-words.js";
import { blankTokens } from "./tasks/blank-infilling.js";
import { type TokenizerKind, tokenizerKinds } from "./tasks/task.js";

const SENTINELS = 100; // T5's

interface Options {
  readonly vocabSize: number;
  readonly onProgress: (done: number) => void;
}

const trainers: Readonly<Record<TokenizerKind, (texts: readonly string[], options: Options) => LoadedTokenizer>> = {
  bpe: (texts, { vocabSize, onProgress }) =>
    trainByteLevelBpe(texts, { vocabSize, onProgress: (done, of) => onProgress(done / of) }),
  roberta: (texts, { vocabSize, onProgress }) =>
    trainByteLevelBpe(texts, { vocabSize, specialTokens: "roberta", onProgress: (done, of) => onProgress(done / of) }),
  blanks: (texts, { vocabSize, onProgress }) =>
    trainByteLevelBpe(texts, {
      vocabSize,
      extraTokens: Object.values(blankTokens),
      onProgress: (done, of) => onProgress(done / of),
    }),
  characters: (texts) => trainCharacterTokenizer(texts),
  words: (texts, { vocabSize }) => trainWordTokenizer(texts, { vocabSize }),
  wordpiece: (texts, { vocabSize, onProgress }) =>
    trainWordPiece(texts, { vocabSize, onProgress: (done, of) => onProgress(done / of) }),
  unigram: (texts, { vocabSize, onProgress }) =>
    trainUnigram(texts, { vocabSize, sentinels: SENTINELS, onProgress: (done, of) => onProgress(done / of) }),
};

/** Trains a tokenizer of a kind; undefined where the name is none of a kind. @throws TesseraError as the trainers do */
export function trainTokenizer(kind: string, texts: readonly string[], options: Options): LoadedTokenizer | undefined {
  const known = tokenizerKinds.find((name) => name === kind);
  return known && trainers[known](texts, options);
}
