import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer } from "../../src/text/index.js";
import { tokenizerAnswers } from "../support/tokenizer-answers.js";

/** Compares a tokenizer with what Hugging Face's answered on awkward texts: a line for each answer that differs. */
export async function runTokenizerCase(folder: string): Promise<readonly string[]> {
  const tokenizer = await loadTokenizer(join(folder, "tokenizer.json"));
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Readonly<Record<string, unknown>>[];
  return golden.flatMap((expected) => {
    const text = String(expected.text);
    const got: Record<string, unknown> = tokenizerAnswers(tokenizer, text, expected.ids as number[]);
    return Object.keys(got)
      .filter((key) => key in expected && JSON.stringify(got[key]) !== JSON.stringify(expected[key]))
      .map(
        (key) =>
          `${JSON.stringify(text.slice(0, 40))} ${key}: expected ${JSON.stringify(expected[key])}, got ${JSON.stringify(got[key])}`,
      );
  });
}
