import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { etagOf, type HubRepository, type HubServer, startHubServer } from "../../test/support/hub-server.js";
import { loadTokenizer } from "../text/load-tokenizer.js";
import { type DownloadOptions, type DownloadProgress, downloadModel, resolveModel } from "./download.js";

const commit = "0123456789abcdef0123456789abcdef01234567";
const later = "89abcdef0123456789abcdef0123456789abcdef";
const weights = randomBytes(300_000);
const small: HubRepository = {
  commit,
  files: {
    "README.md": "not needed",
    "config.json": '{"model_type": "gpt2"}',
    "tokenizer.json": "{}",
    "model.safetensors": weights,
    "pytorch_model.bin": "not needed",
  },
};
const needed = ["config.json", "model.safetensors", "tokenizer.json"];

let hub: HubServer;
let cacheDir: string;
let options: DownloadOptions;

beforeEach(async () => {
  for (const name of Object.keys(process.env).filter((name) => /^(?:HF_|HUGGING|TRANSFORMERS_OFFLINE)/.test(name)))
    vi.stubEnv(name, undefined);
  cacheDir = mkdtempSync(join(tmpdir(), "tessera-hub-"));
  vi.stubEnv("HF_HOME", join(cacheDir, "home")); // nobody's own token
  hub = await startHubServer({ "org/small": small });
  options = { endpoint: hub.endpoint, cacheDir, retryDelay: 1 };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(cacheDir, { recursive: true });
});

const repository = (name = "models--org--small") => join(cacheDir, name);
const tree = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
const fetched = () => hub.requests.filter(({ method, path }) => method === "GET" && !path.startsWith("/api/"));
const stored = () => hub.requests.filter(({ at }) => at === "store");
const incomplete = () => readdirSync(join(repository(), "blobs")).filter((name) => name.endsWith(".incomplete"));
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (error) => error,
  );
/** Whether a file holds these bytes; `toEqual` takes seconds for so many. */
const same = (path: string, content: Uint8Array | string) => readFileSync(path).equals(Buffer.from(content));
const weightsBlob = etagOf("model.safetensors", weights);

