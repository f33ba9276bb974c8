import { formatShape, sameShape } from "../core/dim.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { initialize } from "../core/initialize.js";
import { type AnyModule, parametersOf } from "../core/module.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "../hub/half.js";
import type { Checkpoint } from "../hub/safetensors-checkpoint.js";
import type { ModelFamily } from "../models/model.js";

/** The weights of a model by parameter path, float32. */
export type Weights = ReadonlyMap<string, HostTensor>;

/** Element types that weights have on disk. */
export const weightDtypes = ["float32", "float16", "bfloat16"] as const;

/** How weights are read. */
export interface ReadWeightsOptions {
  /** How messages name the checkpoint. */
  readonly where: string;
  readonly layout?: ModelFamily<unknown>["checkpoint"] | undefined;
  /**
   * Every form the family's model comes in, as the checkpoint's configuration has it and as it was changed. What not all of them have
   * is a head, or comes and goes with the change. Default: the module alone.
   */
  readonly forms?: () => readonly AnyModule[];
  /** The module as it would be without a change of the configuration: a weight that fits it must fit `module`, too. */
  readonly unchanged?: AnyModule | undefined;
  /** Seed of fresh weights for the parts of a head that the checkpoint lacks, or has of another size. Default: these are a problem. */
  readonly initialize?: number | undefined;
}

/**
 * Reads the parameters of a module from a checkpoint, as float32. The bare model's names may have the prefix of those with a head or
 * not. Weights of another head are left out. All problems are reported at once: missing names, names that are no parameters, shapes
 * that differ.
 *
 * @returns the weights, and a line for each kind of thing that was left out or made fresh
 * @throws TesseraError `checkpoint`
 */
export function readWeights(
  module: AnyModule,
  checkpoint: Checkpoint,
  { where, layout = {}, forms = () => [module], unchanged, initialize: seed }: ReadWeightsOptions,
): { readonly weights: Weights; readonly warnings: readonly string[] } {
  const { basePrefix = "", ignore = [], older = [] } = layout;
  const hasPrefix = (names: Iterable<string>) => [...names].some((name) => name.startsWith(basePrefix));
  const prefixed = basePrefix === "" || hasPrefix(checkpoint.names);
  /** Where a parameter may lie, its own name first: with the prefix that the checkpoint has or lacks. */
  const namesOf = (path: string, bare: boolean): string[] => {
    const full = bare ? basePrefix + path : path;
    const all = [full, ...older.map(([part, by]) => full.replace(part, by)).filter((name) => name !== full)];
    return all.map((name) => (!prefixed && name.startsWith(basePrefix) ? name.slice(basePrefix.length) : name));
  };
  const namesOfModule = (m: AnyModule) => {
    const parameters = parametersOf(m);
    const bare = basePrefix !== "" && !hasPrefix(parameters.keys());
    return new Map([...parameters].map(([path, p]) => [path, { ...p, names: namesOf(path, bare) }]));
  };
  const parameters = namesOfModule(module);
  const before = unchanged && parametersOf(unchanged);

  // Only asked when something does not fit: whether a name belongs to some head, or to what all forms of the model share.
  let known: readonly ReadonlySet<string>[] | undefined;
  const inForms = (name: string): "all" | "some" | "none" => {
    known ??= forms().map((form) => new Set([...namesOfModule(form).values()].flatMap(({ names }) => names)));
    const count = known.filter((names) => names.has(name)).length;
    return count === known.length ? "all" : count > 0 ? "some" : "none";
  };

  const problems: string[] = [];
  const fresh: string[] = [];
  const found = new Map<string, string>();
  let lacksHead = false;
  for (const [path, { shape, names }] of parameters) {
    const name = names.find((n) => checkpoint.has(n));
    if (name !== undefined) found.set(path, name);
    const fault = name === undefined ? `${names[0]} is missing` : faultOf(name, checkpoint, shape);
    if (fault === undefined) continue;
    const isHead = inForms(names[0]!) === "some";
    const shapeBefore = before?.get(path)?.shape;
    const fitted =
      name !== undefined && shapeBefore !== undefined && sameShape(checkpoint.info(name).shape, shapeBefore);
    if (isHead && seed !== undefined && !fitted) fresh.push(path);
    else problems.push(fault);
    lacksHead ||= isHead && !fitted;
  }
  const used = new Set(found.values());
  const others = checkpoint.names.filter((name) => !used.has(name) && !ignore.some((pattern) => pattern.test(name)));
  const leftOut = others.filter((name) => inForms(name) === "some");
  for (const name of others) if (!leftOut.includes(name)) problems.push(`${name} is no parameter of the model`);
  if (problems.length > 0) {
    const count = problems.length === 1 ? "" : `${problems.length} problems: `;
    const hint =
      lacksHead && seed === undefined ? ". A head that a checkpoint lacks starts fresh when initialize is given" : "";
    throw new TesseraError("checkpoint", `${where}: ${count}${list(problems, "; ")}${hint}`);
  }
  const made = fresh.length > 0 ? initialize(module, seed!, (path) => fresh.includes(path)) : undefined;
  return {
    weights: new Map(
      [...parameters.keys()].map((path) => [path, made?.get(path) ?? toFloat32(checkpoint.read(found.get(path)!))]),
    ),
    warnings: [
      ...(leftOut.length > 0
        ? [`${where}: weights of another head${unchanged ? " or configuration" : ""} are left out, ${list(leftOut)}`]
        : []),
      ...(fresh.length > 0 ? [`${where}: weights that the checkpoint lacks are fresh, ${list(fresh)}`] : []),
    ],
  };
}

/** What keeps a tensor from being a parameter of a shape. */
function faultOf(name: string, checkpoint: Checkpoint, shape: readonly number[]): string | undefined {
  const info = checkpoint.info(name);
  if (!sameShape(info.shape, shape))
    return `${name} is ${formatShape(info.shape)}, the model needs ${formatShape(shape)}`;
  if (weightDtypes.some((dtype) => dtype === info.dtype)) return undefined;
  return `${name} is ${info.dtype}, not a float32, float16 or bfloat16 tensor`;
}

/** The first few of many, for one line. */
function list(items: readonly string[], between = ", ", most = 8): string {
  const rest = items.length - most;
  return items.slice(0, most).join(between) + (rest > 0 ? `${between}and ${rest} more` : "");
}

function toFloat32(tensor: HostTensor): HostTensor {
  const { dtype, shape, data } = tensor;
  if (dtype === "float16") return { dtype: "float32", shape, data: float16ToFloat32(data as Uint16Array) };
  if (dtype === "bfloat16") return { dtype: "float32", shape, data: bfloat16ToFloat32(data as Uint16Array) };
  return tensor;
}
