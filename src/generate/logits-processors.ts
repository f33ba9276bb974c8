import { TesseraError } from "../core/errors.js";

/**
 * Changes the logits of the next token in place; −∞ bans a token.
 *
 * @param logits one for each token of the vocabulary
 * @param history all tokens before: the prompt, or the token that an encoder-decoder's target starts with, and what was generated
 */
export type LogitsProcessor = (logits: Float32Array, history: readonly number[]) => void;

/** Divides the logits: below 1 likely tokens become likelier, above 1 the choice widens. Ackley et al. 1985. @param t above 0 */
export function temperature(t: number): LogitsProcessor {
  const divisor = Math.fround(t);
  return (logits) => {
    for (let i = 0; i < logits.length; i++) logits[i] = logits[i]! / divisor;
  };
}

/** Keeps the `k` most probable tokens, and those as probable as the last of them. Fan et al. 2018. @param k above 0 */
export function topK(k: number): LogitsProcessor {
  return (logits) => {
    if (k < logits.length) banBelow(logits, kthLargest(logits, k));
  };
}

/**
 * Keeps the fewest most probable tokens whose probabilities add up to `p` at least (nucleus sampling); among equals the first.
 * Holtzman et al. 2020.
 *
 * @param p in 0 … 1; one token is always kept
 */
export function topP(p: number): LogitsProcessor {
  let weights = new Float32Array(0);
  let candidates = new Float32Array(0);
  const sums = new Float64Array(bucketOf(1) + 1);
  return (logits) => {
    if (p >= 1) return;
    if (weights.length !== logits.length)
      [weights, candidates] = [new Float32Array(logits.length), new Float32Array(logits.length)];
    const wanted = p * exponentials(logits, weights);
    // Sorting a whole vocabulary is slow: buckets find the few weights among which the threshold is.
    const buckets = new Uint32Array(weights.buffer);
    sums.fill(0);
    for (let i = 0; i < logits.length; i++) sums[buckets[i]! >>> BUCKET_SHIFT]! += weights[i]!;
    let bucket = sums.length - 1;
    let sum = sums[bucket]!;
    while (sum < wanted && bucket > 0) sum += sums[--bucket]!;
    let count = 0;
    for (let i = 0; i < logits.length; i++)
      if (buckets[i]! >>> BUCKET_SHIFT === bucket) candidates[count++] = weights[i]!;
    if (count === 0) return; // rounding: all of them are needed
    const inBucket = candidates.subarray(0, count).sort();
    let at = count - 1;
    sum += inBucket[at]! - sums[bucket]!;
    while (sum < wanted && at > 0) sum += inBucket[--at]!;
    const threshold = inBucket[at]!;
    let kept = inBucket.lastIndexOf(threshold) - at + 1; // of the tokens at the threshold
    for (let i = 0; i < logits.length; i++)
      if (weights[i]! < threshold || (weights[i] === threshold && kept-- <= 0)) logits[i] = Number.NEGATIVE_INFINITY;
  };
}

/** Weights in 0 … 1 are told apart by the upper bits of their float: the exponent and four bits of the fraction. */
const BUCKET_SHIFT = 19;
const bucketOf = (weight: number) => new Uint32Array(Float32Array.of(weight).buffer)[0]! >>> BUCKET_SHIFT;

/** Keeps tokens at least `p` times as probable as the most probable one. Nguyen et al. 2024. @param p in 0 … 1 */
export function minP(p: number): LogitsProcessor {
  const offset = Math.log(p);
  return (logits) => {
    if (p > 0) banBelow(logits, largest(logits) + offset);
  };
}

/** Divides positive and multiplies negative logits of the tokens that occurred before. Keskar et al. 2019. @param penalty above 0; above 1 discourages */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  const factor = Math.fround(penalty);
  return (logits, history) => {
    for (const id of new Set(history)) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit < 0 ? logit * factor : logit / factor;
    }
  };
}

/** Multiplies positive and divides negative logits of the tokens of a source. @param penalty above 0; above 1 favours them */
export function encoderRepetitionPenalty(penalty: number, source: readonly number[]): LogitsProcessor {
  const favour = repetitionPenalty(1 / penalty);
  return (logits) => favour(logits, source);
}

/** Bans tokens that would repeat a run of `n` tokens. Paulus et al. 2018. @param n above 0 */
export function noRepeatNgram(n: number): LogitsProcessor {
  return (logits, history) => banRunsOf(history, n, logits, history);
}

/** Bans tokens that would repeat a run of `n` tokens of a source. Roller et al. 2021. @param n above 0 */
export function encoderNoRepeatNgram(n: number, source: readonly number[]): LogitsProcessor {
  return (logits, history) => banRunsOf(source, n, logits, history);
}