describe("downloadModel", () => {
  test("lays the cache out as huggingface_hub does", async () => {
    const folder = await downloadModel("org/small", options);
    expect(folder).toBe(join(repository(), "snapshots", commit));
    expect(tree(repository())).toEqual(
      [
        ...needed.map((name) => `blobs/${etagOf(name, small.files[name]!)}`),
        "refs/main",
        ...needed.map((name) => `snapshots/${commit}/${name}`),
      ].sort(),
    );
    for (const name of needed) {
      expect(readlinkSync(join(folder, name))).toBe(`../../blobs/${etagOf(name, small.files[name]!)}`);
      expect(same(join(folder, name), small.files[name]!)).toBe(true);
    }
    expect(readFileSync(join(repository(), "refs", "main"), "utf8")).toBe(commit);
    expect(weightsBlob).toHaveLength(64);
    expect(etagOf("config.json", small.files["config.json"]!)).toBe("7eb84e812bad01767dcf9cf8a2d84ef428949cad"); // git hash-object
  });

  test("downloads nothing twice, not even for another commit with the same files", async () => {
    await downloadModel("org/small", options);
    const before = fetched().length;
    await downloadModel("org/small", options);
    expect(fetched()).toHaveLength(before);

    hub.repositories.set("org/small", [
      { commit: later, files: { ...small.files, "config.json": '{"model_type": "bert"}' } },
      { ...small, refs: ["v1"] },
    ]);
    const folder = await downloadModel("org/small", options);
    expect(folder).toBe(join(repository(), "snapshots", later));
    expect(
      fetched()
        .slice(before)
        .map(({ path }) => path),
    ).toEqual([`/org/small/resolve/${later}/config.json`]);
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(readFileSync(join(repository(), "refs", "main"), "utf8")).toBe(later);

    expect(await downloadModel("org/small@v1", options)).toBe(join(repository(), "snapshots", commit));
    expect(await downloadModel("org/small", { ...options, revision: commit })).toBe(
      join(repository(), "snapshots", commit),
    );
    expect(tree(join(repository(), "refs"))).toEqual(["main", "v1"]);
  });

  test("downloads only what it is asked for, and leaves the branch at the commit that is complete", async () => {
    const only = ["config.json"] as const;
    const folder = await downloadModel("org/small", { ...options, only });
    expect(tree(folder)).toEqual(["config.json"]);
    expect(fetched().map(({ path }) => path)).toEqual([`/org/small/resolve/${commit}/config.json`]);
    expect(existsSync(join(repository(), "refs"))).toBe(false);
    expect(await downloadModel("org/small", options)).toBe(folder);
    expect(tree(folder)).toEqual(needed);

    hub.repositories.set("org/small", [{ commit: later, files: { "config.json": '{"model_type": "bert"}' } }]);
    const newer = await downloadModel("org/small", { ...options, only });
    expect(tree(newer)).toEqual(["config.json"]); // a repository without weights can be looked at
    expect(await downloadModel("org/small", { ...options, offline: true })).toBe(folder);
    expect(await downloadModel("org/small", { ...options, only, offline: true })).toBe(folder);
    expect((await failure(downloadModel("org/small", { ...options, only: ["tokenizer.json"] }))).message).toBe(
      "org/small: the repository has no tokenizer.json",
    );
  });

  test("downloads the files of an older tokenizer where there is no tokenizer.json, and only there", async () => {
    const older = {
      "config.json": '{"model_type": "opt"}',
      "tokenizer_config.json": '{"tokenizer_class": "GPT2Tokenizer", "bos_token": "</s>", "add_bos_token": true}',
      "vocab.json": '{"</s>": 0, "a": 1, "b": 2, "ab": 3, "<|endoftext|>": 4}',
      "merges.txt": "#version: 0.2\na b\n",
      "added_tokens.json": '{"<new>": 5}',
      "model.safetensors": weights,
    };
    hub.repositories.set("org/older", [{ commit, files: { ...older, "flax_model.msgpack": "not needed" } }]);
    const folder = await downloadModel("org/older", options);
    expect(tree(folder)).toEqual(Object.keys(older).sort());
    expect((await loadTokenizer(folder)).encode("ab<new>")).toEqual([0, 3, 5]);
    const marian = ["config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"];
    hub.repositories.set("org/marian", [{ commit, files: Object.fromEntries(marian.map((name) => [name, "{}"])) }]);
    expect(tree(await downloadModel("org/marian", options))).toEqual(marian);

    hub.repositories.set("org/both", [{ commit, files: { ...older, "tokenizer.json": "{}" } }]);
    expect(tree(await downloadModel("org/both", options))).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });

  test("takes revisions with a slash", async () => {
    hub.repositories.set("org/small", [{ ...small, refs: ["refs/pr/1"] }]);
    await downloadModel("org/small@refs/pr/1", options);
    expect(readFileSync(join(repository(), "refs", "refs", "pr", "1"), "utf8")).toBe(commit);
  });

  test("downloads the shards that the index names", async () => {
    const shards = { "a.safetensors": randomBytes(1000), "b.safetensors": randomBytes(2000) };
    const index = JSON.stringify({ weight_map: { x: "b.safetensors", y: "a.safetensors", z: "b.safetensors" } });
    hub.repositories.set("org/sharded", [
      {
        commit,
        files: { "config.json": "{}", "model.safetensors.index.json": index, ...shards, "c.safetensors": "other" },
      },
    ]);
    const folder = await downloadModel("org/sharded", options);
    expect(tree(folder)).toEqual(["a.safetensors", "b.safetensors", "config.json", "model.safetensors.index.json"]);
    expect(same(join(folder, "b.safetensors"), shards["b.safetensors"])).toBe(true);
  });

  test("refuses an index that names what is not there", async () => {
    const index = JSON.stringify({ weight_map: { x: "a.safetensors", y: "b.safetensors" } });
    hub.repositories.set("org/sharded", [
      { commit, files: { "config.json": "{}", "model.safetensors.index.json": index, "b.safetensors": "" } },
    ]);
    expect(await failure(downloadModel("org/sharded", options))).toMatchObject({
      code: "checkpoint",
      message:
        'org/sharded: model.safetensors.index.json names 2 shards, 1 of them are not there, first "a.safetensors"',
    });
  });

  test.each(["../../../evil.safetensors", "/evil.safetensors", "..\\evil.safetensors", "C:evil.safetensors"])(
    "refuses an index that names %s",
    async (shard) => {
      hub.repositories.set("org/sharded", [
        {
          commit,
          files: {
            "config.json": "{}",
            "model.safetensors.index.json": JSON.stringify({ weight_map: { x: shard } }),
            [shard]: "evil",
          },
        },
      ]);
      const error = await failure(downloadModel("org/sharded", options));
      expect(error.code).toBe("checkpoint");
      expect(error.message).toContain("is not the name of a safetensors file beside it");
      expect(tree(cacheDir).filter((name) => name.includes("evil"))).toEqual([]);
      expect(tree(repository("models--org--sharded")).filter((name) => name.startsWith("refs"))).toEqual([]);
    },
  );

  test.each([
    { sha: "../../outside" },
    { sha: commit, file: { path: "../config.json", size: 2, oid: commit } },
    { sha: commit, file: { path: "config.json", size: 2, oid: "../../outside" } },
    { sha: commit, file: { path: "config.json", size: -1, oid: commit } },
    { html: true },
  ])("refuses a hub that answers %o", async ({ sha, file, html }) => {
    const answers = async (url: unknown) =>
      new Response(
        html ? "<html>log in</html>" : JSON.stringify(String(url).includes("paths-info") ? [file] : { sha }),
      );
    const error = await failure(downloadModel("org/small", { ...options, fetch: answers as typeof fetch }));
    expect(error).toMatchObject({ code: "io" });
    expect(error.message).toContain("org/small: the answer of http://127.0.0.1");
    expect(readdirSync(cacheDir)).toEqual([]);
  });

  test("refuses pickled weights with what to do, and downloads nothing", async () => {
    hub.repositories.set("org/old", [{ commit, files: { "config.json": "{}", "pytorch_model.bin": "pickle" } }]);
    const error = await failure(downloadModel("org/old", options));
    expect(error).toMatchObject({ name: "TesseraError", code: "unsupported" });
    expect(error.message).toMatch(/^org\/old: the weights are in pytorch_model\.bin only.*safe_serialization=True/);
    expect(fetched()).toEqual([]);
    expect(readdirSync(cacheDir)).toEqual([]);

    hub.repositories.set("org/none", [{ commit, files: { "config.json": "{}" } }]);
    expect((await failure(downloadModel("org/none", options))).message).toMatch(
      /^org\/none: the repository has no weights/,
    );
  });

  test.each([
    "../x",
    "a/b/c",
    "a/..",
    "/a",
    "a/",
    "-a/b",
    "a--b/c",
    "org/a.git",
    "a/b@",
    "a/b@../main",
    "a b",
    "a\\b",
    "",
  ])("refuses the name %j without a request", async (name) => {
    expect(await failure(downloadModel(name, options))).toMatchObject({ code: "argument" });
    expect(hub.requests).toEqual([]);
  });

  test("refuses two different revisions", async () => {
    const error = await failure(downloadModel("org/small@v1", { ...options, revision: "v2" }));
    expect(error.message).toBe("downloadModel: two revisions, v1 and v2");
  });

  test("reports the bytes of each file", async () => {
    const seen: DownloadProgress[] = [];
    await downloadModel("org/small", { ...options, onProgress: (progress) => seen.push(progress) });
    for (const file of needed) {
      const own = seen.filter((progress) => progress.file === file);
      const total = Buffer.from(small.files[file]!).length;
      expect(own[0]).toEqual({ file, done: 0, total });
      expect(own.at(-1)).toEqual({ file, done: total, total });
      expect(own.map(({ done }) => done)).toEqual(own.map(({ done }) => done).sort((a, b) => a - b));
    }
    seen.length = 0;
    await downloadModel("org/small", { ...options, onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([]);
  });

  test("copies where links are not wanted", async () => {
    vi.stubEnv("HF_HUB_DISABLE_SYMLINKS", "1");
    const folder = await downloadModel("org/small", options);
    expect(lstatSync(join(folder, "model.safetensors")).isSymbolicLink()).toBe(false);
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    const before = fetched().length;
    await downloadModel("org/small", options);
    expect(fetched()).toHaveLength(before);
    expect(tree(join(repository(), "blobs"))).toHaveLength(3);
  });
});

describe("an interrupted download", () => {
  /** Cuts the connection as soon as so many bytes of the weights have arrived; the server is to stall there. */
  const cuttingAt = (...places: number[]): DownloadOptions => ({
    ...options,
    onProgress: ({ file, done }) => void (file === "model.safetensors" && places.includes(done) && hub.cut()),
  });

  test("goes on after a cut with a Range request for the rest", async () => {
    hub.fail("model.safetensors", { stallAfter: 100_000 });
    hub.fail("model.safetensors", { stallAfter: 50_000 });
    const folder = await downloadModel("org/small", cuttingAt(100_000, 150_000));
    expect(stored().map(({ range }) => range)).toEqual([undefined, "bytes=100000-", "bytes=150000-"]);
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(incomplete()).toEqual([]);
  });

  test("is continued by the next call when the server was away for too long", async () => {
    hub.fail(`/${weightsBlob}/`, { stallAfter: 100_000 });
    for (let i = 0; i < 6; i++) hub.fail(`/${weightsBlob}/`, { status: 503 });
    const error = await failure(downloadModel("org/small", cuttingAt(100_000)));
    expect(error).toMatchObject({
      code: "io",
      message: `org/small: model.safetensors: ${hub.endpoint} answered with status 503`,
    });
    expect(incomplete()).toEqual([`${weightsBlob}.free.incomplete`]);
    expect(existsSync(join(repository(), "refs"))).toBe(false);
    const folder = await downloadModel("org/small", options);
    expect(stored().map(({ range }) => range)).toEqual([undefined, ...Array(7).fill("bytes=100000-")]);
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
  });

  test("keeps what an abort leaves, and the next call fetches the rest only", async () => {
    hub.fail("model.safetensors", { stallAfter: 120_000 });
    const abort = new AbortController();
    const error = await failure(
      downloadModel("org/small", {
        ...options,
        signal: abort.signal,
        onProgress: ({ done }) => void (done === 120_000 && abort.abort()),
      }),
    );
    expect(error).toMatchObject({ code: "aborted", message: "org/small: model.safetensors: aborted" });
    expect(incomplete()).toEqual([`${weightsBlob}.free.incomplete`]);
    expect(existsSync(join(repository(), "refs"))).toBe(false);

    const seen: DownloadProgress[] = [];
    const folder = await downloadModel("org/small", { ...options, onProgress: (progress) => seen.push(progress) });
    expect(stored().map(({ range }) => range)).toEqual([undefined, "bytes=120000-"]);
    expect(seen[0]).toEqual({ file: "model.safetensors", done: 120_000, total: 300_000 });
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(incomplete()).toEqual([]);
  });

  test("begins anew where the server does not continue", async () => {
    hub.fail("model.safetensors", { stallAfter: 100_000 });
    hub.fail("model.safetensors", { ignoreRange: true });
    const folder = await downloadModel("org/small", cuttingAt(100_000));
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(stored().map(({ range }) => range)).toEqual([undefined, "bytes=100000-"]);
  });

  test("gives up when every attempt is cut at the same place", async () => {
    for (let i = 0; i < 20; i++) hub.fail("model.safetensors", { cutAfter: 0 });
    const error = await failure(downloadModel("org/small", options));
    expect(error).toMatchObject({ code: "io" });
    expect(error.message).toMatch(/^org\/small: model\.safetensors: .*the connection was cut/);
    expect(stored()).toHaveLength(6);
  });

  test("is continued when its process was killed, not while it lives", async () => {
    hub.fail("model.safetensors", { stallAfter: 200_000 });
    const script = `
      import { downloadModel } from ${JSON.stringify(new URL("./download.ts", import.meta.url).href)};
      const { endpoint, cacheDir } = ${JSON.stringify(options)};
      await downloadModel("org/small", { endpoint, cacheDir, onProgress: ({ done }) => done === 200_000 && console.log("there") });`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: "pipe" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(incomplete()).toHaveLength(1);

    // while it lives, a second process downloads the whole into a file of its own
    const folder = await downloadModel("org/small", options);
    expect(stored().map(({ range }) => range)).toEqual([undefined, undefined]);
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(incomplete()).toHaveLength(1);

    child.kill("SIGKILL");
    await ended;
    rmSync(join(repository(), "snapshots"), { recursive: true });
    rmSync(join(repository(), "blobs", weightsBlob));
    await downloadModel("org/small", options);
    expect(stored().at(-1)!.range).toBe("bytes=200000-");
    expect(same(join(folder, "model.safetensors"), weights)).toBe(true);
    expect(incomplete()).toEqual([]);
  });

  test("of another host is continued when nobody has written to it for long, of another program never", async () => {
    const blobs = join(repository(), "blobs");
    mkdirSync(blobs, { recursive: true });
    const foreign = `${weightsBlob}.not-${hostname()}-1-00000000.incomplete`;
    for (const name of [foreign, `${weightsBlob}.incomplete`, `${weightsBlob}.0badcafe.incomplete`])
      writeFileSync(join(blobs, name), weights.subarray(0, 70_000));
    await downloadModel("org/small", options);
    expect(stored().at(-1)!.range).toBeUndefined();

    rmSync(join(repository(), "snapshots"), { recursive: true });
    rmSync(join(blobs, weightsBlob));
    for (const name of incomplete()) utimesSync(join(blobs, name), 0, 0);
    await downloadModel("org/small", options);
    expect(stored().at(-1)!.range).toBe("bytes=70000-");
    expect(incomplete()).toEqual([`${weightsBlob}.0badcafe.incomplete`, `${weightsBlob}.incomplete`]);
  });

  test("of several at once ends in one good file", async () => {
    for (let i = 0; i < 3; i++) hub.fail("model.safetensors", { cutAfter: 60_000 * (i + 1) });
    const folders = await Promise.all(Array.from({ length: 4 }, () => downloadModel("org/small", options)));
    expect(new Set(folders).size).toBe(1);
    expect(same(join(folders[0]!, "model.safetensors"), weights)).toBe(true);
    expect(tree(join(repository(), "blobs"))).toHaveLength(3);
  });
});

describe("a damaged file", () => {
  const wrong = Buffer.from(weights);
  wrong[1234]! ^= 1;

  test.each([
    ["weights with one bit changed", "model.safetensors", wrong, "damaged on the way, its hash is"],
    ["a small file that is longer", "config.json", '{"model_type": "gpt2" }', "longer than announced (22 bytes)"],
    ["a small file of the same length", "config.json", '{"model_type": "evil"}', "damaged on the way, its hash is"],
    ["weights that do not end", "model.safetensors", Buffer.concat([weights, weights]), "longer than announced"],
  ])("is refused and removed: %s", async (_, file, body, message) => {
    hub.fail(file, { body });
    const error = await failure(downloadModel("org/small", options));
    expect(error).toMatchObject({ code: "io" });
    expect(error.message).toContain(`org/small: ${file}: ${message}`);
    expect(incomplete()).toEqual([]);
    expect(existsSync(join(repository(), "refs"))).toBe(false);
    const folder = await downloadModel("org/small", options);
    expect(same(join(folder, file), small.files[file]!)).toBe(true);
  });

  test("is refused when the part that was there was wrong", async () => {
    const blobs = join(repository(), "blobs");
    mkdirSync(blobs, { recursive: true });
    writeFileSync(join(blobs, `${weightsBlob}.free.incomplete`), wrong.subarray(0, 5000));
    expect((await failure(downloadModel("org/small", options))).message).toContain("damaged on the way");
    expect(incomplete()).toEqual([]);
  });

  test("among the blobs is fetched again when its length is wrong", async () => {
    const folder = await downloadModel("org/small", options);
    writeFileSync(join(repository(), "blobs", weightsBlob), "short");
    await downloadModel("org/small", options);
    expect(statSync(join(folder, "model.safetensors")).size).toBe(300_000);
  });
});

describe("a hub that refuses", () => {
  test.each([
    [
      "org/nowhere",
      "org/nowhere: http://ADDRESS has no such model, or it is private (status 401). Check the name, or set HF_TOKEN",
    ],
    ["org/small@v9", "org/small@v9: http://ADDRESS has no such revision (status 404)"],
    [
      "org/gated",
      "org/gated: access is granted on request (status 403). Ask for it on the model's page at http://ADDRESS, then set HF_TOKEN",
    ],
  ])("%s", async (name, message) => {
    hub.repositories.set("org/gated", [{ ...small, gated: true }]);
    const error = await failure(downloadModel(name, options));
    expect(error).toMatchObject({ code: "io", message: message.replace("http://ADDRESS", hub.endpoint) });
    expect(hub.requests).toHaveLength(1);
  });

  test("is asked again when it is overloaded", async () => {
    hub.fail("/api/models/", { status: 503 });
    hub.fail("/api/models/", { status: 429 });
    hub.fail("config.json", { status: 500 });
    await downloadModel("org/small", options);
    expect(hub.requests.filter(({ path }) => path.includes("/revision/"))).toHaveLength(3);
  });

  test("with a token: the hub gets it, the store does not", async () => {
    hub.repositories.set("org/small", [{ ...small, token: "hf_secret" }]);
    expect((await failure(downloadModel("org/small", options))).message).toContain("set HF_TOKEN");
    expect((await failure(downloadModel("org/small", { ...options, token: "hf_wrong" }))).message).toContain(
      "what the token allows",
    );
    hub.requests.length = 0;
    await downloadModel("org/small", { ...options, token: "hf_secret" });
    for (const { at, authorization } of hub.requests)
      expect(authorization).toBe(at === "hub" ? "Bearer hf_secret" : undefined);
    expect(stored()).toHaveLength(1);
  });
});

describe("the environment", () => {
  test("HF_ENDPOINT, HF_HUB_CACHE and HF_TOKEN", async () => {
    hub.repositories.set("org/small", [{ ...small, token: "secret-of-a-mirror" }]);
    vi.stubEnv("HF_ENDPOINT", `${hub.endpoint}/`);
    vi.stubEnv("HF_HUB_CACHE", join(cacheDir, "elsewhere"));
    vi.stubEnv("HF_TOKEN", "secret-of-a-mirror\n");
    expect(await downloadModel("org/small")).toBe(
      join(cacheDir, "elsewhere", "models--org--small", "snapshots", commit),
    );
  });

  test("HF_HOME holds cache and token", async () => {
    hub.repositories.set("org/small", [{ ...small, token: "hf_file" }]);
    const home = join(cacheDir, "home");
    mkdirSync(home);
    writeFileSync(join(home, "token"), "hf_file\n");
    const folder = await downloadModel("org/small", { endpoint: hub.endpoint });
    expect(folder).toBe(join(home, "hub", "models--org--small", "snapshots", commit));
  });

  test("a wrong HF_ENDPOINT is refused", async () => {
    vi.stubEnv("HF_ENDPOINT", "huggingface.co");
    expect(await failure(downloadModel("org/small", { cacheDir }))).toMatchObject({
      code: "argument",
      message: 'HF_ENDPOINT: not an http or https address, "huggingface.co"',
    });
  });

  test("HF_HUB_OFFLINE answers from the cache, without a request", async () => {
    const folder = await downloadModel("org/small", options);
    hub.requests.length = 0;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await downloadModel("org/small", options)).toBe(folder);
    expect(await downloadModel(`org/small@${commit}`, options)).toBe(folder);

    expect((await failure(downloadModel("org/other", options))).message).toBe(
      `org/other: not in the cache ${repository("models--org--other")}, and nothing is downloaded in offline mode. Unset HF_HUB_OFFLINE`,
    );
    expect((await failure(downloadModel("org/small@v2", options))).message).toContain("(which has main)");
    rmSync(join(folder, "model.safetensors"));
    expect((await failure(downloadModel("org/small", options))).message).toMatch(
      /: incomplete, model\.safetensors is missing, and nothing is downloaded in offline mode/,
    );
    expect(hub.requests).toEqual([]);
  });

  test("a hub that cannot be reached: the cache answers, or a message does", async () => {
    const folder = await downloadModel("org/small", options);
    await hub.close();
    expect(await downloadModel("org/small", options)).toBe(folder);
    const error = await failure(downloadModel("org/other", options));
    expect(error).toMatchObject({ code: "io" });
    expect(error.message).toBe(`org/other: ${hub.endpoint} cannot be reached, connection refused`);
  });
});

describe("resolveModel", () => {
  test("takes a folder as it is, a name from the hub", async () => {
    expect(await resolveModel(cacheDir, options)).toBe(cacheDir);
    expect(hub.requests).toEqual([]);
    expect(await resolveModel("org/small", options)).toBe(join(repository(), "snapshots", commit));
  });

  test("says both readings when it is neither", async () => {
    expect(await failure(resolveModel("./models/none", options))).toMatchObject({
      code: "io",
      message:
        "./models/none: no such folder, and not a model's name on the hub either (org/name or org/name@revision)",
    });
    const { message } = await failure(resolveModel("checkpoint/none", options));
    expect(message).toContain("has no such model, or it is private (status 401)");
    expect(message).toContain('("checkpoint/none" is not a folder here either)');
    const file = join(cacheDir, "file");
    writeFileSync(file, "");
    expect((await failure(resolveModel(file, options))).message).toBe(`${file}: a file, but a model is a folder`);
  });
});
