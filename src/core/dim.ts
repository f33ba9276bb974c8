import { TesseraError } from "./errors.js";

/**
 * One size of a shape: a number, or a name such as `"b"`, or a sum of products of names such as `"past + t"` or
 * `"4*b*t"`. Named sizes are resolved when a session runs; the text is kept canonical, so equal sizes are equal strings.
 */
export type Dim = number | string;

/** The sizes of a tensor, outermost first. */
export type Shape = readonly Dim[];

/** A polynomial with integer coefficients: monomial (names sorted, joined by `*`; `""` is the constant) → coefficient. */
type Polynomial = ReadonlyMap<string, number>;

function parse(dim: Dim): Polynomial {
  if (typeof dim === "number") return new Map([["", dim]]);
  const terms = new Map<string, number>();
  for (const term of dim.split(" + ")) {
    let coefficient = 1;
    const names: string[] = [];
    for (const factor of term.split("*")) {
      if (/^-?\d+$/.test(factor)) coefficient *= Number(factor);
      else if (/^[A-Za-z_]\w*$/.test(factor)) names.push(factor);
      else
        throw new TesseraError(
          "shape",
          `dim: ${JSON.stringify(dim)} is not a size: names, numbers, "*" and " + " only`,
        );
    }
    const monomial = names.sort().join("*");
    terms.set(monomial, (terms.get(monomial) ?? 0) + coefficient);
  }
  return terms;
}

function print(terms: Polynomial): Dim {
  const parts: string[] = [];
  for (const [monomial, coefficient] of [...terms].sort(([a], [b]) =>
    a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1,
  )) {
    if (coefficient === 0) continue;
    if (monomial === "") parts.push(String(coefficient));
    else parts.push(coefficient === 1 ? monomial : `${coefficient}*${monomial}`);
  }
  if (parts.length === 0) return 0;
  const text = parts.join(" + ");
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** Sum of two sizes. */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const sum = new Map(parse(a));
  for (const [monomial, coefficient] of parse(b)) sum.set(monomial, (sum.get(monomial) ?? 0) + coefficient);
  return print(sum);
}

/** Product of two sizes. */
export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b + 0; // no −0
  const product = new Map<string, number>();
  for (const [ma, ca] of parse(a))
    for (const [mb, cb] of parse(b)) {
      const monomial = [...ma.split("*"), ...mb.split("*")].filter(Boolean).sort().join("*");
      product.set(monomial, (product.get(monomial) ?? 0) + ca * cb);
    }
  return print(product);
}

/** `a / b` where it divides without remainder, else undefined; `b` must be a number or a single product. */
export function divDims(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return 1;
  if (typeof a === "number" && typeof b === "number") return a % b === 0 ? a / b + 0 : undefined;
  const divisor = [...parse(b)].filter(([, c]) => c !== 0);
  if (divisor.length !== 1) return undefined;
  const [names, coefficient] = divisor[0]!;
  const quotient = new Map<string, number>();
  for (const [monomial, c] of parse(a)) {
    if (c === 0) continue;
    const rest = monomial.split("*").filter(Boolean);
    for (const name of names.split("*").filter(Boolean)) {
      const at = rest.indexOf(name);
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    if (c % coefficient !== 0) return undefined;
    quotient.set(rest.join("*"), c / coefficient);
  }
  return print(quotient);
}

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(mulDims, 1);
}

/** Number of elements of a shape without names. @throws TesseraError `shape` when a size is a name */
export function countOf(shape: Shape): number {
  const size = sizeOf(shape);
  if (typeof size === "string")
    throw new TesseraError("shape", `countOf: ${formatShape(shape)} has a size that is not a number`);
  return size;
}

/** `[b, t, 768]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are equal, size by size. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/**
 * The shape two operands broadcast to, aligned at the right (NumPy's rule).
 * A named size broadcasts against itself and against 1.
 *
 * @throws TesseraError `shape` naming both shapes and the sizes that differ
 */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new TesseraError("shape", `shapes do not broadcast, ${formatShape(a)} with ${formatShape(b)} (${x} vs ${y})`);
  });
}

/** The value of a size when its names are known. @throws TesseraError `shape` when a name is missing */
export function resolveDim(dim: Dim, names: Readonly<Record<string, number>>): number {
  if (typeof dim === "number") return dim;
  let total = 0;
  for (const [monomial, coefficient] of parse(dim)) {
    let product = coefficient;
    for (const name of monomial.split("*").filter(Boolean)) {
      const value = names[name];
      if (value === undefined)
        throw new TesseraError("shape", `size ${JSON.stringify(name)} of ${JSON.stringify(dim)} is not known`);
      product *= value;
    }
    total += product;
  }
  return total;
}
