import { TesseraError } from "../core/errors.js";
import { bpe, byteTokens } from "./bpe.js";
import { libraryTokenizer } from "./library.js";
import type { ModelJson } from "./tokenizer-json.js";
import { unigram } from "./unigram.js";

/** What a word became. `tokens` is there only where a token is shown otherwise than the vocabulary spells its id. */
export interface EncodedWord {
  readonly ids: readonly number[];
  readonly tokens?: readonly string[];
}

/** Turns one word into tokens. */
export type Model = (word: string) => EncodedWord;

/**
 * The model that the `model` of tokenizer.json describes. WordPiece is that of Hugging Face's library, one word
 * at a time.
 *
 * @throws TesseraError `tokenizer`, from the returned function, for a word that the vocabulary cannot express where
 * the model has no unknown token.
 */
export function tokenModel(model: ModelJson, vocab: ReadonlyMap<string, number>, where: string): Model {
  switch (model.type) {
    case "BPE": {
      const encode = bpe({
        vocab,
        merges: model.merges,
        where: `${where}: model.merges`,
        unkId: idOfUnknown(model.unk_token, vocab),
        fuseUnk: model.fuse_unk,
        byteFallback: model.byte_fallback,
        ignoreMerges: model.ignore_merges,
        continuingSubwordPrefix: model.continuing_subword_prefix ?? undefined,
        endOfWordSuffix: model.end_of_word_suffix ?? undefined,
      });
      return (word) => ({ ids: encode(word) });
    }
    case "WordLevel": {
      const unkId = idOfUnknown(model.unk_token, vocab);
      return (word) => ({ ids: [vocab.get(word) ?? unkId ?? fail(where, word)] });
    }
    case "WordPiece": {
      const library = libraryTokenizer({ model });
      const unkId = idOfUnknown(model.unk_token, vocab);
      return (word) => ({ ids: library.model([word]).map((token) => vocab.get(token) ?? unkId ?? fail(where, word)) });
    }
    case "Unigram": {
      const segment = unigram(model.vocab, model.unk_id ?? undefined);
      return (word) => {
        const pieces = segment(word);
        const ids: number[] = [];
        const tokens: string[] = [];
        pieces.texts.forEach((text, i) => {
          const bytes = model.byte_fallback && !vocab.has(text) ? byteTokens(text, vocab) : undefined;
          ids.push(...(bytes ?? [pieces.ids[i] ?? fail(where, text)]));
          tokens.push(...(bytes?.map((id) => model.vocab[id]![0]) ?? [text]));
        });
        return { ids, tokens };
      };
    }
  }
}

function idOfUnknown(token: string | null | undefined, vocab: ReadonlyMap<string, number>): number | undefined {
  return token === null || token === undefined ? undefined : vocab.get(token);
}

function fail(where: string, word: string): never {
  throw new TesseraError(
    "tokenizer",
    `${where}: ${JSON.stringify(word)} is not in the vocabulary, and there is no unknown token to stand for it`,
  );
}
