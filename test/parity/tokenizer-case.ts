import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer } from "../../src/text/index.js";

/** The second text of every recorded pair. */
const SECOND = "second one";

/** Compares a tokenizer with what Hugging Face's answered on awkward texts: a line for each answer that differs. */
export async function runTokenizerCase(folder: string): Promise<readonly string[]> {
  const tokenizer = await loadTokenizer(join(folder, "tokenizer.json"));
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Readonly<Record<string, unknown>>[];
  return golden.flatMap((expected) => {
    const text = String(expected.text);
    const { ids, tokens, typeIds } = tokenizer.encoding(text);
    const pair = tokenizer.encoding(text, { pair: SECOND });
    const recorded = expected.ids as number[];
    const got: Record<string, unknown> = {
      ids,
      tokens,
      type_ids: typeIds,
      no_special: tokenizer.encode(text, { addSpecialTokens: false }),
      pair_ids: pair.ids,
      pair_type_ids: pair.typeIds,
      decoded: tokenizer.decode(recorded, { skipSpecialTokens: true }),
      decoded_with_special: tokenizer.decode(recorded),
    };
    return Object.keys(got)
      .filter((key) => key in expected && JSON.stringify(got[key]) !== JSON.stringify(expected[key]))
      .map(
        (key) =>
          `${JSON.stringify(text.slice(0, 40))} ${key}: expected ${JSON.stringify(expected[key])}, got ${JSON.stringify(got[key])}`,
      );
  });
}
