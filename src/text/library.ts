import { Tokenizer } from "@huggingface/tokenizers";

/** The parts of Hugging Face's JavaScript library that are used here. */
interface LibraryTokenizer {
  readonly normalizer: ((text: string) => string) | null;
  /** `pattern` is that of a Split. */
  readonly pre_tokenizer: { readonly pattern: RegExp | null } | null;
  readonly model: (words: readonly string[]) => string[];
}

// The declarations of the package do not resolve under `nodenext` (they import without extensions).
const Library = Tokenizer as new (json: object, config: object) => LibraryTokenizer;

const noParts = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: "BPE", vocab: {}, merges: [] },
};

/** Builds parts of a tokenizer, each as tokenizer.json describes it, with Hugging Face's library. */
export function libraryTokenizer(parts: {
  normalizer?: object;
  pre_tokenizer?: object;
  model?: object;
}): LibraryTokenizer {
  return new Library({ ...noParts, ...parts }, {});
}
