import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TesseraError } from "../core/errors.js";
import type { DownloadOptions, DownloadProgress } from "../hub/download.js";

/** The models that come with the package. */
const CHECKPOINTS = fileURLToPath(new URL("../../checkpoints", import.meta.url));

/**
 * The folder of a model: a path, the name of a model that comes with the package, or `org/name` of the Hugging Face hub, which is
 * downloaded into the cache with a progress bar.
 *
 * @param only what of a hub's model is needed. Default all of it
 * @throws TesseraError `io` naming the models there are, and as the download does
 */
export async function modelFolder(name: string, only?: DownloadOptions["only"]): Promise<string> {
  if (existsSync(name)) return name;
  const known = existsSync(CHECKPOINTS)
    ? readdirSync(CHECKPOINTS, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []))
    : [];
  if (known.includes(name)) return join(CHECKPOINTS, name);
  if (!/^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/.test(name))
    throw new TesseraError(
      "io",
      `${name}: no such folder, and no model of that name (${known.join(", ")}, or org/name of the hub)`,
    );
  const { resolveModel } = await import("../hub/download.js");
  const onProgress = process.stderr.isTTY ? progressBar() : undefined;
  try {
    return await resolveModel(name, { ...(onProgress ? { onProgress } : {}), ...(only ? { only } : {}) });
  } finally {
    if (onProgress) process.stderr.write("\r\u001b[K");
  }
}

const WIDTH = 24;

/** One line that is written over: `model.safetensors ████████░░░░ 212 of 548 MB`. */
function progressBar(): (progress: DownloadProgress) => void {
  return ({ file, done, total }) => {
    const filled = total > 0 ? Math.round((WIDTH * done) / total) : WIDTH;
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(total < 1e7 ? 1 : 0);
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    process.stderr.write(`\r${file} ${bar} ${megabytes(done)} of ${megabytes(total)} MB\u001b[K`);
  };
}
