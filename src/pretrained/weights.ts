import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type AnyModule, parametersOf } from "../core/module.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "../hub/half.js";
import type { Checkpoint } from "../hub/safetensors-checkpoint.js";
import type { ModelFamily } from "../models/model.js";

/** The weights of a model by parameter path, float32. */
export type Weights = ReadonlyMap<string, HostTensor>;

/**
 * Reads the parameters of a module from a checkpoint, as float32. All problems are reported at once: missing names, names that
 * are no parameters, shapes that differ.
 *
 * @throws TesseraError `checkpoint`
 */
export function readWeights(
  module: AnyModule,
  checkpoint: Checkpoint,
  layout: ModelFamily<unknown>["checkpoint"] = {},
  where: string,
): Weights {
  const { basePrefix = "", ignore = [] } = layout;
  const onDisk = new Set(checkpoint.names);
  const parameters = parametersOf(module);
  // A checkpoint of the bare model has the same names without the prefix.
  const bare = basePrefix !== "" && ![...onDisk].some((name) => name.startsWith(basePrefix));
  const nameOf = (path: string) => (bare && path.startsWith(basePrefix) ? path.slice(basePrefix.length) : path);

  const problems: string[] = [];
  for (const [path, { shape }] of parameters) {
    const name = nameOf(path);
    if (!onDisk.has(name)) problems.push(`${name} is missing`);
    else {
      const info = checkpoint.info(name);
      if (!sameShape(info.shape, shape))
        problems.push(`${name} is ${formatShape(info.shape)}, the model needs ${formatShape(shape)}`);
      else if (!["float32", "float16", "bfloat16"].includes(info.dtype))
        problems.push(`${name} is ${info.dtype}, not a float32, float16 or bfloat16 tensor`);
    }
    onDisk.delete(name);
  }
  for (const name of onDisk)
    if (!ignore.some((pattern) => pattern.test(name))) problems.push(`${name} is no parameter of the model`);
  if (problems.length > 0) {
    const shown = problems.slice(0, 8).join("; ") + (problems.length > 8 ? `; and ${problems.length - 8} more` : "");
    throw new TesseraError(
      "checkpoint",
      `${where}: ${problems.length === 1 ? "" : `${problems.length} problems: `}${shown}`,
    );
  }
  return new Map([...parameters.keys()].map((path) => [path, toFloat32(checkpoint.read(nameOf(path)))]));
}

function toFloat32(tensor: HostTensor): HostTensor {
  const { dtype, shape, data } = tensor;
  if (dtype === "float16") return { dtype: "float32", shape, data: float16ToFloat32(data as Uint16Array) };
  if (dtype === "bfloat16") return { dtype: "float32", shape, data: bfloat16ToFloat32(data as Uint16Array) };
  return tensor;
}