/** Bans what ends a run of `n` tokens of `text` that the history ends with but for its last token. */
function banRunsOf(text: readonly number[], n: number, logits: Float32Array, history: readonly number[]): void {
  const start = history.length - n + 1; // of the run that the next token completes
  if (start < 0) return;
  for (let i = 0; i + n <= text.length; i++) {
    let same = 0;
    while (same < n - 1 && text[i + same] === history[start + same]) same++;
    if (same === n - 1) ban(logits, text[i + same]!);
  }
}

/** Bans the last token of each sequence wherever the ones before it have just occurred. @param words sequences of tokens, none empty */
export function badWords(words: readonly (readonly number[])[]): LogitsProcessor {
  return (logits, history) => {
    for (const word of words) {
      const start = history.length - word.length + 1;
      if (start >= 0 && word.every((id, i) => i === word.length - 1 || history[start + i] === id))
        ban(logits, word.at(-1)!);
    }
  };
}

/** Bans tokens. */
export function suppressTokens(ids: readonly number[]): LogitsProcessor {
  return (logits) => {
    for (const id of ids) ban(logits, id);
  };
}

/** Bans tokens as the one at `position` (0 is the first of the text, the prompt's counted). */
export function beginSuppressTokens(ids: readonly number[], position: number): LogitsProcessor {
  const suppress = suppressTokens(ids);
  return (logits, history) => {
    if (history.length === position) suppress(logits, history);
  };
}

/** Bans the tokens that end a text until it has `length` tokens, those of the prompt counted. */
export function minLength(length: number, eos: readonly number[]): LogitsProcessor {
  const suppress = suppressTokens(eos);
  return (logits, history) => {
    if (history.length < length) suppress(logits, history);
  };
}

/** Allows nothing but `ids` as the token at `position` (0 is the first of the text, the prompt's counted). */
export function forcedTokens(ids: readonly number[], position: number): LogitsProcessor {
  return (logits, history) => {
    if (history.length !== position) return;
    logits.fill(Number.NEGATIVE_INFINITY);
    for (const id of ids) if (id < logits.length) logits[id] = 0;
  };
}

/** Logits as log-probabilities, `x − log Σ eˣ`, in place. */
export function logNormalize(logits: Float32Array): void {
  const top = largest(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - top);
  requireFinite(sum, logits);
  const shift = Math.fround(Math.log(sum));
  for (let i = 0; i < logits.length; i++) logits[i] = Math.fround(logits[i]! - top) - shift;
}

/** Processors one after another. */
export function chain(processors: readonly LogitsProcessor[]): LogitsProcessor {
  return (logits, history) => {
    for (const process of processors) process(logits, history);
  };
}

/**
 * `e^{logit − largest}` of each logit into `weights`.
 *
 * @returns their sum
 * @throws TesseraError `argument` when no token is left, or the logits are not numbers
 */
export function exponentials(logits: Float32Array, weights: Float32Array): number {
  const top = largest(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!;
    const weight = logit === Number.NEGATIVE_INFINITY ? 0 : Math.exp(logit - top); // most are −∞ after top-k, and exp is slow
    weights[i] = weight;
    sum += weight;
  }
  return sum;
}

/** The largest logit. @throws TesseraError `argument` when no token is left, or the logits are not numbers */
export function largest(logits: Float32Array): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > top) top = logits[i]!;
  requireFinite(top, logits);
  return top;
}

/** Refuses logits that leave nothing to choose. */
export function requireFinite(top: number, logits: Float32Array): void {
  if (Number.isFinite(top)) return;
  const fault = logits.some(Number.isNaN)
    ? "the model's logits are not numbers"
    : top > 0
      ? "a logit is infinite"
      : "every token is banned";
  throw new TesseraError("argument", `generate: no token can be chosen, ${fault}`);
}

function ban(logits: Float32Array, id: number): void {
  logits[id] = Number.NEGATIVE_INFINITY; // beyond the vocabulary: no effect
}

function banBelow(logits: Float32Array, threshold: number): void {
  for (let i = 0; i < logits.length; i++) if (logits[i]! < threshold) logits[i] = Number.NEGATIVE_INFINITY;
}

/** The k-th largest value, through a heap of the k largest with the least of them on top: most values need one comparison. */
function kthLargest(values: Float32Array, k: number): number {
  const heap = values.slice(0, k).sort(); // ascending order is heap order
  for (let i = k; i < values.length; i++) {
    const value = values[i]!;
    if (value > heap[0]!) sink(heap, value);
  }
  return heap[0]!;
}

/** Puts `value` in the place of the heap's top. */
function sink(heap: Float32Array, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= value) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = value;
}
