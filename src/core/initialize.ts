import type { HostTensor } from "./host-tensor.js";
import { type AnyModule, type Init, parametersOf } from "./module.js";
import { randomStream } from "./random-stream.js";

/**
 * Fresh weights for a module, each drawn as its `init` says. Every parameter has a random stream of its own, made from the seed and
 * its path, so adding one changes no other.
 *
 * @param which paths are wanted. Default all
 */
export function initialize(
  module: AnyModule,
  seed: number,
  which: (path: string) => boolean = () => true,
): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  for (const [path, { shape, init }] of parametersOf(module)) {
    if (!which(path)) continue;
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    fill(data, init, seed, path);
    weights.set(path, { dtype: "float32", shape, data });
  }
  return weights;
}

function fill(data: Float32Array, init: Init, seed: number, path: string): void {
  if (init === "zeros") return;
  if (init === "ones") {
    data.fill(1);
    return;
  }
  if ("parts" in init) {
    const size = data.length / init.parts.length;
    for (const [i, value] of init.parts.entries()) data.fill(value, i * size, (i + 1) * size);
    return;
  }
  const random = randomStream(seed, path);
  if ("uniform" in init) for (let i = 0; i < data.length; i++) data[i] = (2 * random.next() - 1) * init.uniform;
  else for (let i = 0; i < data.length; i++) data[i] = random.normal() * init.normal;
}
