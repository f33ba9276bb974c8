import { softmax } from "./probabilities.js";

/** Tokens `start` to `end`, both within, as an answer. */
export interface AnswerSpan {
  readonly start: number;
  readonly end: number;
  readonly score: number;
}

/**
 * The most probable answers of a window: p(start) p(end) over the eligible tokens, of spans of at most `longest` tokens. Devlin et al.
 * 2019, section 4.2; as transformers scores them.
 *
 * @param eligible which tokens take part: those of the context, and the first one, which stands for no answer
 * @returns at most `count` answers, best first, and the probability that there is none
 */
export function answerSpans(
  startLogits: ArrayLike<number>,
  endLogits: ArrayLike<number>,
  eligible: readonly boolean[],
  longest: number,
  count: number,
): { readonly candidates: readonly AnswerSpan[]; readonly nullScore: number } {
  const over = (logits: ArrayLike<number>) => softmax(eligible.map((may, i) => (may ? logits[i]! : -10_000)));
  const [starts, ends] = [over(startLogits), over(endLogits)];
  const candidates: AnswerSpan[] = [];
  for (let start = 1; start < eligible.length; start++) {
    if (!eligible[start]) continue;
    for (let end = start; end < Math.min(start + longest, eligible.length); end++)
      if (eligible[end]) candidates.push({ start, end, score: starts[start]! * ends[end]! });
  }
  candidates.sort((a, b) => b.score - a.score);
  return { candidates: candidates.slice(0, count), nullScore: starts[0]! * ends[0]! };
}
