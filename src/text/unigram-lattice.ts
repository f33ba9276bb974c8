import { frequentSubstrings, type Substring, type WordText } from "./frequent-substrings.js";

/**
 * Every way to write a corpus of words in pieces: from each character, the pieces that start there. Pieces are numbered;
 * what a piece is spelled like stands in the text itself.
 */
export interface Lattice extends WordText {
  /** The length of each piece, in characters. */
  readonly lengths: Int32Array;
  /** A place where each piece stands. */
  readonly places: Int32Array;
  /** The pieces that start at position `p` are `pieces[firsts[p]]` … `pieces[firsts[p + 1] - 1]`. */
  readonly firsts: Int32Array;
  readonly pieces: Int32Array;
}

/**
 * The lattice of a corpus over all its characters and its most frequent substrings (those whose occurrences take up most
 * of the corpus), characters first.
 *
 * @param maxLength of a piece, in characters
 * @param limit how many substrings of more than one character are taken at most
 * @returns the lattice, and how many characters of the corpus the occurrences of each piece take up
 */
export function seedLattice(
  words: WordText,
  maxLength: number,
  limit: number,
): { readonly lattice: Lattice; readonly weights: Float64Array } {
  const { characters, longer, order } = frequentSubstrings(words, maxLength);
  const covered = ({ count, length }: Substring) => count * length;
  longer.sort((a, b) => covered(b) - covered(a) || a.first - b.first || a.length - b.length);
  const seeds = [...characters, ...longer.slice(0, limit)];
  const { text } = words;
  const firsts = new Int32Array(text.length + 1);
  for (const { first, last } of seeds) for (let i = first; i <= last; i++) firsts[order[i]! + 1]!++;
  for (let p = 0; p < text.length; p++) firsts[p + 1]! += firsts[p]!;
  const pieces = new Int32Array(firsts[text.length]!);
  const filled = firsts.slice();
  seeds.forEach(({ first, last }, piece) => {
    for (let i = first; i <= last; i++) pieces[filled[order[i]!]!++] = piece;
  });
  return {
    lattice: {
      ...words,
      lengths: Int32Array.from(seeds, ({ length }) => length),
      places: Int32Array.from(seeds, ({ first }) => order[first]!),
      firsts,
      pieces,
    },
    weights: Float64Array.from(seeds, covered),
  };
}

/**
 * The lattice with only some of its pieces, numbered anew in their old order.
 *
 * @param kept whether each piece stays
 */
export function withPieces(lattice: Lattice, kept: (piece: number) => boolean): Lattice {
  const { text, firsts: oldFirsts, pieces: oldPieces } = lattice;
  const stay = Array.from(lattice.lengths.keys()).filter(kept);
  const renamed = new Int32Array(lattice.lengths.length).fill(-1);
  stay.forEach((piece, i) => {
    renamed[piece] = i;
  });
  const firsts = new Int32Array(text.length + 1);
  const pieces = new Int32Array(oldPieces.length);
  let end = 0;
  for (let p = 0; p < text.length; p++) {
    for (let i = oldFirsts[p]!; i < oldFirsts[p + 1]!; i++) {
      const piece = renamed[oldPieces[i]!]!;
      if (piece >= 0) pieces[end++] = piece;
    }
    firsts[p + 1] = end;
  }
  return {
    ...lattice,
    lengths: Int32Array.from(stay, (piece) => lattice.lengths[piece]!),
    places: Int32Array.from(stay, (piece) => lattice.places[piece]!),
    firsts,
    pieces: pieces.slice(0, end),
  };
}

/** What a piece is spelled like. */
export function spelling({ text, places, lengths }: Lattice, piece: number): string {
  const from = places[piece]!;
  return String.fromCodePoint(...text.subarray(from, from + lengths[piece]!));
}

/**
 * The expectation step of EM: how often each piece occurs when every word is written in each of its ways as often as that
 * way is likely, p(way | word) ∝ Π p(piece), by forward and backward sums over the lattice.
 *
 * @param logProbs log-probability of each piece
 * @returns the expected counts, and log p of the corpus: Σ over words of count · log Σ over ways of Π p(piece)
 */
