import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { TesseraError } from "../core/errors.js";
import { quote } from "../core/quote.js";

/** Where models come from and go to; what is left out is read from the environment, as Python's `huggingface_hub` does. */
export interface HubOptions {
  /** The cache's folder. Default `HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
  readonly cacheDir?: string;
  /** Access token. Default `HF_TOKEN`, else what the file `$HF_HOME/token` holds. */
  readonly token?: string;
  /** Address of the hub. Default `HF_ENDPOINT`, else `https://huggingface.co`. */
  readonly endpoint?: string;
  /** Whether to use the cache only, without any request. Default `HF_HUB_OFFLINE`. */
  readonly offline?: boolean;
}

/** {@link HubOptions} with the environment's values filled in. */
export interface HubSettings {
  readonly cacheDir: string;
  readonly token?: string;
  readonly endpoint: string;
  readonly offline: boolean;
  /** Whether files are copied into snapshots, because `HF_HUB_DISABLE_SYMLINKS` says so. */
  readonly copies: boolean;
}

/**
 * Options and environment together. Variables are read at each call, an empty one counts as not set.
 *
 * @param defaultCacheDir where the library of the hub would put its cache
 * @throws TesseraError `argument` when the endpoint is not an http(s) address or the token cannot stand in a header
 */
export function hubSettings(options: HubOptions, defaultCacheDir: string, defaultEndpoint: string): HubSettings {
  const endpoint = (options.endpoint ?? (process.env.HF_ENDPOINT || defaultEndpoint)).replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/.test(endpoint) || !URL.canParse(endpoint))
    throw new TesseraError("argument", `HF_ENDPOINT: not an http or https address, ${quote(endpoint)}`);
  const token = (options.token ?? environmentToken())?.trim();
  if (token && !/^[\x21-\x7e]+$/.test(token))
    throw new TesseraError("argument", "HF_TOKEN: not a token, it has white space or characters outside ASCII inside");
  return {
    cacheDir: resolve(expandHome(options.cacheDir ?? defaultCacheDir)),
    ...(token ? { token } : {}),
    endpoint,
    offline: options.offline ?? (isOn(process.env.HF_HUB_OFFLINE) || isOn(process.env.TRANSFORMERS_OFFLINE)),
    copies: isOn(process.env.HF_HUB_DISABLE_SYMLINKS),
  };
}

function environmentToken(): string | undefined {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const token = HF_TOKEN?.trim() || HUGGING_FACE_HUB_TOKEN?.trim();
  if (token) return token;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
  try {
    return readFileSync(expandHome(HF_TOKEN_PATH || join(home, "token")), "utf8");
  } catch {
    return undefined; // not logged in
  }
}

const isOn = (value: string | undefined) => /^(?:1|on|yes|true)$/i.test(value ?? "");

const expandHome = (path: string) => path.replace(/^~(?=$|[/\\])/, () => homedir());
