/**
 * What every operation computes, in double precision and plain loops: the reference that the library's graphs are held against.
 * Nothing here shares code with the operations; clarity before speed.
 */
export interface NdArray {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: readonly number[];
}

type Index = readonly number[];

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** An array from the value at every index. */
export function build(shape: readonly number[], value: (index: Index) => number): NdArray {
  const data = Array.from({ length: count(shape) }, (_, flat) => {
    const index: number[] = [];
    let rest = flat;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]!);
      rest = Math.floor(rest / shape[axis]!);
    }
    return value(index);
  });
  return { shape, data };
}

/** The element at an index; leading axes that `x` lacks are dropped and axes of size 1 repeat, as broadcasting has it. */
export function at(x: NdArray, index: Index): number {
  const own = index.slice(index.length - x.shape.length);
  let flat = 0;
  x.shape.forEach((size, axis) => {
    flat = flat * size + (size === 1 ? 0 : own[axis]!);
  });
  return x.data[flat]!;
}

function broadcastShape(...xs: readonly NdArray[]): number[] {
  const rank = Math.max(...xs.map((x) => x.shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = xs.map((x) => x.shape[axis - rank + x.shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** `f` of one array, element by element. */
export const map = (x: NdArray, f: (x: number) => number): NdArray => ({ shape: x.shape, data: x.data.map(f) });
/** `f` of two arrays that broadcast. */
export const map2 = (a: NdArray, b: NdArray, f: (a: number, b: number) => number): NdArray =>
  build(broadcastShape(a, b), (i) => f(at(a, i), at(b, i)));
/** `condition ? a : b`, all three broadcast. */
export const where = (condition: NdArray, a: NdArray, b: NdArray): NdArray =>
  build(broadcastShape(condition, a, b), (i) => (at(condition, i) ? at(a, i) : at(b, i)));

/** Error function: e^(−x²)·2/√π · Σ 2ⁿ x^(2n+1)/(2n+1)!!, whose terms all have one sign. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** `f` over the elements along `axes` (all by default), which then go, or stay with size 1. */
export function reduce(
  x: NdArray,
  f: (values: readonly number[]) => number,
  axes: readonly number[] = x.shape.map((_, i) => i),
  keepDims = false,
): NdArray {
  const over = axes.map((axis) => axisOf(axis, x.shape.length));
  const kept = x.shape.map((size, i) => (over.includes(i) ? 1 : size));
  const inner = x.shape.map((size, i) => (over.includes(i) ? size : 1));
  const whole = build(kept, (i) => {
    const values: number[] = [];
    build(inner, (j) =>
      values.push(
        at(
          x,
          i.map((k, axis) => k + j[axis]!),
        ),
      ),
    );
    return f(values);
  });
  return keepDims ? whole : { shape: x.shape.filter((_, i) => !over.includes(i)), data: whole.data };
}

export const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
export const average = (values: readonly number[]): number => total(values) / values.length;
export const largest = (values: readonly number[]): number => Math.max(...values);

/** Of each element and all before it along an axis, or all after it. */
export const cumulativeSum = (x: NdArray, axis: number, reverse = false): NdArray =>
  build(x.shape, (i) => {
    const inSum = (k: number) => (reverse ? k >= i[axis]! : k <= i[axis]!);
    return total(Array.from({ length: x.shape[axis]! }, (_, k) => (inSum(k) ? at(x, i.with(axis, k)) : 0)));
  });

/** `scale · a b` over the last two axes, each factor read transposed or not. */
export function matmul(a: NdArray, b: NdArray, { transA = false, transB = false, scale = 1 } = {}): NdArray {
  const [m, inner] = transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const n = transB ? b.shape.at(-2)! : b.shape.at(-1)!;
  const flat = (x: NdArray): NdArray => ({ shape: x.shape.slice(0, -2), data: [] });
  return build([...broadcastShape(flat(a), flat(b)), m, n], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    const batch = index.slice(0, -2);
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum += at(a, [...batch, ...(transA ? [k, i] : [i, k])]) * at(b, [...batch, ...(transB ? [j, k] : [k, j])]);
    return scale * sum;
  });
}

export const reshape = (x: NdArray, shape: readonly number[]): NdArray => ({ shape, data: x.data });
export const broadcastTo = (x: NdArray, shape: readonly number[]): NdArray => build(shape, (i) => at(x, i));

export function transpose(x: NdArray, perm: readonly number[]): NdArray {
  return build(
    perm.map((p) => x.shape[p]!),
    (index) => {
      const from: number[] = [];
      perm.forEach((p, i) => {
        from[p] = index[i]!;
      });
      return at(x, from);
    },
  );
}

const replaced = <T>(list: readonly T[], at: number, value: T): T[] => list.map((old, i) => (i === at ? value : old));

export function slice(x: NdArray, axis: number, start: number, end: number): NdArray {
  const along = axisOf(axis, x.shape.length);
  return build(replaced(x.shape, along, end - start), (i) => pick(x, replaced(i, along, i[along]! + start)));
}

/** As `at`, for an index of the array's own rank: no broadcasting. */
function pick(x: NdArray, index: Index): number {
  let flat = 0;
  x.shape.forEach((size, axis) => {
    flat = flat * size + index[axis]!;
  });
  return x.data[flat]!;
}

export function pad(x: NdArray, axis: number, before: number, after: number, value = 0): NdArray {
  const along = axisOf(axis, x.shape.length);
  const size = x.shape[along]!;
  return build(replaced(x.shape, along, before + size + after), (i) => {
    const from = i[along]! - before;
    return from >= 0 && from < size ? pick(x, replaced(i, along, from)) : value;
  });
}

export function concat(xs: readonly NdArray[], axis: number): NdArray {
  const along = axisOf(axis, xs[0]!.shape.length);
  const size = total(xs.map((x) => x.shape[along]!));
  return build(replaced(xs[0]!.shape, along, size), (i) => {
    let k = i[along]!;
    for (const x of xs) {
      if (k < x.shape[along]!) return pick(x, replaced(i, along, k));
      k -= x.shape[along]!;
    }
    throw new Error("outside every part");
  });
}

export function split(x: NdArray, sizes: readonly number[], axis: number): NdArray[] {
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return slice(x, axis, start - size, start);
  });
}

export function gather(table: NdArray, ids: NdArray): NdArray {
  const rank = ids.shape.length;
  return build([...ids.shape, ...table.shape.slice(1)], (i) =>
    pick(table, [pick(ids, i.slice(0, rank)), ...i.slice(rank)]),
  );
}

export function scatterAdd(ids: NdArray, updates: NdArray, rows: number): NdArray {
  const row = updates.shape.slice(ids.shape.length);
  const width = count(row);
  const data = Array<number>(rows * width).fill(0);
  ids.data.forEach((id, j) => {
    for (let k = 0; k < width; k++) data[id * width + k]! += updates.data[j * width + k]!;
  });
  return { shape: [rows, ...row], data };
}

export function takeAlong(x: NdArray, ids: NdArray, axis: number): NdArray {
  const along = axisOf(axis, x.shape.length);
  return build(ids.shape, (i) => pick(x, replaced(i, along, pick(ids, i))));
}

export function putAlong(x: NdArray, ids: NdArray, updates: NdArray, axis: number): NdArray {
  const along = axisOf(axis, x.shape.length);
  return build(x.shape, (i) => {
    let sum = pick(x, i);
    if (i.every((k, a) => a === along || k < ids.shape[a]!))
      for (let k = 0; k < ids.shape[along]!; k++) {
        const from = replaced(i, along, k);
        if (pick(ids, from) === i[along]) sum += pick(updates, from);
      }
    return sum;
  });
}

/** `f` of every row along the last axis. */
export function rows(x: NdArray, f: (row: readonly number[]) => readonly number[]): NdArray {
  const width = x.shape.at(-1)!;
  const data: number[] = [];
  for (let start = 0; start < x.data.length; start += width) data.push(...f(x.data.slice(start, start + width)));
  return { shape: x.shape, data };
}

export const softmax = (x: NdArray): NdArray =>
  rows(x, (row) => {
    const powers = row.map((v) => Math.exp(v - largest(row)));
    return powers.map((p) => p / total(powers));
  });

export const logSoftmax = (x: NdArray): NdArray =>
  rows(x, (row) => {
    const logTotal = largest(row) + Math.log(total(row.map((v) => Math.exp(v - largest(row)))));
    return row.map((v) => v - logTotal);
  });

export const layerNormalize = (x: NdArray, weight: NdArray, bias: NdArray, eps: number): NdArray =>
  rows(x, (row) => {
    const mean = average(row);
    const deviation = Math.sqrt(average(row.map((v) => (v - mean) ** 2)) + eps);
    return row.map((v, i) => ((v - mean) / deviation) * weight.data[i]! + bias.data[i]!);
  });

export const rmsNormalize = (x: NdArray, weight: NdArray, eps: number): NdArray =>
  rows(x, (row) => {
    const root = Math.sqrt(average(row.map((v) => v * v)) + eps);
    return row.map((v, i) => (v / root) * weight.data[i]!);
  });

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const gelu = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));
export const geluTanh = (x: number): number =>
  (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** Weights that every query gives every key: `q: [b, h, t, d]`, `k: [b, h, s, d]` → `[b, h, t, s]`. */
export function attentionWeights(q: NdArray, k: NdArray, bias: NdArray | undefined, scale: number): NdArray {
  const [b, h, t, d] = q.shape as [number, number, number, number];
  const scores = build([b, h, t, k.shape[2]!], ([n, head, i, j]) => {
    let dot = 0;
    for (let e = 0; e < d; e++) dot += at(q, [n!, head!, i!, e]) * at(k, [n!, head!, j!, e]);
    return scale * dot + (bias ? at(bias, [n!, head!, i!, j!]) : 0);
  });
  return softmax(scores);
}

/**
 * Attention one query at a time: `q: [b, t, h, d]`, `k: [b, s, g, d]`, `v: [b, s, g, d']` → `[b, t, h, d']`. `sees(query, key)` says which
 * places of the text a query may look at; queries and keys end at the same one.
 */
export function attention(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  options: { sees?: (query: number, key: number) => boolean; bias?: NdArray; scale?: number; weights?: NdArray } = {},
): NdArray {
  const [b, t, h, d] = q.shape as [number, number, number, number];
  const [, s, g, width] = v.shape as [number, number, number, number];
  const { sees = () => true, bias, scale = 1 / Math.sqrt(d), weights } = options;
  return build([b, t, h, width], ([n, i, head, e]) => {
    const served = Math.floor(head! / (h / g));
    const seen = Array.from({ length: s }, (_, j) => j).filter((j) => sees(i! + s - t, j));
    const scores = seen.map((j) => {
      let dot = 0;
      for (let c = 0; c < d; c++) dot += at(q, [n!, i!, head!, c]) * at(k, [n!, j, served, c]);
      return scale * dot + (bias ? at(bias, [n!, head!, i!, j]) : 0);
    });
    const powers = scores.map((x) => Math.exp(x - largest(scores)));
    return total(
      seen.map((j, at_) => {
        const share = (powers[at_]! / total(powers)) * (weights ? at(weights, [n!, head!, i!, j]) : 1);
        return share * at(v, [n!, j, served, e!]);
      }),
    );
  });
}

/** Pairs of each head's elements turned by the angle of their position: `x: [b, t, h, d]`. */
export function rotate(x: NdArray, cos: NdArray, sin: NdArray, positions: NdArray, interleaved: boolean): NdArray {
  const half = cos.shape[1]!;
  return build(x.shape, (index) => {
    const [n, t, , e] = index as [number, number, number, number];
    if (e >= 2 * half) return at(x, index);
    const pair = interleaved ? Math.floor(e / 2) : e % half;
    const isFirst = interleaved ? e % 2 === 0 : e < half;
    const other = interleaved ? (isFirst ? e + 1 : e - 1) : isFirst ? e + half : e - half;
    const angle = [at(positions, [n, t]), pair];
    const partner = at(x, [...index.slice(0, 3), other]);
    return at(x, index) * at(cos, angle) + (isFirst ? -1 : 1) * partner * at(sin, angle);
  });
}

/** The dropout mask's integer arithmetic, modulo 2³², in BigInt. */
export function dropoutMask(key: NdArray, shape: readonly number[], rate: number, site: number): NdArray {
  const n = count(shape);
  let columns = Math.ceil(Math.sqrt(n));
  while (n % columns !== 0) columns++;
  const lines = n / columns;
  const word = (x: bigint) => BigInt.asUintN(32, x);
  const shifted = (x: bigint, by: bigint) => x ^ (x >> by);
  const [golden, first, second] = [0x9e3779b1n, 0x85ebca6bn, 0xc2b2ae35n];
  const mix = (x: bigint) => {
    const y = word(shifted(x, 16n) * first);
    return word(shifted(y, 13n) * second) ^ (y >> 16n);
  };
  const words = Array.from({ length: 2 * (lines + columns) }, (_, i) => {
    const start = mix(word(mix(BigInt(i + 1)) + BigInt(site) * golden));
    const once = shifted(word((start + BigInt(key.data[0]!)) * golden), 15n);
    const twice = shifted(word((once + BigInt(key.data[1]!)) * first), 16n);
    return shifted(word(twice * second), 13n);
  });
  const limit = BigInt(Math.round(rate * 2 ** 32));
  const data = Array.from({ length: n }, (_, i) => {
    const [r, c] = [Math.floor(i / columns), i % columns];
    const product = word((words[r]! + words[2 * lines + c]!) * (words[lines + r]! + words[2 * lines + columns + c]!));
    const ordered = word(product + 2n ** 31n); // the library compares as signed words
    return ordered >= limit ? 1 / (1 - rate) : 0;
  });
  return { shape, data };
}
