import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addDims,
  broadcastShapes,
  countOf,
  type Dim,
  divDims,
  formatShape,
  mulDims,
  resolveDim,
  sameShape,
  sizeOf,
} from "./dim.js";

const names = { a: 3, b: 5, past: 7, t_2: 11 };
const name = fc.constantFrom(...Object.keys(names));
/** A product of names with a coefficient. */
const monomial: fc.Arbitrary<Dim> = fc
  .tuple(fc.integer({ min: -6, max: 6 }), fc.array(name, { maxLength: 3 }))
  .map(([coefficient, factors]) => [coefficient, ...factors].reduce<Dim>(mulDims, 1));
const dim: fc.Arbitrary<Dim> = fc.array(monomial, { maxLength: 4 }).map((terms) => terms.reduce<Dim>(addDims, 0));
const value = (d: Dim) => resolveDim(d, names);

describe("sizes", () => {
  it("add and multiply as the numbers they stand for", () => {
    fc.assert(
      fc.property(dim, dim, (p, q) => {
        expect(value(addDims(p, q))).toBe(value(p) + value(q));
        expect(value(mulDims(p, q))).toBe(value(p) * value(q) + 0);
      }),
    );
  });

  it("are equal text when they are equal", () => {
    fc.assert(
      fc.property(dim, dim, dim, (p, q, r) => {
        expect(addDims(p, q)).toBe(addDims(q, p));
        expect(mulDims(p, q)).toBe(mulDims(q, p));
        expect(addDims(addDims(p, q), r)).toBe(addDims(p, addDims(q, r)));
        expect(mulDims(mulDims(p, q), r)).toBe(mulDims(p, mulDims(q, r)));
        expect(mulDims(p, addDims(q, r))).toBe(addDims(mulDims(p, q), mulDims(p, r)));
        expect(addDims(addDims(p, q), mulDims(-1, q))).toBe(p);
        expect(addDims(p, mulDims(-1, p))).toBe(0);
        expect([addDims(p, 0), mulDims(p, 1), mulDims(p, 0)]).toEqual([p, p, 0]);
      }),
    );
  });

  it("divide where they divide", () => {
    fc.assert(
      fc.property(dim, monomial, (p, m) => {
        fc.pre(m !== 0 && p !== 0);
        expect(divDims(mulDims(p, m), m)).toBe(p);
        const quotient = divDims(p, m);
        if (quotient !== undefined) expect(mulDims(quotient, m)).toBe(p);
      }),
    );
  });

  it("are written in one way", () => {
    expect(addDims("past", "t")).toBe("past + t");
    expect(addDims(1, "t")).toBe("t + 1");
    expect(addDims("t", -1)).toBe("t + -1");
    expect(mulDims(addDims("b", 2), "t")).toBe("b*t + 2*t");
    expect(mulDims("t", mulDims(4, "b"))).toBe("4*b*t");
    expect(addDims("t + 3", -3)).toBe("t");
    expect(mulDims("2*b", 3)).toBe("6*b");
  });

  it("do not divide by nothing, by sums, or with a rest", () => {
    expect(divDims(6, 4)).toBeUndefined();
    expect(divDims(6, 0)).toBeUndefined();
    expect(divDims("b", 0)).toBeUndefined();
    expect(divDims("b", "t")).toBeUndefined();
    expect(divDims("6*b", "4*b")).toBeUndefined();
    expect(divDims("b*t", "b + t")).toBeUndefined();
    expect(divDims("b + t", "b + t")).toBe(1);
    expect(divDims(12, 4)).toBe(3);
    expect(divDims("6*b*t", "2*t")).toBe("3*b");
    expect(divDims(0, "b")).toBe(0);
  });

  it("refuse text that is no size", () => {
    for (const text of ["", "t -", "b/2", "2x", "b + ", "a-b"])
      expect(() => addDims(text, "t")).toThrow(`dim: ${JSON.stringify(text)} is not a size`);
  });

  it("need their names to be known", () => {
    expect(resolveDim("past + 2*t", { past: 5, t: 3 })).toBe(11);
    expect(() => resolveDim("past + t", { past: 5 })).toThrow('size "t" of "past + t" is not known');
  });
});

describe("shapes", () => {
  it("have a size", () => {
    expect(sizeOf([])).toBe(1);
    expect(sizeOf([2, "t", 3])).toBe("6*t");
    expect(countOf([2, 0, 3])).toBe(0);
    expect(() => countOf(["b", 3])).toThrow("countOf: [b, 3] has a size that is not a number");
  });

  it("print and compare", () => {
    expect(formatShape(["b", "t", 768])).toBe("[b, t, 768]");
    expect(formatShape([])).toBe("[]");
    expect(sameShape(["b", 2], ["b", 2])).toBe(true);
    expect(sameShape(["b", 2], ["t", 2])).toBe(false);
    expect(sameShape([2], [2, 1])).toBe(false);
  });

  it("broadcast", () => {
    expect(broadcastShapes(["b", 1, 3], ["t", 1])).toEqual(["b", "t", 3]);
    expect(broadcastShapes([], [2, 3])).toEqual([2, 3]);
    expect(broadcastShapes([0, 1], [1, 4])).toEqual([0, 4]);
    expect(() => broadcastShapes(["b", 3], ["b", 4])).toThrow("shapes do not broadcast, [b, 3] with [b, 4] (3 vs 4)");
    expect(() => broadcastShapes(["b"], ["t"])).toThrow("shapes do not broadcast, [b] with [t] (b vs t)");
  });

  it("broadcast alike from both sides, and to themselves", () => {
    const size = fc.constantFrom<Dim>(1, 2, 3, "b", "t");
    const shape = fc.array(size, { maxLength: 4 });
    fc.assert(
      fc.property(shape, shape, (p, q) => {
        const attempt = (f: () => unknown) => {
          try {
            return f();
          } catch {
            return "refused";
          }
        };
        const both = attempt(() => broadcastShapes(p, q));
        expect(attempt(() => broadcastShapes(q, p))).toEqual(both);
        if (both !== "refused") expect(broadcastShapes(both as Dim[], p)).toEqual(both);
      }),
    );
  });
});
