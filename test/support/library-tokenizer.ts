import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";

/** What Hugging Face's own JavaScript library makes of a text with a tokenizer.json. */
export function libraryTokenizerIds(json: unknown, text: string): number[] {
  return (new LibraryTokenizer(json as object, {}) as { encode(text: string): { ids: number[] } }).encode(text).ids;
}
