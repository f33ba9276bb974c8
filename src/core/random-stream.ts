/** A stream of random numbers whose whole state can be saved and restored. */
export interface RandomStream {
  /** Uniform in [0, 1), with 32 random bits. */
  next(): number;
  /** Uniform 32-bit integer, as int32. */
  int32(): number;
  /** Uniform whole number in 0 … bound − 1. */
  below(bound: number): number;
  /** Standard normal. Box & Muller 1958. */
  normal(): number;
  /** The state, four 32-bit words. */
  readonly state: readonly [number, number, number, number];
}

/** FNV-1a with a final mix (MurmurHash3's): text to 32 bits. */
function hash(text: string, seed: number): number {
  let h = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

/**
 * The stream of a seed and a name: streams of different names are independent. Small fast counter generator sfc32 (Doty-Humphrey).
 *
 * @param seed any number; its lower 53 bits count
 * @param name what the stream is for
 */
export function randomStream(seed: number, name = ""): RandomStream {
  const low = seed | 0;
  const high = Math.floor(seed / 2 ** 32) | 0;
  const stream = randomStreamFrom([hash(name, 1) ^ low, hash(name, 2) ^ high, hash(name, 3), 1]);
  for (let i = 0; i < 12; i++) stream.int32(); // the first outputs still show the seed
  return stream;
}

/** A stream that goes on from a saved state. */
export function randomStreamFrom(state: readonly [number, number, number, number]): RandomStream {
  let [a, b, c, d] = state;
  const int32 = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t;
  };
  const next = () => (int32() >>> 0) / 2 ** 32;
  return {
    int32,
    next,
    below: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    get state() {
      return [a, b, c, d] as const;
    },
  };
}
