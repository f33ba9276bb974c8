import { setTimeout as pause } from "node:timers/promises";
import { messageOf, TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";

/** How requests to the hub are made. */
export interface HubClient {
  readonly endpoint: string;
  readonly token?: string;
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal;
  /** First pause before a request is repeated, in milliseconds; each further one is twice as long, up to sixteen times. */
  readonly retryDelay: number;
}

/** What stands behind an error of {@link requestOnce}, as its `cause`. */
interface HubFault {
  /** Whether trying again may help: the hub did not answer, or was overloaded. */
  readonly passing: boolean;
  /** The pause the hub asks for, in milliseconds. */
  readonly retryAfter?: number;
  readonly error?: unknown;
}

/** Whether an error says that the hub cannot be reached at the moment, rather than that it refused. */
export function isPassing(error: unknown): boolean {
  return error instanceof TesseraError && (error.cause as HubFault | undefined)?.passing === true;
}

/** An error that {@link withRetries} tries again after. */
export function passingError(where: string, error: unknown): TesseraError {
  return new TesseraError("io", `${where}: ${reasonOf(error)}`, { cause: { passing: true, error } satisfies HubFault });
}

/**
 * Repeats what failed for a passing reason, with growing pauses.
 *
 * @param attempts how often to try before giving up
 * @param act is given a function that starts the count anew, to be called when there was progress
 */
export async function withRetries<T>(
  client: HubClient,
  where: string,
  attempts: number,
  act: (progressed: () => void) => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await act(() => {
        failures = 0;
      });
    } catch (error) {
      if (client.signal?.aborted) throw new TesseraError("aborted", `${where}: aborted`, { cause: error });
      if (!isPassing(error) || ++failures >= attempts) throw error;
      const asked = ((error as TesseraError).cause as HubFault).retryAfter ?? 0;
      const wait = Math.max(asked, client.retryDelay * 2 ** Math.min(failures - 1, 4));
      await pause(wait, undefined, { signal: client.signal }).catch((cause) => {
        throw new TesseraError("aborted", `${where}: aborted`, { cause });
      });
    }
  }
}

/**
 * One request. The token is sent to the hub only: not to another address, and `fetch` drops it when a redirect leads elsewhere.
 *
 * @param where how messages name what is asked for
 * @param also statuses that are returned although they are failures
 * @throws TesseraError `io` for a failure, with what to do; {@link isPassing} tells the kinds apart
 */
export async function requestOnce(
  client: HubClient,
  where: string,
  url: string,
  init: RequestInit = {},
  also: readonly number[] = [],
): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("User-Agent", "tessera");
  if (client.token && new URL(url).origin === new URL(client.endpoint).origin)
    headers.set("Authorization", `Bearer ${client.token}`);
  let response: Response;
  try {
    response = await client.fetch(url, { ...init, headers, ...(client.signal ? { signal: client.signal } : {}) });
  } catch (error) {
    throw passingError(where, new Error(`${client.endpoint} cannot be reached, ${reasonOf(error)}`, { cause: error }));
  }
  if (response.ok || also.includes(response.status)) return response;
  await response.body?.cancel();
  const seconds = Number(response.headers.get("Retry-After"));
  throw new TesseraError("io", `${where}: ${refusalOf(response, client)}`, {
    cause: {
      passing: response.status >= 500 || response.status === 429 || response.status === 408,
      ...(seconds > 0 ? { retryAfter: Math.min(seconds, 60) * 1000 } : {}),
    } satisfies HubFault,
  });
}

/** Why the hub refused, and what to do. */
function refusalOf({ status, headers }: Response, { endpoint, token }: HubClient): string {
  const code = headers.get("X-Error-Code") ?? "";
  const said = headers.get("X-Error-Message");
  if (code === "GatedRepo")
    return `access is granted on request (status ${status}). Ask for it on the model's page at ${endpoint}, then set HF_TOKEN`;
  if (code === "RevisionNotFound") return `${endpoint} has no such revision (status ${status})`;
  if (code === "EntryNotFound") return `${endpoint} has no such file (status ${status})`;
  if (status === 401 || status === 404 || code === "RepoNotFound")
    return `${endpoint} has no such model, or it is private (status ${status}). Check the name${
      token ? " and what the token allows" : ", or set HF_TOKEN"
    }`;
  if (status === 403) return `${endpoint} refused access (status 403). Check what the token allows`;
  return `${endpoint} answered with status ${status}${said ? `, ${quote(said)}` : ""}`;
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOTFOUND: "the host's name is not known",
  EAI_AGAIN: "the host's name cannot be looked up",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ETIMEDOUT: "no answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no answer in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "no more data in time",
};

/** What made `fetch` fail; it wraps the real error, once or more. */
function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof code === "string" && code in reasons) return reasons[code]!;
  return cause instanceof Error && error instanceof TypeError ? reasonOf(cause) : messageOf(error);
}
