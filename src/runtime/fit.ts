import { resolveDim } from "../core/dim.js";
import { allocate, type DType, dtypes } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import type { ValueInfo } from "./session.js";

type Tensors = Readonly<Record<string, HostTensor>>;

/**
 * Refuses tensors that a session would not take: missing and unknown inputs, unknown outputs, wrong element types, ranks, sizes
 * and element counts. A named size stands for one number over all the tensors; one such as `"past + t"` for its value, once
 * its names are known.
 *
 * @param where start of the messages, such as `Session.bind`
 * @throws TesseraError `argument`, `dtype` or `shape` naming the tensor, what was expected and what came
 */
export function requireFit(
  where: string,
  session: { readonly inputs: readonly ValueInfo[]; readonly outputs: readonly ValueInfo[] },
  inputs: Tensors,
  outputs: Tensors,
): void {
  for (const { name } of session.inputs)
    if (!Object.hasOwn(inputs, name))
      throw new TesseraError("argument", `${where}: input ${name} is missing (got ${names(Object.keys(inputs))})`);
  const given = [...pair(where, "input", session.inputs, inputs), ...pair(where, "output", session.outputs, outputs)];
  for (const value of given) requireTensor(value);
  const sizes = new Map<string, { size: number; source: string }>();
  for (const value of given) requireSizes(value, sizes, (dim) => /^[A-Za-z_]\w*$/.test(dim));
  for (const value of given) requireSizes(value, sizes, (dim) => !/^([A-Za-z_]\w*|\?)$/.test(dim));
}

/** @throws TesseraError `argument` when the session has no output of that name */
export function requireOutput(where: string, outputs: readonly ValueInfo[], name: string): void {
  find(where, "output", outputs, name);
}

/**
 * Refuses a tensor whose array is not of its element type, or not as long as its shape says.
 *
 * @param label start of the messages, such as `Session.bind: input ids`
 * @throws TesseraError `dtype` or `shape`
 */
export function requireArray(label: string, { dtype, shape, data }: HostTensor): void {
  const expected = arrayNames[dtype];
  const got = data[Symbol.toStringTag];
  if (got !== expected)
    throw new TesseraError(
      "dtype",
      `${label}: ${dtype} is held in a ${expected}, got a ${got} (${expected} vs ${got})`,
    );
  const bad = shape.find((size) => !Number.isSafeInteger(size) || size < 0);
  if (bad !== undefined)
    throw new TesseraError("shape", `${label}: ${text(shape)} is not a shape (${bad} is not a size)`);
  const count = shape.reduce((product, size) => product * size, 1);
  if (data.length !== count)
    throw new TesseraError(
      "shape",
      `${label}: element count differs, shape ${text(shape)} has ${count}, the array ${data.length} (${count} vs ${data.length})`,
    );
}

const arrayNames = Object.fromEntries(dtypes.map((d) => [d, allocate(d, 0)[Symbol.toStringTag]])) as Record<
  DType,
  string
>;

interface Given {
  /** `Session.bind: input ids` */
  readonly label: string;
  /** `input ids` */
  readonly value: string;
  readonly info: ValueInfo;
  readonly tensor: HostTensor;
}

function pair(where: string, side: string, infos: readonly ValueInfo[], tensors: Tensors): Given[] {
  return Object.entries(tensors).map(([name, tensor]) => {
    const value = `${side} ${name}`;
    return { label: `${where}: ${value}`, value, info: find(where, side, infos, name), tensor };
  });
}

function find(where: string, side: string, infos: readonly ValueInfo[], name: string): ValueInfo {
  const info = infos.find((value) => value.name === name);
  if (info !== undefined) return info;
  const known = names(infos.map((value) => value.name));
  throw new TesseraError("argument", `${where}: there is no ${side} ${name} (it has ${known})`);
}

function requireTensor({ label, info, tensor }: Given): void {
  if (tensor.dtype !== info.dtype)
    throw new TesseraError(
      "dtype",
      `${label}: element type differs, expected ${info.dtype}, got ${tensor.dtype} (${info.dtype} vs ${tensor.dtype})`,
    );
  requireArray(label, tensor);
  const { shape } = tensor;
  if (shape.length !== info.shape.length)
    throw new TesseraError(
      "shape",
      `${label}: rank differs, expected ${text(info.shape)}, got ${text(shape)} (${info.shape.length} vs ${shape.length})`,
    );
  info.shape.forEach((size, i) => {
    if (typeof size === "number" && size !== shape[i])
      throw new TesseraError(
        "shape",
        `${label}: size ${i} differs, expected ${text(info.shape)}, got ${text(shape)} (${size} vs ${shape[i]})`,
      );
  });
}

/** Holds the named sizes that `select` picks against what the names stand for, and learns the new ones. */
function requireSizes(
  { label, value, info, tensor }: Given,
  sizes: Map<string, { readonly size: number; readonly source: string }>,
  select: (dim: string) => boolean,
): void {
  info.shape.forEach((dim, i) => {
    if (typeof dim === "number" || !select(dim)) return;
    const size = tensor.shape[i]!;
    const known = sizes.get(dim) ?? computed(dim, sizes);
    if (known === undefined) sizes.set(dim, { size, source: `in ${value}` });
    else if (known.size !== size)
      throw new TesseraError(
        "shape",
        `${label}: size ${JSON.stringify(dim)} differs, expected ${text(info.shape)}, got ${text(tensor.shape)}; ` +
          `it is ${known.size} ${known.source} (${known.size} vs ${size})`,
      );
  });
}

function computed(dim: string, sizes: ReadonlyMap<string, { readonly size: number }>) {
  try {
    const size = resolveDim(dim, Object.fromEntries([...sizes].map(([name, known]) => [name, known.size])));
    return { size, source: "by the other sizes" };
  } catch {
    return undefined; // a name is not known, or the text is no formula: then the whole text is a name
  }
}

function names(list: readonly string[]): string {
  return list.length === 0 ? "none" : list.join(", ");
}

function text(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}
