import { messageOf, TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";
import type { HubFile } from "./hub-blob.js";
import { isCommit } from "./hub-name.js";
import { type HubClient, requestOnce, withRetries } from "./hub-request.js";

/** What a hub says of one model. */
export interface HubListing {
  /** The commit that a branch or tag stands for now. */
  commit(revision: string): Promise<string>;
  /** Those of the files that a commit has, by name. */
  files(commit: string, paths: readonly string[]): Promise<ReadonlyMap<string, HubFile>>;
}

/**
 * Asks through `@huggingface/hub`, with this client's token, signal, retries and messages. Answers are checked, because commits and
 * hashes become names of files.
 *
 * @param where how messages name the model
 * @param attempts how often to try what fails for a passing reason
 */
export function hubListing(
  library: Pick<typeof import("@huggingface/hub"), "modelInfo" | "pathsInfo">,
  client: HubClient,
  id: string,
  where: string,
  attempts: number,
): HubListing {
  const send = (input: unknown, init?: RequestInit) =>
    withRetries(client, where, attempts, () => requestOnce(client, where, String(input), init));
  const how = { hubUrl: client.endpoint, fetch: send as typeof fetch };
  const refuse = (what: string) =>
    new TesseraError("io", `${where}: the answer of ${client.endpoint} is not a hub's, ${what}`);
  const understood = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error) => {
      throw error instanceof TesseraError ? error : refuse(messageOf(error));
    });
  return {
    commit: async (revision) => {
      const { sha } = await understood(library.modelInfo({ ...how, name: id, revision, additionalFields: ["sha"] }));
      if (typeof sha !== "string" || !isCommit(sha)) throw refuse(`the commit is ${quote(sha)}`);
      return sha;
    },
    files: async (commit, paths) => {
      const repo = { type: "model", name: id } as const;
      const infos = await understood(library.pathsInfo({ ...how, repo, revision: commit, paths: [...paths] }));
      const files = infos.map(({ path, size, oid, lfs }) => ({ path, size, etag: lfs?.oid ?? oid ?? "" }));
      for (const { path, size, etag } of files)
        if (
          !paths.includes(path) ||
          !Number.isSafeInteger(size) ||
          size < 0 ||
          !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)
        )
          throw refuse(`it describes ${quote(path)} with size ${quote(size)} and hash ${quote(etag)}`);
      return new Map(files.map((file) => [file.path, file]));
    },
  };
}
