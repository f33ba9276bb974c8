/**
 * The normals that `torch.manual_seed(seed)` makes `torch.randn` draw on the CPU, call by call: float32, equal to rounding of log and cos.
 * Matsumoto & Nishimura 1998 (mt19937), Box & Muller 1958.
 *
 * @param seed below 2³²
 * @returns what draws the next `count` of them; undefined for less than 16, for which PyTorch goes another way
 */
export function torchNormals(seed: number): (count: number) => Float32Array | undefined {
  const word = mersenneTwister(seed);
  const uniform = () => (word() & 0xffffff) / 2 ** 24;
  return (count) => {
    if (count < 16) return undefined;
    const x = Float32Array.from({ length: count }, uniform);
    for (let at = 0; at + 16 <= count; at += 16) boxMuller(x.subarray(at, at + 16));
    if (count % 16 !== 0) boxMuller(x.subarray(count - 16).map(uniform), x.subarray(count - 16)); // the last 16 once more
    return x;
  };
}

/** Normals from 16 uniforms: radii from the first eight, angles from the last, cosines before sines. */
function boxMuller(uniforms: Float32Array, into = uniforms): void {
  for (let i = 0; i < 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniforms[i]!));
    const angle = 2 * Math.PI * uniforms[i + 8]!;
    into[i] = radius * Math.cos(angle);
    into[i + 8] = radius * Math.sin(angle);
  }
}

/** mt19937: 32-bit words. */
function mersenneTwister(seed: number): () => number {
  const [n, m] = [624, 397];
  const state = Uint32Array.of(seed, ...new Uint32Array(n - 1));
  for (let i = 1; i < n; i++) state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
  let at = 0;
  return () => {
    const y = (state[at]! & 0x80000000) | (state[(at + 1) % n]! & 0x7fffffff);
    let word = (state[at] = state[(at + m) % n]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0));
    at = (at + 1) % n;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}
