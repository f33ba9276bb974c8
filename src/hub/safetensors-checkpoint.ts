import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { quote } from "../core/quote.js";
import { isObject, readJsonObject } from "./json-file.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import type { SafetensorsTensor } from "./safetensors-header.js";

/** The file of a model that is not sharded, in Hugging Face's layout. */
export const singleFileName = "model.safetensors";
/** The file that says in which shard each tensor of a sharded model lies. */
export const indexFileName = "model.safetensors.index.json";

/** Where one tensor of a checkpoint lies: element type, shape, and the bytes of a file. */
export interface CheckpointTensor extends SafetensorsTensor {
  /** The file that holds it. */
  readonly path: string;
}

/** The weights of a model folder, in one file or in many. Dispose it after use. */
export interface Checkpoint extends Disposable {
  /** The folder it was opened from. */
  readonly folder: string;
  /** Every tensor's name: in the order of the bytes for a single file, in the order of the index for shards. */
  readonly names: readonly string[];
  /** Free text of the file's header; of shards, all keys together. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Whether there is a tensor of this name. */
  has(name: string): boolean;
  /** What and where a tensor is, without reading it. @throws TesseraError `checkpoint` for an unknown name */
  info(name: string): CheckpointTensor;
  /** Reads a tensor into an array of its own. @throws TesseraError as {@link SafetensorsFile.read} does */
  read(name: string): HostTensor;
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` lists. Every entry of
 * the index is held against its shard first, and all that is missing is reported at once.
 *
 * @throws TesseraError `io` or `checkpoint` when something is missing or damaged; `unsupported` for a folder with pickled weights only
 */
export function openCheckpoint(folder: string): Checkpoint {
  const single = join(folder, singleFileName);
  if (existsSync(single)) {
    const file = openSafetensors(single);
    return checkpointOf(folder, [file], new Map(Array.from(file.tensors.keys(), (name) => [name, file])));
  }
  const index = join(folder, indexFileName);
  if (!existsSync(index)) throw noWeights(folder);
  return openShards(folder, index, readWeightMap(index));
}

function openShards(folder: string, index: string, weightMap: ReadonlyMap<string, string>): Checkpoint {
  const names = [...new Set(weightMap.values())];
  const absent = names.filter((name) => !existsSync(join(folder, name)));
  if (absent.length > 0)
    throw new TesseraError(
      "checkpoint",
      `${index}: ${absent.length} of ${names.length} shards are missing, ${list(absent)}`,
    );

  const files = new Map<string, SafetensorsFile>();
  try {
    for (const name of names) files.set(name, openSafetensors(join(folder, name)));
    const missing = [...weightMap].filter(([tensor, shard]) => !files.get(shard)!.tensors.has(tensor));
    if (missing.length > 0)
      throw new TesseraError(
        "checkpoint",
        `${index}: ${missing.length} of ${weightMap.size} tensors are not in the shard that it names, ` +
          list(missing.map(([tensor, shard]) => `${quote(tensor)} (${shard})`)),
      );
    return checkpointOf(
      folder,
      [...files.values()],
      new Map(Array.from(weightMap, ([tensor, shard]) => [tensor, files.get(shard)!])),
    );
  } catch (error) {
    for (const file of files.values()) file[Symbol.dispose]();
    throw error;
  }
}

function checkpointOf(
  folder: string,
  files: readonly SafetensorsFile[],
  fileOf: ReadonlyMap<string, SafetensorsFile>,
): Checkpoint {
  const find = (name: string): SafetensorsFile => {
    const file = fileOf.get(name);
    if (file) return file;
    throw new TesseraError(
      "checkpoint",
      `${folder}: the weights have no tensor ${quote(name)} (they have ${fileOf.size})`,
    );
  };
  return {
    folder,
    names: [...fileOf.keys()],
    metadata: Object.assign(Object.create(null), ...files.map((file) => file.metadata)),
    has: (name) => fileOf.has(name),
    info: (name) => {
      const file = find(name);
      return { ...file.tensors.get(name)!, path: file.path };
    },
    read: (name) => find(name).read(name),
    [Symbol.dispose]: () => {
      for (const file of files) file[Symbol.dispose]();
    },
  };
}

/** The `weight_map` of an index: tensor name → file name, the latter checked to be a plain name of a safetensors file. */
export function readWeightMap(path: string): ReadonlyMap<string, string> {
  const { weight_map } = readJsonObject(path, { code: "checkpoint" });
  if (!isObject(weight_map))
    throw new TesseraError("checkpoint", `${path}: weight_map is not an object, found ${quote(weight_map)}`);
  const entries = Object.entries(weight_map);
  for (const [tensor, shard] of entries)
    if (typeof shard !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(shard))
      throw new TesseraError(
        "checkpoint",
        `${path}: weight_map[${quote(tensor)}] is not the name of a safetensors file beside it, ${quote(shard)}`,
      );
  if (entries.length === 0) throw new TesseraError("checkpoint", `${path}: weight_map is empty`);
  return new Map(entries as [string, string][]);
}

function noWeights(folder: string): TesseraError {
  if (!existsSync(folder)) return new TesseraError("io", `${folder}: no such folder`);
  if (!statSync(folder).isDirectory()) return new TesseraError("io", `${folder}: not a folder`);
  const pickled = readdirSync(folder).find((name) =>
    /^(?:pytorch_model.*\.(?:bin|bin\.index\.json)|.*\.(?:pth?|ckpt|h5|msgpack))$/.test(name),
  );
  if (pickled === undefined)
    return new TesseraError(
      "checkpoint",
      `${folder}: no weights, neither ${singleFileName} nor ${indexFileName} is there`,
    );
  return new TesseraError(
    "unsupported",
    `${folder}: the weights are in ${pickled}, a format that is not read because such files can run code or need their own ` +
      `framework (${singleFileName} is needed). Convert them with transformers, ` +
      `AutoModel.from_pretrained(...).save_pretrained(..., safe_serialization=True), or take a revision of the repository that has safetensors`,
  );
}

/** The first few of many, for one line. */
function list(items: readonly string[], most = 5): string {
  const rest = items.length - most;
  return items.slice(0, most).join(", ") + (rest > 0 ? `, and ${rest} more` : "");
}
