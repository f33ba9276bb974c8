import { existsSync, linkSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bytesOf } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type StagedFile, stageFile, syncFolder, writeFileAtomic } from "./atomic-write.js";
import { formatConfigJson } from "./config-format.js";
import { stageSafetensors, type WriteSafetensorsOptions, writeSafetensors } from "./safetensors.js";
import { indexFileName, singleFileName } from "./safetensors-checkpoint.js";

/** How the weights of a model folder are written. */
export interface WriteCheckpointOptions extends WriteSafetensorsOptions {
  /** Most bytes of tensors in one file; a larger single tensor gets a file of its own. Default 50 GB, as in transformers 5. */
  readonly maxShardBytes?: number;
}

/** The second form is for a moment only: see {@link writeCheckpoint}. */
const shardName = /^model-\d{5}-of-\d{5}(?:\.new)?\.safetensors$/;

/**
 * Writes the weights of a model folder in Hugging Face's layout: `model.safetensors`, or, when they are larger than one file may
 * be, `model-00001-of-0000N.safetensors` and the index. What an earlier call left there is replaced, stale shards included. A
 * process killed at any moment leaves the old weights or the new ones, as a whole.
 *
 * @param tensors in the order in which they are to be spread over the shards
 * @throws TesseraError `argument` for a size that is not positive, `checkpoint` for tensors that the format cannot hold, `io` when
 *   writing fails
 */
export function writeCheckpoint(
  folder: string,
  tensors: Iterable<readonly [string, HostTensor]>,
  { metadata, maxShardBytes = 50e9 }: WriteCheckpointOptions = {},
): void {
  if (!(maxShardBytes > 0))
    throw new TesseraError("argument", `writeCheckpoint: maxShardBytes must be above 0, got ${maxShardBytes}`);
  const options = metadata === undefined ? {} : { metadata };
  const shards = splitIntoShards(tensors, maxShardBytes);
  const kept = shards.length === 1 ? writeSingle(folder, shards[0]!, options) : writeShards(folder, shards, options);
  removeStale(folder, kept);
}

// Both return the names that are to stay.

function writeSingle(folder: string, shard: Shard, options: WriteSafetensorsOptions): string[] {
  writeSafetensors(join(folder, singleFileName), shard, options); // it has precedence over an index: from here it is visible
  return [singleFileName];
}

function writeShards(folder: string, shards: readonly Shard[], options: WriteSafetensorsOptions): string[] {
  const names = shards.map((_, i) => `model-${fiveDigits(i + 1)}-of-${fiveDigits(shards.length)}.safetensors`);
  const index = join(folder, indexFileName);
  const present = existsSync(index) ? readFileSync(index, "utf8") : "";
  // Shards are visible through the index alone. Those that it names may not change under it: then the new ones get other names,
  // the index changes to them in one step, and from there, in another, to the right ones.
  const taken = names.some((name) => present.includes(name));
  const first = taken ? names.map((name) => name.replace(".safetensors", ".new.safetensors")) : names;

  const staged: StagedFile[] = [];
  try {
    shards.forEach((shard, i) => {
      staged.push(stageSafetensors(join(folder, first[i]!), shard, options));
    });
    staged.push(stageFile(index, formatConfigJson(indexOf(shards, first))));
    for (const file of staged) file.commit();
  } catch (error) {
    for (const file of staged) file.discard();
    throw error;
  }
  if (!taken) return [indexFileName, ...names];
  if (!linkAll(folder, first, names)) return [indexFileName, ...first];
  writeFileAtomic(index, formatConfigJson(indexOf(shards, names)));
  return [indexFileName, ...names];
}

const fiveDigits = (n: number) => String(n).padStart(5, "0");

/** Second names of the same files; false where the file system has no links, and the first names have to do. */
function linkAll(folder: string, from: readonly string[], to: readonly string[]): boolean {
  try {
    to.forEach((name, i) => {
      rmSync(join(folder, name), { force: true });
      linkSync(join(folder, from[i]!), join(folder, name));
    });
  } catch {
    return false;
  }
  syncFolder(folder);
  return true;
}

/** Removes weights of earlier calls, all but `kept`: first what makes them visible. */
function removeStale(folder: string, kept: readonly string[]): void {
  const isWeights = (name: string) => name === singleFileName || name === indexFileName || shardName.test(name);
  const stale = readdirSync(folder).filter((name) => isWeights(name) && !kept.includes(name));
  for (const name of stale.sort().reverse()) rmSync(join(folder, name), { force: true }); // "model.s…" before "model-0…"
  if (stale.length > 0) syncFolder(folder);
}

type Shard = (readonly [string, HostTensor])[];

/** Fills one shard after the other, as huggingface_hub does: a tensor that is too large gets its own, before the one being filled. */
function splitIntoShards(tensors: Iterable<readonly [string, HostTensor]>, maxBytes: number): Shard[] {
  const shards: Shard[] = [];
  let open: Shard = [];
  let openBytes = 0;
  for (const entry of tensors) {
    const bytes = bytesIn(entry[1]);
    if (bytes > maxBytes) {
      shards.push([entry]);
      continue;
    }
    if (openBytes + bytes > maxBytes) {
      shards.push(open);
      open = [];
      openBytes = 0;
    }
    open.push(entry);
    openBytes += bytes;
  }
  if (open.length > 0 || shards.length === 0) shards.push(open);
  return shards;
}

function indexOf(shards: readonly Shard[], names: readonly string[]): Record<string, unknown> {
  const all = shards.flat();
  return {
    metadata: {
      total_parameters: all.reduce((sum, [, tensor]) => sum + countIn(tensor), 0),
      total_size: all.reduce((sum, [, tensor]) => sum + bytesIn(tensor), 0),
    },
    weight_map: Object.fromEntries(shards.flatMap((shard, i) => shard.map(([name]) => [name, names[i]]))),
  };
}

const countIn = (tensor: HostTensor) => tensor.shape.reduce((product, size) => product * size, 1);
const bytesIn = (tensor: HostTensor) => countIn(tensor) * bytesOf(tensor.dtype);
