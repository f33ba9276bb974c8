import { closeSync } from "node:fs";
import { allocate, bytesOf, viewAs } from "../core/dtype.js";
import { messageOf, TesseraError } from "../core/errors.js";
import type { HostTensor } from "../core/host-tensor.js";
import { quote } from "../core/quote.js";
import { type StagedFile, stageFile } from "./atomic-write.js";
import { openRegularFile, readFully } from "./regular-file.js";
import {
  formatHeader,
  headerLength,
  parseHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from "./safetensors-header.js";

/** An open safetensors file: the header is in memory, tensors are read when they are asked for. Dispose it after use. */
export interface SafetensorsFile extends SafetensorsHeader, Disposable {
  /** The path it was opened by, as messages name it. */
  readonly path: string;
  /**
   * Reads one tensor into an array of its own.
   *
   * @throws TesseraError `checkpoint` for a name that the file does not have, `io` when reading fails, `argument` after disposal
   */
  read(name: string): HostTensor;
}

/**
 * Opens a safetensors file and checks its header against its size. No tensor is read yet; each later goes from the disk straight
 * into its final array, from anywhere in files of any size.
 *
 * @throws TesseraError `io` when the file cannot be read, `checkpoint` when it is damaged or lies about itself, `unsupported` for
 *   an element type that the library does not have
 * @example
 * using file = openSafetensors("gpt2/model.safetensors");
 * const { data, shape } = file.read("transformer.wte.weight");
 */
export function openSafetensors(path: string): SafetensorsFile {
  const { fd, size } = openRegularFile(path);
  try {
    const prefix = new Uint8Array(Math.min(8, size));
    readFully(fd, prefix, 0, path);
    const bytes = new Uint8Array(headerLength(prefix, size, path));
    readFully(fd, bytes, 8, path);
    const header = parseHeader(bytes, size, path);
    return fileOf(path, header, {
      load(name, { dtype, shape, byteOffset, byteLength }) {
        const data = allocateOrRefuse(() => allocate(dtype, byteLength / bytesOf(dtype)), path, name, byteLength);
        readFully(fd, new Uint8Array(data.buffer, 0, byteLength), byteOffset, path);
        return { dtype, shape, data };
      },
      close: () => closeSync(fd),
    });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * A safetensors file that is in memory as a whole. Tensors are views of `bytes` where these are aligned to the element type, copies
 * where not.
 *
 * @param path how messages name it; default `"safetensors"`
 * @throws TesseraError `checkpoint` or `unsupported`, as {@link openSafetensors} does
 */
export function parseSafetensors(bytes: Uint8Array, path = "safetensors"): SafetensorsFile {
  const whole = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength); // a Buffer's slice() would not copy
  const length = headerLength(whole.subarray(0, 8), whole.length, path);
  const header = parseHeader(whole.subarray(8, 8 + length), whole.length, path);
  return fileOf(path, header, {
    load: (_, { dtype, shape, byteOffset, byteLength }) => ({
      dtype,
      shape,
      data: viewAs(dtype, whole.subarray(byteOffset, byteOffset + byteLength)),
    }),
    close: () => {},
  });
}

type Source = {
  load(name: string, tensor: SafetensorsTensor): HostTensor;
  close(): void;
};

function fileOf(path: string, { metadata, tensors }: SafetensorsHeader, source: Source): SafetensorsFile {
  let open = true;
  return {
    path,
    metadata,
    tensors,
    read(name) {
      if (!open) throw new TesseraError("argument", `${path}: read after it was disposed`);
      const tensor = tensors.get(name);
      if (!tensor)
        throw new TesseraError("checkpoint", `${path}: it has no tensor ${quote(name)} (it has ${tensors.size})`);
      return source.load(name, tensor);
    },
    [Symbol.dispose]() {
      if (open) source.close();
      open = false;
    },
  };
}

function allocateOrRefuse<T>(make: () => T, path: string, name: string, byteLength: number): T {
  try {
    return make();
  } catch (cause) {
    throw new TesseraError(
      "checkpoint",
      `${path}: no memory for tensor ${quote(name)} of ${byteLength} bytes, ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** What goes into a file beside its tensors. */
export interface WriteSafetensorsOptions {
  /** Free text, such as `{ format: "pt" }`, which transformers wants to see. Default none. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a safetensors file, byte for byte as Hugging Face's library lays out the same tensors, straight from the arrays to the
 * disk. The file appears atomically: a process killed at any moment leaves the old file or the new one.
 *
 * @param tensors names must be unique. `data` is asked for once, when its turn comes: a getter may convert on the fly
 * @throws TesseraError `checkpoint` for tensors that the format cannot hold, `io` when writing fails; the old file is then unchanged
 * @example
 * writeSafetensors("model.safetensors", [["w", hostTensor([1, 2], [2])]], { metadata: { format: "pt" } });
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, HostTensor]>,
  options: WriteSafetensorsOptions = {},
): void {
  stageSafetensors(path, tensors, options).commit();
}

/** The first half of {@link writeSafetensors}: all is on disk, under a temporary name. */
export function stageSafetensors(
  path: string,
  tensors: Iterable<readonly [string, HostTensor]>,
  { metadata }: WriteSafetensorsOptions = {},
): StagedFile {
  const { bytes, order } = formatHeader(tensors, metadata, path);
  return stageFile(path, contentOf(bytes, order, path));
}

function* contentOf(
  header: Uint8Array,
  order: readonly (readonly [string, HostTensor])[],
  path: string,
): Generator<Uint8Array> {
  yield header;
  for (const [name, tensor] of order) {
    const { data } = tensor;
    const count = tensor.shape.reduce((product, size) => product * size, 1);
    if (data.length !== count || data.BYTES_PER_ELEMENT !== bytesOf(tensor.dtype))
      throw new TesseraError(
        "checkpoint",
        `${path}: tensor ${quote(name)}: data and shape differ, ${data.length} elements of ${data.BYTES_PER_ELEMENT} bytes for ` +
          `${tensor.dtype} [${tensor.shape.join(", ")}] (${data.byteLength} vs ${count * bytesOf(tensor.dtype)} bytes)`,
      );
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}
