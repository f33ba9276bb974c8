import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A repository as it is at one commit. */
export interface HubRepository {
  readonly commit: string;
  /** Name → content. Names ending in `.safetensors` and `.bin` are stored as large files: hashed with SHA-256, served elsewhere. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Branches and tags of this commit. Default `main`. */
  readonly refs?: readonly string[];
  /** Token that is needed to see it. */
  readonly token?: string;
  /** Whether access must be asked for. */
  readonly gated?: boolean;
}

/** A request that came in. */
export interface SeenRequest {
  readonly method: string;
  /** `hub`, or `store`: the other address to which large files are redirected. */
  readonly at: "hub" | "store";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** What goes wrong with the next answer to a request whose path contains a text; each is used once. */
export type Fault =
  | { readonly cutAfter: number } //                 destroys the socket after so many bytes of the body; a slow reader may lose some
  | { readonly stallAfter: number } //               sends so many bytes and then nothing more
  | { readonly status: number } //                   answers with a status
  | { readonly body: Uint8Array | string } //        sends other content
  | { readonly ignoreRange: true }; //               sends the whole file although a part was asked for

/** A hub on a local port. */
export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  /** All requests, in order. */
  readonly requests: SeenRequest[];
  /** The repositories by `org/name`; to be changed as commits arrive. */
  readonly repositories: Map<string, readonly HubRepository[]>;
  /** Lets the next matching request fail. */
  fail(path: string, fault: Fault): void;
  /** Destroys the connections to the store. */
  cut(): void;
  /** Closes both ports, connections included. */
  close(): Promise<void>;
}

const bytesOf = (content: Uint8Array | string) => (typeof content === "string" ? Buffer.from(content) : content);
const isLarge = (name: string) => /\.(?:safetensors|bin)$/.test(name);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The hash by which a hub knows a file, which is the name of its blob. */
export function etagOf(name: string, content: Uint8Array | string): string {
  const bytes = bytesOf(content);
  return isLarge(name)
    ? sha256(bytes)
    : createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/**
 * Speaks the routes of huggingface.co that a download uses: `/api/models/{id}/revision/{rev}`, `/api/models/{id}/paths-info/{rev}`,
 * `/{id}/resolve/{rev}/{file}`. Large files are redirected to a second port, as the real hub redirects to its store.
 */
export async function startHubServer(repositories: Readonly<Record<string, HubRepository>>): Promise<HubServer> {
  const all = new Map(Object.entries(repositories).map(([id, repository]) => [id, [repository]] as const));
  const requests: SeenRequest[] = [];
  const faults: { readonly path: string; readonly fault: Fault }[] = [];
  const stored = new Map<string, Uint8Array>();
  let storeAddress = "";

  const find = (id: string, revision: string) =>
    all.get(id)?.find(({ commit, refs = ["main"] }) => commit === revision || refs.includes(revision));

  const refuse = (response: ServerResponse, status: number, code: string) =>
    response.writeHead(status, { "X-Error-Code": code, "Content-Type": "application/json" }).end('{"error":"no"}');

  const sendFile = (
    request: IncomingMessage,
    response: ServerResponse,
    content: Uint8Array,
    headers: object,
    fault?: Fault,
  ) => {
    const bytes = fault && "body" in fault ? bytesOf(fault.body) : content;
    const range = fault && "ignoreRange" in fault ? undefined : /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const start = Number(range ?? 0);
    if (range !== undefined && start >= bytes.length)
      return response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end();
    const rest = bytes.subarray(start);
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      "Content-Length": rest.length,
      ...(range === undefined ? {} : { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (request.method === "HEAD") return response.end();
    if (fault && "cutAfter" in fault)
      return response.write(rest.subarray(0, fault.cutAfter), () => setTimeout(() => response.destroy(), 20));
    if (fault && "stallAfter" in fault) return response.write(rest.subarray(0, fault.stallAfter));
    return response.end(rest);
  };

  const hub = async (request: IncomingMessage, response: ServerResponse, path: string, fault?: Fault) => {
    const match =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|paths-info)\/([^/]+)$/.exec(path) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/([^/]+)\/(.+)$/.exec(path);
    if (!match) return refuse(response, 404, "");
    const [, id, route, revision, name] = match.map((part) => part && decodeURIComponent(part)) as string[];
    const known = all.get(id!);
    const repository = find(id!, revision!);
    const authorized = known?.every(({ token }) => !token || request.headers.authorization === `Bearer ${token}`);
    if (!known || !authorized) return refuse(response, request.headers.authorization ? 404 : 401, "RepoNotFound");
    if (known[0]!.gated) return refuse(response, 403, "GatedRepo");
    if (!repository) return refuse(response, 404, "RevisionNotFound");
    const { commit, files } = repository;

    if (route === "revision") return response.end(JSON.stringify({ _id: "0", id, sha: commit, private: false }));
    if (route === "paths-info") {
      let body = "";
      for await (const piece of request) body += piece;
      const paths: string[] = JSON.parse(body).paths;
      return response.end(
        JSON.stringify(
          paths
            .filter((path) => path in files)
            .map((path) => {
              const { length: size } = bytesOf(files[path]!);
              const oid = etagOf(path, files[path]!);
              return isLarge(path)
                ? { type: "file", path, size, oid: "0".repeat(40), lfs: { oid, size, pointerSize: 134 } }
                : { type: "file", path, size, oid };
            }),
        ),
      );
    }
    if (!(name! in files)) return refuse(response, 404, "EntryNotFound");
    const bytes = bytesOf(files[name!]!);
    const etag = etagOf(name!, bytes);
    const headers = { "X-Repo-Commit": commit, ETag: `"${etag}"` };
    if (!isLarge(name!)) return sendFile(request, response, bytes, headers, fault);
    stored.set(etag, bytes);
    return response
      .writeHead(302, {
        ...headers,
        "X-Linked-ETag": `"${etag}"`,
        "X-Linked-Size": bytes.length,
        Location: `${storeAddress}/${etag}/${name}`,
      })
      .end();
  };

  const listen = async (at: "hub" | "store"): Promise<Server> => {
    const server = createServer((request, response) => {
      const path = (request.url ?? "").split("?")[0]!;
      const { range, authorization } = request.headers;
      requests.push({ method: request.method!, at, path, range, authorization });
      const next = faults.findIndex(
        (fault) => path.includes(fault.path) && (at === "store" || !redirects(path, fault.fault)),
      );
      const fault = next < 0 ? undefined : faults.splice(next, 1)[0]!.fault;
      if (fault && "status" in fault) return response.writeHead(fault.status).end();
      if (at === "hub") return void hub(request, response, path, fault);
      const bytes = stored.get(path.split("/")[1]!);
      return bytes ? sendFile(request, response, bytes, {}, fault) : refuse(response, 404, "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
  };
  // a fault of a body waits for the store where the hub only redirects
  const redirects = (path: string, fault: Fault) => isLarge(path) && !("status" in fault);
  const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const servers = [await listen("hub"), await listen("store")] as const;
  storeAddress = addressOf(servers[1]);

  const close = async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  return {
    endpoint: addressOf(servers[0]),
    requests,
    repositories: all as Map<string, readonly HubRepository[]>,
    fail: (path, fault) => void faults.push({ path, fault }),
    cut: () => servers[1].closeAllConnections(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
