import { existsSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import { downloadBlob, type HubFile } from "./hub-blob.js";
import {
  blobPath,
  type CachedSnapshot,
  cachedRevisions,
  findSnapshot,
  hasFile,
  linkBlob,
  shardNames,
  snapshotPath,
  writeRef,
} from "./hub-cache.js";
import { hubListing } from "./hub-listing.js";
import { isRevision, parseModelName } from "./hub-name.js";
import { type HubClient, isPassing } from "./hub-request.js";
import { type HubOptions, hubSettings } from "./hub-settings.js";
import { ioError } from "./regular-file.js";
import { indexFileName, singleFileName } from "./safetensors-checkpoint.js";

/** How far the download of one file is. */
export interface DownloadProgress {
  /** The file's name in the repository. */
  readonly file: string;
  /** Bytes that are there, those of an earlier attempt included. */
  readonly done: number;
  /** The file's length in bytes. */
  readonly total: number;
}

/** How {@link downloadModel} downloads. */
export interface DownloadOptions extends HubOptions {
  /** Branch, tag or commit. Default what the name says after `@`, else `main`. */
  readonly revision?: string;
  /**
   * Only these files, and no weights: what a look at a model needs. A branch that the cache knows stays at the commit of which it has the
   * whole model. Default all that a model needs.
   */
  readonly only?: readonly SmallFile[];
  /** Makes the requests. Default the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Called for each file that is downloaded, at its beginning and after each piece; not for what is in the cache already. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download; what is there is kept and continued the next time. */
  readonly signal?: AbortSignal;
  /** First pause before a failed request is repeated, in milliseconds; each further one is twice as long. Default 500. */
  readonly retryDelay?: number;
}

/** What older repositories keep their tokenizer in. */
const olderTokenizerFiles = [
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "source.spm",
  "target.spm",
] as const;

const smallFiles = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  ...olderTokenizerFiles,
] as const;

/** What a model can need beside its weights; what a repository does not have is left out. */
export type SmallFile = (typeof smallFiles)[number];

const otherWeights = [
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
  "tf_model.h5",
  "flax_model.msgpack",
  "model.ckpt",
];

/**
 * Downloads what a model needs from a Hugging Face hub into the standard cache, which is shared with Python's `huggingface_hub`, and
 * returns the folder of its snapshot. What is there already is not downloaded again, what was interrupted is continued, and every file
 * is checked against the hash that the hub announces. Several processes may download the same model at once.
 *
 * When the hub cannot be reached, or offline, it is the snapshot that the cache has of the revision.
 *
 * `@huggingface/hub` finds the cache and asks the hub for the commit and the files; bytes are fetched here, because the library
 * neither continues nor checks a download, and shares one unlocked `.incomplete` file between processes.
 *
 * @param name `org/name`, also `org/name@revision`
 * @returns the snapshot's folder, with `config.json` and safetensors weights, or with the files of `only`
 * @throws TesseraError `argument` for a bad name; `io` when the model cannot be had or a file is damaged; `unsupported` when it has no
 *   safetensors weights (nothing is downloaded then); `aborted` by the signal
 * @example const folder = await downloadModel("openai-community/gpt2");
 */