export function expectedCounts(
  lattice: Lattice,
  logProbs: Float64Array,
): { readonly counts: Float64Array; readonly logLikelihood: number } {
  const { text, starts, lengths, firsts, pieces } = lattice;
  const expected = new Float64Array(lengths.length);
  const rest = new Float64Array(text.length); // log p of what follows in the word, over all ways
  const visits = new Float64Array(text.length); // p of a way that has a cut here
  let logLikelihood = 0;
  starts.forEach((start, word) => {
    const end = (starts[word + 1] ?? text.length) - 1;
    rest[end] = 0;
    for (let p = end - 1; p >= start; p--) {
      let most = Number.NEGATIVE_INFINITY;
      for (let i = firsts[p]!; i < firsts[p + 1]!; i++) {
        const piece = pieces[i]!;
        const way = logProbs[piece]! + rest[p + lengths[piece]!]!;
        if (way > most) most = way;
      }
      let sum = 0;
      for (let i = firsts[p]!; i < firsts[p + 1]!; i++) {
        const piece = pieces[i]!;
        sum += Math.exp(logProbs[piece]! + rest[p + lengths[piece]!]! - most);
      }
      rest[p] = most + Math.log(sum);
    }
    const count = lattice.counts[word]!;
    logLikelihood += count * rest[start]!;
    visits.fill(0, start, end + 1);
    visits[start] = 1;
    for (let p = start; p < end; p++) {
      const visited = visits[p]!;
      if (visited === 0) continue;
      for (let i = firsts[p]!; i < firsts[p + 1]!; i++) {
        const piece = pieces[i]!;
        const next = p + lengths[piece]!;
        const taken = visited * Math.exp(logProbs[piece]! + rest[next]! - rest[p]!);
        expected[piece]! += count * taken;
        visits[next]! += taken;
      }
    }
  });
  return { counts: expected, logLikelihood };
}

/** How often each piece occurs when every word is written in its most likely way. */
export function bestCounts(lattice: Lattice, logProbs: Float64Array): Float64Array {
  const { text, starts } = lattice;
  const counts = new Float64Array(lattice.lengths.length);
  const scratch = scratchFor(
    starts.reduce((most, start, word) => Math.max(most, (starts[word + 1] ?? text.length) - start), 0),
  );
  starts.forEach((start, word) => {
    const end = (starts[word + 1] ?? text.length) - 1;
    for (const piece of bestPieces(lattice, logProbs, start, end, scratch)) counts[piece]! += lattice.counts[word]!;
  });
  return counts;
}

/** The most likely pieces for the spelling of a piece of several characters, other than the piece itself. */
export function alternativeTo(lattice: Lattice, logProbs: Float64Array, piece: number): number[] {
  const [start, length] = [lattice.places[piece]!, lattice.lengths[piece]!];
  return bestPieces(lattice, logProbs, start, start + length, scratchFor(length + 1), piece);
}

const scratchFor = (cuts: number) => ({ scores: new Float64Array(cuts), choices: new Int32Array(cuts) });

/** The most likely pieces from `start` to `end`, without `forbidden`. */
function bestPieces(
  { lengths, firsts, pieces }: Lattice,
  logProbs: Float64Array,
  start: number,
  end: number,
  { scores, choices }: ReturnType<typeof scratchFor>,
  forbidden?: number,
): number[] {
  scores[end - start] = 0;
  for (let p = end - 1; p >= start; p--) {
    let best = Number.NEGATIVE_INFINITY;
    for (let i = firsts[p]!; i < firsts[p + 1]!; i++) {
      const piece = pieces[i]!;
      const next = p + lengths[piece]!;
      if (next > end || piece === forbidden) continue;
      const score = logProbs[piece]! + scores[next - start]!;
      if (score > best) {
        best = score;
        choices[p - start] = piece;
      }
    }
    scores[p - start] = best;
  }
  const way: number[] = [];
  for (let p = start; p < end; p += lengths[way.at(-1)!]!) way.push(choices[p - start]!);
  return way;
}
