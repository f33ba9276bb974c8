import { hostTensor } from "../core/host-tensor.js";
import { randomStream } from "../core/random-stream.js";
import { input } from "../core/tensor.js";
import { matmul } from "../ops/matmul.js";
import { sum } from "../ops/reduce.js";
import { compileGraph } from "../runtime/compile.js";
import type { Binding, Runtime } from "../runtime/session.js";

/** A figure of the machine that can be measured again and again between other work. */
export interface Peak extends Disposable {
  /** One sample: GFLOP/s or GB/s. */
  sample(): number;
}

type Threads = { readonly threads?: number };

const random = (length: number, name: string) => {
  const stream = randomStream(1, name);
  return Float32Array.from({ length }, () => stream.next() - 0.5);
};

/** Product of two 1024 × 1024 float32 matrices, the right one constant, in GFLOP/s. */
export async function matmulPeak(runtime: Runtime, threads: Threads): Promise<Peak> {
  const n = 1024;
  const [a, b] = [input("a", [n, n]), input("b", [n, n])];
  const weights = { b: hostTensor(random(n * n, "b"), [n, n]) };
  const session = await compileGraph(runtime, { inputs: [a, b], outputs: [matmul(a, b)] }, { ...threads, weights });
  const binding = session.bind(
    { a: hostTensor(random(n * n, "a"), [n, n]) },
    { out0: hostTensor(new Float32Array(n * n), [n, n]) },
  );
  const repeats = 8;
  return peakOf(session, binding, repeats, (repeats * 2 * n ** 3) / 1e9);
}

/** Sum over an array of 512 MB, far more than caches hold, in GB/s read. */
export async function memoryReadPeak(runtime: Runtime, threads: Threads): Promise<Peak> {
  const [rows, columns] = [1024, 131072];
  const x = input("x", [rows, columns]);
  const session = await compileGraph(runtime, { inputs: [x], outputs: [sum(x, { axes: [-1] })] }, threads);
  const data = new Float32Array(rows * columns).fill(0.5);
  const binding = session.bind(
    { x: hostTensor(data, [rows, columns]) },
    { out0: hostTensor(new Float32Array(rows), [rows]) },
  );
  return peakOf(session, binding, 1, data.byteLength / 1e9);
}

function peakOf(session: Disposable, binding: Binding, repeats: number, work: number): Peak {
  binding.runSync();
  return {
    sample() {
      const start = performance.now();
      for (let i = 0; i < repeats; i++) binding.runSync();
      return work / ((performance.now() - start) / 1000);
    },
    [Symbol.dispose]() {
      binding.dispose();
      session[Symbol.dispose]();
    },
  };
}
