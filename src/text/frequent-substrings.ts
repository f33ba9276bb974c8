/** A substring, with every place it occurs at. */
export interface Substring {
  readonly length: number;
  /** Occurrences, each as often as its word. */
  readonly count: number;
  /** It starts at the positions `order[first]` … `order[last]`. */
  readonly first: number;
  readonly last: number;
}

/** A corpus of words, each written once, one behind the other. */
export interface WordText {
  /** Code points; a word is followed by {@link endOfWord}. */
  readonly text: Int32Array;
  /** Where words start. */
  readonly starts: Int32Array;
  /** How often each word occurs. */
  readonly counts: Float64Array;
}

/** What stands behind a word. */
export const endOfWord = -1;

/** Lays words out one behind the other. */
export function wordText(wordCounts: ReadonlyMap<string, number>): WordText {
  const codes: number[] = [];
  const starts: number[] = [];
  for (const word of wordCounts.keys()) {
    starts.push(codes.length);
    for (const char of word) codes.push(char.codePointAt(0)!);
    codes.push(endOfWord);
  }
  return {
    text: Int32Array.from(codes),
    starts: Int32Array.from(starts),
    counts: Float64Array.from(wordCounts.values()),
  };
}

/**
 * The characters of words, and the substrings that occur at least twice, from two to `maxLength` characters, without those
 * that are always followed by one and the same character (the longer one tells as much): the inner nodes of the words' suffix
 * tree, found through a suffix array sorted as far as `maxLength`.
 *
 * @returns the characters in the order of their code points, the longer ones, and `order`, the suffix array
 */
export function frequentSubstrings(
  { text, starts, counts }: WordText,
  maxLength: number,
): { readonly characters: Substring[]; readonly longer: Substring[]; readonly order: Int32Array } {
  const order = sortedSuffixes(text, maxLength);
  const countAt = new Float64Array(text.length);
  for (const [word, start] of starts.entries()) countAt.fill(counts[word]!, start, starts[word + 1] ?? text.length);
  const sums = new Float64Array(order.length + 1); // of the counts of the suffixes before each
  order.forEach((position, i) => {
    sums[i + 1] = sums[i]! + countAt[position]!;
  });
  const substring = (length: number, first: number, last: number): Substring => ({
    length,
    count: sums[last + 1]! - sums[first]!,
    first,
    last,
  });

  const characters: Substring[] = [];
  const longer: Substring[] = [];
  const add = (length: number, first: number, last: number) => {
    const found = substring(length, first, last);
    if (length > 1 && found.count >= 2) longer.push(found);
  };
  const open: { length: number; first: number }[] = []; // prefixes of the suffix at hand, ever longer
  let common = 0; // with the suffix before
  let firstOfCharacter = 0;
  for (let i = 0; i < order.length; i++) {
    const next = i + 1 < order.length ? commonLength(text, order[i]!, order[i + 1]!, maxLength) : 0;
    const whole = commonLength(text, order[i]!, order[i]!, maxLength); // up to the end of its word
    if (whole > common && whole > next) add(whole, i, i);
    let first = i;
    while (open.length > 0 && open.at(-1)!.length > next) {
      const ended = open.pop()!;
      first = ended.first;
      add(ended.length, first, i);
    }
    if (next > (open.at(-1)?.length ?? 0)) open.push({ length: next, first });
    if (next === 0) {
      characters.push(substring(1, firstOfCharacter, i));
      firstOfCharacter = i + 1;
    }
    common = next;
  }
  return { characters, longer, order };
}

/** How many characters two suffixes have in common before a word ends, at most `limit`. */
function commonLength(text: Int32Array, a: number, b: number, limit: number): number {
  let length = 0;
  while (length < limit && text[a + length] === text[b + length] && text[a + length] !== endOfWord) length++;
  return length;
}

/** The positions of all characters, in the order of what is written from there to the end of the word, as far as `depth`. */
function sortedSuffixes(text: Int32Array, depth: number): Int32Array {
  const order = new Int32Array(text.length).map((_, i) => i).filter((position) => text[position] !== endOfWord);
  return order.sort((a, b) => {
    const common = commonLength(text, a, b, depth);
    return common === depth ? a - b : text[a + common]! - text[b + common]! || a - b;
  });
}
