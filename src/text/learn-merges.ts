/** A pair of adjacent symbols that waits to be merged, with its frequency and the words it occurs in. */
interface Candidate {
  readonly left: number;
  readonly right: number;
  count: number;
  readonly words: number[];
}

const idBound = 2 ** 24;

/** What merges are learnt from. */
export interface MergeOptions {
  /** The words as indices into `tokens`; they are merged in place. */
  readonly words: readonly number[][];
  /** How often each word occurs. */
  readonly counts: readonly number[];
  /** The characters at first; every merge adds its product. */
  readonly tokens: string[];
  /** How many entries `tokens` is to have. */
  readonly vocabSize: number;
  /** How often a pair has to occur to be merged. */
  readonly minFrequency: number;
  /** How the product of a pair is spelled. Default: one behind the other. */
  readonly join?: (left: string, right: string) => string;
  /** Told now and then how many of at most how many tokens are learnt. */
  readonly onProgress?: ((learnt: number, of: number) => void) | undefined;
}

/**
 * Byte-pair encoding (Sennrich et al. 2016): merges the most frequent pair of neighbours again and again, of equally frequent
 * ones that with the smallest ids, until `tokens` has `vocabSize` entries or no pair is frequent enough.
 *
 * Only the words that hold a pair are touched when it is merged, and candidates wait in a heap under the frequency
 * they had when they went in: frequencies only fall after that, so one that comes up with an old frequency goes back in.
 *
 * @returns the merges, as the tokens they join
 */
export function learnMerges(options: MergeOptions): [string, string][] {
  const { words, counts, tokens, vocabSize, minFrequency, onProgress = () => {} } = options;
  const join = options.join ?? ((left, right) => left + right);
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const pairCounts = new Map<number, number>();
  const heap: Candidate[] = [];
  let found = new Map<number, Candidate>(); // pairs that came up since the heap was last filled

  const change = (left: number, right: number, by: number, word: number) => {
    const key = left * idBound + right;
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + by);
    if (by < 0) return;
    const candidate = found.get(key);
    if (candidate === undefined) found.set(key, { left, right, count: 0, words: [word] });
    else if (candidate.words.at(-1) !== word) candidate.words.push(word);
  };
  const fillHeap = () => {
    for (const [key, candidate] of found) {
      candidate.count = pairCounts.get(key)!;
      if (candidate.count > 0) push(heap, candidate);
    }
    found = new Map();
  };

  words.forEach((word, w) => {
    for (let i = 0; i + 1 < word.length; i++) change(word[i]!, word[i + 1]!, counts[w]!, w);
  });
  fillHeap();

  const firstMerged = tokens.length;
  const merges = new Map<number, [string, string]>();
  while (tokens.length < vocabSize && heap.length > 0) {
    const best = heap[0]!;
    const { left, right } = best;
    const key = left * idBound + right;
    const count = pairCounts.get(key)!;
    if (best.count !== count) {
      best.count = count;
      sink(heap, best);
      continue;
    }
    if (count < minFrequency) break;
    pop(heap);
    const product = join(tokens[left]!, tokens[right]!);
    const known = idOf.get(product);
    const id = known ?? tokens.length;
    if (known === undefined) {
      idOf.set(product, id);
      tokens.push(product);
    }
    merges.delete(key); // a pair met again counts from its last place
    merges.set(key, [tokens[left]!, tokens[right]!]);
    for (const w of best.words)
      mergeInWord(words[w]!, left, right, id, (a, b, sign) => change(a, b, sign * counts[w]!, w));
    fillHeap();
    if (merges.size % 256 === 0) onProgress(tokens.length - firstMerged, vocabSize - firstMerged);
  }
  onProgress(tokens.length - firstMerged, vocabSize - firstMerged);
  return [...merges.values()];
}

/** Replaces every `left right` of a word by `id`, left to right, and reports which neighbours that parts and joins. */
function mergeInWord(
  word: number[],
  left: number,
  right: number,
  id: number,
  change: (a: number, b: number, sign: 1 | -1) => void,
): void {
  let kept = 0; // word[0, kept) is done
  for (let i = 0; i < word.length; i++) {
    if (word[i] !== left || word[i + 1] !== right) {
      word[kept++] = word[i]!;
      continue;
    }
    if (kept > 0) {
      change(word[kept - 1]!, left, -1);
      change(word[kept - 1]!, id, 1);
    }
    if (i + 2 < word.length) {
      change(right, word[i + 2]!, -1);
      change(id, word[i + 2]!, 1);
    }
    word[kept++] = id;
    i++;
  }
  word.length = kept;
}

/** Whether a candidate comes up before another: by frequency, then by ids. */
function before(a: Candidate, b: Candidate): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.left !== b.left ? a.left < b.left : a.right < b.right;
}

function push(heap: Candidate[], candidate: Candidate): void {
  let at = heap.length;
  heap.push(candidate);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(candidate, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = candidate;
}

function pop(heap: Candidate[]): void {
  const last = heap.pop()!;
  if (heap.length > 0) sink(heap, last);
}

/** Puts a candidate in the place of the first one, and then where it belongs. */
function sink(heap: Candidate[], candidate: Candidate): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, candidate)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = candidate;
}