export async function downloadModel(name: string, options: DownloadOptions = {}): Promise<string> {
  const parsed = parseModelName(name);
  if (!parsed)
    throw new TesseraError(
      "argument",
      `downloadModel: not a model's name, ${quote(name)} (org/name or org/name@revision)`,
    );
  const revision = options.revision ?? parsed.revision ?? "main";
  if (parsed.revision !== undefined && parsed.revision !== revision)
    throw new TesseraError("argument", `downloadModel: two revisions, ${parsed.revision} and ${revision}`);
  if (!isRevision(revision))
    throw new TesseraError("argument", `downloadModel: not a branch, tag or commit, ${quote(revision)}`);
  const { id } = parsed;
  const where = revision === "main" ? id : `${id}@${revision}`;

  const library = await import("@huggingface/hub"); // only here, so that what loads from folders does not wait for it
  const settings = hubSettings(options, library.getHFHubCachePath(), library.HUB_URL);
  const repository = join(settings.cacheDir, library.getRepoFolderName({ type: "model", name: id }));
  const { only } = options;
  const cached = findSnapshot(repository, revision, only);
  if (settings.offline) return offlineFolder(where, repository, cached);

  const client: HubClient = {
    endpoint: settings.endpoint,
    ...(settings.token ? { token: settings.token } : {}),
    fetch: options.fetch ?? fetch,
    ...(options.signal ? { signal: options.signal } : {}),
    retryDelay: options.retryDelay ?? 500,
  };
  const complete = cached?.missing.length === 0;
  const listing = hubListing(library, client, id, where, complete ? 1 : 3);
  const look = async () => {
    const commit = await listing.commit(revision);
    const files = await listing.files(commit, only ?? [...smallFiles, singleFileName, indexFileName, ...otherWeights]);
    return { commit, files };
  };
  const found = await look().catch((error: unknown) => {
    if (complete && isPassing(error)) return undefined;
    throw error;
  });
  if (!found) return cached!.folder;

  const { commit, files } = found;
  if (!only) refuseWithoutWeights(where, files);
  for (const path of only ?? (["config.json"] as const))
    if (!files.has(path)) throw new TesseraError("config", `${where}: the repository has no ${path}`);
  const folder = snapshotPath(repository, commit);
  const fetchFile = async (file: HubFile): Promise<void> => {
    if (await hasFile(join(folder, file.path), file.size)) return;
    const blob = blobPath(repository, file.etag);
    await mkdir(dirname(blob), { recursive: true });
    await mkdir(folder, { recursive: true });
    if (!(await hasFile(blob, file.size)))
      await downloadBlob(
        client,
        `${where}: ${file.path}`,
        `${client.endpoint}/${id}/resolve/${commit}/${encodeURIComponent(file.path)}`,
        file,
        blob,
        (done) => options.onProgress?.({ file: file.path, done, total: file.size }),
      );
    await linkBlob(folder, file.path, blob, settings.copies);
  };
  try {
    const superfluous: readonly string[] = !only && files.has("tokenizer.json") ? olderTokenizerFiles : [];
    for (const path of smallFiles)
      if (files.has(path) && !superfluous.includes(path)) await fetchFile(files.get(path)!);
    if (only) return folder;
    const single = files.get(singleFileName);
    if (single) await fetchFile(single);
    else {
      await fetchFile(files.get(indexFileName)!);
      const names = shardNames(join(folder, indexFileName));
      const shards = await listing.files(commit, names);
      const absent = names.filter((shard) => !shards.has(shard));
      if (absent.length > 0)
        throw new TesseraError(
          "checkpoint",
          `${where}: ${indexFileName} names ${names.length} shards, ${absent.length} of them are not there, first ${quote(absent[0])}`,
        );
      for (const shard of shards.values()) await fetchFile(shard);
    }
    await writeRef(repository, revision, commit); // last: a branch never points at what is not complete
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw ioError((error as NodeJS.ErrnoException).path ?? repository, "written", error);
  }
  return folder;
}

/**
 * The folder of a model: a folder that exists as it is, else what the name stands for on the hub ({@link downloadModel}).
 *
 * @param nameOrFolder `checkpoints/tang`, `org/name` or `org/name@revision`; a folder comes first
 * @throws TesseraError `io` when it is neither; else as {@link downloadModel}
 * @example const model = loadModel(await resolveModel("org/name"));
 */
export async function resolveModel(nameOrFolder: string, options: DownloadOptions = {}): Promise<string> {
  if (existsSync(nameOrFolder)) {
    if (statSync(nameOrFolder).isDirectory()) return nameOrFolder;
    throw new TesseraError("io", `${nameOrFolder}: a file, but a model is a folder`);
  }
  if (!parseModelName(nameOrFolder))
    throw new TesseraError(
      "io",
      `${nameOrFolder}: no such folder, and not a model's name on the hub either (org/name or org/name@revision)`,
    );
  try {
    return await downloadModel(nameOrFolder, options);
  } catch (error) {
    if (!(error instanceof TesseraError) || error.code !== "io") throw error;
    throw new TesseraError("io", `${error.message} (${quote(nameOrFolder)} is not a folder here either)`, {
      cause: error.cause,
    });
  }
}

function offlineFolder(where: string, repository: string, cached: CachedSnapshot | undefined): string {
  if (cached?.missing.length === 0) return cached.folder;
  const known = cachedRevisions(repository);
  throw new TesseraError(
    "io",
    cached
      ? `${cached.folder}: incomplete, ${cached.missing.join(", ")} is missing, and nothing is downloaded in offline mode. Unset HF_HUB_OFFLINE`
      : `${where}: not in the cache ${repository}${known.length > 0 ? ` (which has ${known.join(", ")})` : ""}, ` +
          "and nothing is downloaded in offline mode. Unset HF_HUB_OFFLINE",
  );
}

function refuseWithoutWeights(where: string, files: ReadonlyMap<string, HubFile>): void {
  if (files.has(singleFileName) || files.has(indexFileName)) return;
  const other = otherWeights.find((path) => files.has(path));
  throw other === undefined
    ? new TesseraError(
        "checkpoint",
        `${where}: the repository has no weights, neither ${singleFileName} nor ${indexFileName}`,
      )
    : new TesseraError(
        "unsupported",
        `${where}: the weights are in ${other} only, which is not read because such files can run code or need their own framework ` +
          `(${singleFileName} is needed). Convert them with transformers, save_pretrained(folder, safe_serialization=True), or ` +
          "with https://huggingface.co/spaces/safetensors/convert",
      );
}
