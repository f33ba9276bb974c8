/** A word as pieces: ids, and the text each of them stands for. */
export interface UnigramPieces {
  /** undefined where a piece is unknown and there is no id for that. */
  readonly ids: readonly (number | undefined)[];
  readonly texts: readonly string[];
}

const unknownPenalty = 10; // how much less likely than the rarest token an unknown character is, as in SentencePiece

/**
 * The most likely segmentation of a word under a unigram language model (Kudo 2018): the pieces whose log-probabilities
 * add up to the most, found by going through the word once. Neighbouring unknown characters become one piece.
 *
 * @param vocab tokens and their log-probabilities; the index is the id
 * @param unkId the id of unknown characters, if there is one
 */
export function unigram(
  vocab: readonly (readonly [string, number])[],
  unkId?: number,
): (word: string) => UnigramPieces {
  const idOf = new Map(vocab.map(([token], id) => [token, id]));
  let longest = 0; // in UTF-16 units
  let rarest = Number.POSITIVE_INFINITY;
  for (const [token, score] of vocab) {
    longest = Math.max(longest, token.length);
    rarest = Math.min(rarest, score);
  }
  const unknownScore = rarest - unknownPenalty;

  return (word) => {
    // The best way to each position: its score, where its last piece starts, and the id of that.
    const best = new Float64Array(word.length + 1).fill(Number.NEGATIVE_INFINITY);
    const starts = new Int32Array(word.length + 1);
    const ids: (number | undefined)[] = new Array(word.length + 1);
    best[0] = 0;
    for (let start = 0; start < word.length; ) {
      const next = start + (word.codePointAt(start)! > 0xffff ? 2 : 1);
      const reach = (end: number, score: number, id: number | undefined) => {
        if (best[start]! + score <= best[end]!) return;
        best[end] = best[start]! + score;
        starts[end] = start;
        ids[end] = id;
      };
      const last = Math.min(word.length, start + longest);
      for (let end = next; end <= last; end++) {
        const id = idOf.get(word.slice(start, end));
        if (id !== undefined) reach(end, vocab[id]![1], id);
      }
      if (!idOf.has(word.slice(start, next))) reach(next, unknownScore, unkId);
      start = next;
    }
    const pieces: { id: number | undefined; text: string }[] = [];
    for (let end = word.length; end > 0; end = starts[end]!) {
      const [id, text, after] = [ids[end], word.slice(starts[end], end), pieces.at(-1)];
      if (id === unkId && after !== undefined && after.id === unkId) after.text = text + after.text;
      else pieces.push({ id, text });
    }
    pieces.reverse();
    return { ids: pieces.map(({ id }) => id), texts: pieces.map(({ text }) => text) };
  };
}
