import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stopScanner } from "./stop-strings.js";

/** Feeds a text in pieces cut at the given places. */
function feed(text: string, cuts: readonly number[], stops: readonly string[]) {
  const places = [...new Set(cuts.map((c) => c % (text.length + 1)))].sort((a, b) => a - b);
  const scanner = stopScanner(stops);
  const told: string[] = [];
  let from = 0;
  for (const to of [...places, text.length]) {
    const { text: piece, stopped } = scanner.push(text.slice(from, to));
    told.push(piece);
    if (stopped) return { text: told.join(""), told, stopped: true };
    from = to;
  }
  return { text: told.join("") + scanner.flush(), told, stopped: false };
}

/** What comes out when the text is taken character by character and cut as soon as it ends in a stop string. */
function byCharacter(text: string, stops: readonly string[]) {
  for (let end = 1; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length)[0];
    if (found !== undefined) return { text: text.slice(0, end - found.length), stopped: true };
  }
  return { text, stopped: false };
}

const letters = (max: number, min = 0) =>
  fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: min, maxLength: max });

describe("stopScanner", () => {
  it("cuts where a reader of single characters would, however the text is cut into pieces", () => {
    fc.assert(
      fc.property(
        letters(30),
        fc.array(fc.nat(40), { maxLength: 8 }),
        fc.array(letters(4, 1), { maxLength: 3 }),
        (text, cuts, stops) => {
          const { text: got, stopped } = feed(text, cuts, stops);
          expect({ text: got, stopped }).toEqual(byCharacter(text, stops));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("tells nothing that may be part of a stop string, and at once what is not", () => {
    const { told, text } = feed("one\n\ntwo###three", [3, 4, 6, 9, 10, 11], ["\n\n\n", "###"]);
    expect(told).toEqual(["one", "", "\n\nt", "wo", "", ""]);
    expect(text).toBe("one\n\ntwo");
  });

  it("without stop strings passes everything through", () => {
    const scanner = stopScanner([]);
    expect(scanner.push("abc")).toEqual({ text: "abc", stopped: false });
    expect(scanner.flush()).toBe("");
  });
});
