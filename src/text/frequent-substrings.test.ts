import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frequentSubstrings, wordText } from "./frequent-substrings.js";

const word = fc.array(fc.constantFrom(..."aab月😀"), { minLength: 1, maxLength: 9 }).map((chars) => chars.join(""));

describe("frequentSubstrings", () => {
  it("finds what counting every substring finds", () => {
    fc.assert(
      fc.property(
        fc.dictionary(word, fc.integer({ min: 1, max: 4 }), { minKeys: 1, maxKeys: 8 }),
        fc.integer({ min: 2, max: 6 }),
        (dictionary, maxLength) => {
          const wordCounts = new Map(Object.entries(dictionary));
          const found = new Map<string, { count: number; followers: Map<string, number> }>();
          for (const [text, count] of wordCounts) {
            const chars = [...text];
            for (let start = 0; start < chars.length; start++) {
              for (let end = start + 1; end <= Math.min(chars.length, start + maxLength); end++) {
                const piece = chars.slice(start, end).join("");
                const known = found.get(piece) ?? { count: 0, followers: new Map() };
                const follower = chars[end] ?? "end";
                known.followers.set(follower, (known.followers.get(follower) ?? 0) + count);
                found.set(piece, { ...known, count: known.count + count });
              }
            }
          }
          const expected = [...found]
            .filter(([piece, { count, followers }]) => {
              const length = [...piece].length;
              if (length === 1) return true;
              return count >= 2 && (length === maxLength || followers.size > 1 || followers.has("end"));
            })
            .map(([piece, { count }]) => [piece, count]);

          const words = wordText(wordCounts);
          const { characters, longer, order } = frequentSubstrings(words, maxLength);
          const spelled = (first: number, length: number) =>
            String.fromCodePoint(...words.text.subarray(order[first]!, order[first]! + length));
          const all = [...characters, ...longer];
          expect(new Map(all.map(({ first, length, count }) => [spelled(first, length), count]))).toEqual(
            new Map(expected as [string, number][]),
          );
          expect(all).toHaveLength(expected.length);
          for (const { first, last, length } of all)
            for (let i = first; i <= last; i++) expect(spelled(i, length)).toBe(spelled(first, length));
        },
      ),
      { numRuns: 300 },
    );
  });
});
