/** Finds the end of a text that comes in pieces. */
export interface StopScanner {
  /**
   * Takes the next piece.
   *
   * @returns `text` that certainly stands before any stop string, and whether one was found, after which nothing more is taken
   */
  push(piece: string): { readonly text: string; readonly stopped: boolean };
  /** What was kept back because a stop string might have begun there. */
  flush(): string;
}

/**
 * Cuts a text at the stop string that is complete first; of several that end together, at the longest. However the text is cut into
 * pieces, the result is the same, and no part of a stop string is told before it is clear that it is none.
 *
 * @param stops none empty
 */
export function stopScanner(stops: readonly string[]): StopScanner {
  let kept = "";
  return {
    push(piece) {
      const text = kept + piece;
      kept = "";
      const found = firstComplete(text, stops);
      if (found !== undefined) return { text: text.slice(0, found), stopped: true };
      const open = text.length - longestOpening(text, stops);
      kept = text.slice(open);
      return { text: text.slice(0, open), stopped: false };
    },
    flush() {
      const rest = kept;
      kept = "";
      return rest;
    },
  };
}

/** Where the stop string begins that ends first. */
function firstComplete(text: string, stops: readonly string[]): number | undefined {
  const found = stops
    .map((stop) => ({ start: text.indexOf(stop), length: stop.length }))
    .filter(({ start }) => start >= 0);
  found.sort((a, b) => a.start + a.length - (b.start + b.length) || a.start - b.start);
  return found[0]?.start;
}

/** Length of the longest end of `text` that a stop string begins with. */
function longestOpening(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (text.endsWith(stop.slice(0, length))) longest = length;
  return longest;
}
