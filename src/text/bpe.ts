import { TesseraError } from "../core/errors.js";

/** What a byte-pair-encoding model is made of: the fields of `model` in tokenizer.json. */
export interface BpeOptions {
  /** The id of every token. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of tokens, first merged first. */
  readonly merges: readonly (readonly [string, string])[];
  /** The id that stands for a character outside the vocabulary; without one such characters vanish. */
  readonly unkId?: number | undefined;
  /** Whether a run of unknown characters becomes one unknown token. */
  readonly fuseUnk?: boolean | undefined;
  /** Whether an unknown character becomes its UTF-8 bytes as tokens `<0x00>` … `<0xFF>`. */
  readonly byteFallback?: boolean | undefined;
  /** Whether a word that is a token as a whole is taken without merging. */
  readonly ignoreMerges?: boolean | undefined;
  /** Written before every character of a word but the first. */
  readonly continuingSubwordPrefix?: string | undefined;
  /** Written after the last character of a word. */
  readonly endOfWordSuffix?: string | undefined;
  /** What messages call the merges. Default `merges`. */
  readonly where?: string;
}

const utf8 = new TextEncoder();

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016): starting from characters, the adjacent pair whose merge was
 * learnt first is merged, leftmost first, until no pair has a merge. O(n log n) for a word of n characters.
 *
 * @returns the function from a word to the ids of its tokens
 * @throws TesseraError `tokenizer` for a merge of or into what is not in the vocabulary
 */
export function bpe(options: BpeOptions): (word: string) => number[] {
  const { vocab, unkId, fuseUnk, byteFallback, ignoreMerges } = options;
  const prefix = options.continuingSubwordPrefix ?? "";
  const suffix = options.endOfWordSuffix ?? "";
  const table = mergeTable(options, prefix);

  function firstSymbols(word: string): number[] {
    const symbols: number[] = [];
    let afterUnknown = false;
    let at = 0;
    for (const char of word) {
      const start = at;
      at += char.length;
      const symbol =
        prefix === "" && suffix === "" ? char : (start > 0 ? prefix : "") + char + (at === word.length ? suffix : "");
      const id = vocab.get(symbol);
      if (id !== undefined) symbols.push(id);
      else {
        const bytes = byteFallback ? byteTokens(symbol, vocab) : undefined;
        if (bytes !== undefined) symbols.push(...bytes);
        else if (unkId !== undefined && !(fuseUnk && afterUnknown)) symbols.push(unkId);
        afterUnknown = bytes === undefined;
        continue;
      }
      afterUnknown = false;
    }
    return symbols;
  }

  return (word) => {
    const whole = ignoreMerges ? vocab.get(word) : undefined;
    return whole !== undefined ? [whole] : mergeSymbols(firstSymbols(word), table);
  };
}

/** The tokens `<0x..>` of the UTF-8 bytes of `text`, or undefined where the vocabulary lacks one of them. */
export function byteTokens(text: string, vocab: ReadonlyMap<string, number>): number[] | undefined {
  const ids: number[] = [];
  for (const byte of utf8.encode(text)) {
    const id = vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

/** Merges by pair of ids, in open addressing: a Map keyed by numbers beyond 31 bits is several times slower. */
interface MergeTable {
  readonly mask: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly rank: Int32Array;
  readonly product: Int32Array;
}

function mergeTable({ merges, vocab, where = "merges" }: BpeOptions, prefix: string): MergeTable {
  const capacity = 2 ** Math.ceil(Math.log2(2 * merges.length + 2));
  const table: MergeTable = {
    mask: capacity - 1,
    left: new Int32Array(capacity).fill(-1),
    right: new Int32Array(capacity),
    rank: new Int32Array(capacity),
    product: new Int32Array(capacity),
  };
  const idOf = (token: string, rank: number) => {
    const id = vocab.get(token);
    if (id !== undefined) return id;
    throw new TesseraError("tokenizer", `${where}[${rank}]: ${JSON.stringify(token)} is not in the vocabulary`);
  };
  for (let rank = 0; rank < merges.length; rank++) {
    const [a, b] = merges[rank]!;
    const left = idOf(a, rank);
    const right = idOf(b, rank);
    const slot = slotOf(table, left, right);
    table.left[slot] = left;
    table.right[slot] = right;
    table.rank[slot] = rank;
    table.product[slot] = idOf(a + (prefix === "" ? b : b.slice(prefix.length)), rank);
  }
  return table;
}

/** The slot that holds the pair, or the empty one (`left` −1) where it would go. */
function slotOf({ mask, left, right }: MergeTable, a: number, b: number): number {
  let slot = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)) >>> 0;
  slot = (slot ^ (slot >>> 15)) & mask;
  while (left[slot] !== -1 && (left[slot] !== a || right[slot] !== b)) slot = (slot + 1) & mask;
  return slot;
}

const positions = 2 ** 31;

/** Working memory of {@link mergeSymbols}, kept between words: allocating it anew costs more than most words do. */
let next: Int32Array;
let previous: Int32Array;
let heap: Float64Array;
const keptLength = 4096;
remember(keptLength);

function remember(length: number): void {
  next = new Int32Array(length);
  previous = new Int32Array(length);
  heap = new Float64Array(3 * length); // at most n − 1 candidates at first, and 2 more for each of at most n − 1 merges
}

/**
 * Merges in place and returns what is left. Candidates wait in a heap of `rank · 2³¹ + position`; one that no longer
 * describes the symbols at its position is skipped when it comes up.
 */
function mergeSymbols(symbols: number[], table: MergeTable): number[] {
  const n = symbols.length;
  if (n < 2) return symbols;
  if (n > next.length) remember(n);
  for (let at = 0; at < n; at++) {
    next[at] = at + 1 < n ? at + 1 : -1;
    previous[at] = at - 1;
  }
  let size = 0;
  for (let at = 0; at + 1 < n; at++) {
    const slot = slotOf(table, symbols[at]!, symbols[at + 1]!);
    if (table.left[slot] !== -1) pushHeap(table.rank[slot]! * positions + at, size++);
  }
  while (size > 0) {
    const key = heap[0]!;
    popHeap(--size);
    const rank = Math.floor(key / positions);
    const at = key - rank * positions;
    const gone = next[at]!;
    if (symbols[at] === -1 || gone === -1) continue;
    const slot = slotOf(table, symbols[at]!, symbols[gone]!);
    if (table.left[slot] === -1 || table.rank[slot] !== rank) continue;
    const product = table.product[slot]!;
    symbols[at] = product;
    symbols[gone] = -1;
    const after = next[gone]!;
    next[at] = after;
    if (after !== -1) {
      previous[after] = at;
      const right = slotOf(table, product, symbols[after]!);
      if (table.left[right] !== -1) pushHeap(table.rank[right]! * positions + at, size++);
    }
    const before = previous[at]!;
    if (before !== -1) {
      const left = slotOf(table, symbols[before]!, product);
      if (table.left[left] !== -1) pushHeap(table.rank[left]! * positions + before, size++);
    }
  }
  const merged: number[] = [];
  for (let at = 0; at !== -1; at = next[at]!) merged.push(symbols[at]!);
  if (n > keptLength) remember(keptLength);
  return merged;
}

/** Adds a key to a heap of `size` keys. */
function pushHeap(key: number, size: number): void {
  let at = size;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= key) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = key;
}

/** Takes the smallest key off a heap, which then has `size` keys. */
function popHeap(size: number): void {
  const key = heap[size]!;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= key) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = key;
}
