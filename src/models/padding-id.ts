import type { ConfigReader } from "../core/config-reader.js";

/**
 * Reads `pad_token_id` as the padding of an embedding (torch's `padding_idx`): null is none, a negative one counts from behind the
 * last token. One beyond the vocabulary is refused, as by torch.
 *
 * @param standard what an absent one means, if the vocabulary has it. Default none
 */
export function parsePaddingId(c: ConfigReader, vocab: number, standard: number | null = null): number | null {
  const id = c.int("pad_token_id", { default: null });
  if (c.raw("pad_token_id") === undefined) return standard !== null && standard < vocab ? standard : null;
  if (id === null || (id >= 0 && id < vocab)) return id;
  if (id < -vocab || id >= vocab)
    c.problem(`pad_token_id ${id} is no token of vocab_size ${vocab}; null means that there is none`);
  return vocab + id;
}
