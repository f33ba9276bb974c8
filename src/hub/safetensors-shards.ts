import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bytesOf } from "../core/dtype.js";
import { TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { type StagedFile, stageFile, syncFolder } from "./atomic-write.js";
import { formatConfigJson } from "./config-format.js";
import { stageSafetensors, type WriteSafetensorsOptions } from "./safetensors.js";
import { indexFileName, singleFileName } from "./safetensors-checkpoint.js";

/** How the weights of a model folder are written. */
export interface WriteCheckpointOptions extends WriteSafetensorsOptions {
  /** Most bytes of tensors in one file; a larger single tensor gets a file of its own. Default 50 GB, as in transformers 5. */
  readonly maxShardBytes?: number;
}

const shardName = /^model-\d{5}-of-\d{5}\.safetensors$/;

/**
 * Writes the weights of a model folder in Hugging Face's layout: `model.safetensors`, or, when they are larger than one file may
 * be, `model-00001-of-0000N.safetensors` and the index. What an earlier call left there is replaced, stale shards included.
 *
 * A process killed at any moment leaves the old weights or the new ones, with one exception: when a sharded model replaces another
 * of as many shards, a kill between the last renames leaves a folder without an index, which is refused when opened; never a mixture.
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
  const nameOf = (index: number) =>
    shards.length === 1
      ? singleFileName
      : `model-${String(index + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
  const written = new Set(shards.map((_, index) => nameOf(index)));

  const staged: StagedFile[] = [];
  try {
    shards.forEach((shard, index) => {
      staged.push(stageSafetensors(join(folder, nameOf(index)), shard, options));
    });
    if (shards.length > 1) {
      staged.push(stageFile(join(folder, indexFileName), formatConfigJson(indexOf(shards, nameOf))));
      written.add(indexFileName);
    }
    // The index is what makes shards visible: it comes last, and where they would overwrite its own shards it goes first.
    const index = join(folder, indexFileName);
    const present = existsSync(index) ? readFileSync(index, "utf8") : "";
    if (shards.some((_, i) => present.includes(nameOf(i)))) remove(folder, [indexFileName]);
    for (const file of staged) file.commit();
  } catch (error) {
    for (const file of staged) file.discard();
    throw error;
  }
  // A single file has precedence over an index, so until here it kept the old weights visible.
  const stale = readdirSync(folder).filter(
    (name) => !written.has(name) && (name === singleFileName || name === indexFileName || shardName.test(name)),
  );
  remove(folder, stale.sort().reverse()); // "model.safetensors…" before "model-0…"
}

function remove(folder: string, names: readonly string[]): void {
  for (const name of names) rmSync(join(folder, name), { force: true });
  if (names.length > 0) syncFolder(folder);
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

function indexOf(shards: readonly Shard[], nameOf: (index: number) => string): Record<string, unknown> {
  const all = shards.flat();
  return {
    metadata: {
      total_parameters: all.reduce((sum, [, tensor]) => sum + countIn(tensor), 0),
      total_size: all.reduce((sum, [, tensor]) => sum + bytesIn(tensor), 0),
    },
    weight_map: Object.fromEntries(shards.flatMap((shard, i) => shard.map(([name]) => [name, nameOf(i)]))),
  };
}

const countIn = (tensor: HostTensor) => tensor.shape.reduce((product, size) => product * size, 1);
const bytesIn = (tensor: HostTensor) => countIn(tensor) * bytesOf(tensor.dtype);
