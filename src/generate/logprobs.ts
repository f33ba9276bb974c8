import { largest } from "./logits-processors.js";

/** A token and the logarithm of its probability. */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

/** A generated token's log-probability. */
export interface TokenLogprobs extends TokenLogprob {
  /** The most probable tokens in its place, most probable first; of equals the first. */
  readonly top: readonly TokenLogprob[];
}

/**
 * The log-probability of a token, `x − log Σ eˣ`, and of the `count` most probable ones.
 *
 * @param logits `[v]`, as the model gave them; not changed
 * @throws TesseraError `argument` when the logits are not numbers
 */
export function tokenLogprobs(logits: Float32Array, id: number, count: number): TokenLogprobs {
  const most = largest(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - most);
  const shift = most + Math.log(sum);
  const top: TokenLogprob[] = [];
  for (let i = 0; i < logits.length && count > 0; i++) {
    const logprob = logits[i]! - shift;
    if (top.length === count && !(logprob > top[count - 1]!.logprob)) continue;
    let at = top.length;
    while (at > 0 && top[at - 1]!.logprob < logprob) at--;
    top.splice(at, 0, { id: i, logprob });
    if (top.length > count) top.pop();
  }
  return { id, logprob: logits[id]! - shift, top };
}
