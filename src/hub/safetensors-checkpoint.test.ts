import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { TesseraError } from "../core/errors.js";
import { type HostTensor, hostTensor } from "../core/host-tensor.js";
import { openSafetensors, writeSafetensors } from "./safetensors.js";
import { openCheckpoint } from "./safetensors-checkpoint.js";
import { writeCheckpoint } from "./safetensors-shards.js";

const root = mkdtempSync(join(tmpdir(), "checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
});

const filled = (count: number, value = count): HostTensor => hostTensor(new Float32Array(count).fill(value), [count]);
const tensors = (...counts: number[]) => counts.map((count, i) => [`t${i}`, filled(count)] as const);
const indexPath = () => join(folder, "model.safetensors.index.json");
const writeIndex = (value: unknown) =>
  writeFileSync(indexPath(), typeof value === "string" ? value : JSON.stringify(value));

describe("writing", () => {
  it("writes one file when it is small enough", () => {
    writeCheckpoint(folder, tensors(1, 2), { metadata: { format: "pt" } });
    expect(readdirSync(folder)).toEqual(["model.safetensors"]);
    using checkpoint = openCheckpoint(folder);
    expect([checkpoint.names, checkpoint.folder, { ...checkpoint.metadata }]).toEqual([
      ["t0", "t1"],
      folder,
      { format: "pt" },
    ]);
    expect(checkpoint.read("t1")).toEqual(filled(2));
  });

  // Recorded from huggingface_hub 2.0.0: split_state_dict_into_shards_factory of tensors of these sizes in bytes, 1,000 at most.
  it.each([
    { sizes: [600, 600, 200, 600, 200, 200], shards: [["t0"], ["t1", "t2"], ["t3", "t4", "t5"]] },
    { sizes: [200, 1200, 200, 400], shards: [["t1"], ["t0", "t2", "t3"]] },
    { sizes: [1000, 4, 1004, 996, 4], shards: [["t0"], ["t2"], ["t1", "t3"], ["t4"]] },
  ])("spreads $sizes bytes over shards as Hugging Face does", ({ sizes, shards }) => {
    writeCheckpoint(folder, tensors(...sizes.map((bytes) => bytes / 4)), {
      maxShardBytes: 1000,
      metadata: { format: "pt" },
    });
    const names = shards.map((_, i) => `model-0000${i + 1}-of-0000${shards.length}.safetensors`);
    expect(readdirSync(folder).sort()).toEqual([...names, "model.safetensors.index.json"].sort());
    names.forEach((name, i) => {
      using file = openSafetensors(join(folder, name));
      expect([...file.tensors.keys()]).toEqual(shards[i]);
      expect({ ...file.metadata }).toEqual({ format: "pt" });
    });
    using checkpoint = openCheckpoint(folder);
    sizes.forEach((bytes, i) => {
      expect(checkpoint.read(`t${i}`)).toEqual(filled(bytes / 4));
    });
  });

  it("writes the index as transformers does", () => {
    writeCheckpoint(
      folder,
      [
        ["b", filled(3)],
        ["é", filled(2)],
        ["a", filled(2)],
      ],
      { maxShardBytes: 16 },
    );
    // Python: json.dumps(index, indent=2, sort_keys=True) + "\n"
    expect(readFileSync(indexPath(), "utf8")).toBe(`{
  "metadata": {
    "total_parameters": 7,
    "total_size": 28
  },
  "weight_map": {
    "a": "model-00002-of-00002.safetensors",
    "b": "model-00001-of-00002.safetensors",
    "\\u00e9": "model-00002-of-00002.safetensors"
  }
}
`);
  });

  it("replaces whatever was there, leaving nothing of it, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(1, 2, 2.5, 3, 100), { minLength: 2, maxLength: 5 }), (shardSizes) => {
        shardSizes.forEach((size, round) => {
          const entries = [1, 2, 3, 4, 5].map((i) => [`t${i}`, filled(10, round)] as const);
          writeCheckpoint(folder, entries, { maxShardBytes: size * 40 });
          const shards = Math.ceil(5 / Math.floor(size));
          expect(readdirSync(folder).length).toBe(shards === 1 ? 1 : shards + 1);
          using checkpoint = openCheckpoint(folder);
          for (const [name, tensor] of entries) expect(checkpoint.read(name)).toEqual(tensor);
        });
      }),
      { numRuns: 10 },
    );
  });

  it("leaves the old weights and no other file when a tensor is refused", () => {
    writeCheckpoint(folder, tensors(1, 2));
    const bad = [...tensors(10, 20), ["bad", { ...filled(3), shape: [4] }]] as const;
    expect(() => writeCheckpoint(folder, bad, { maxShardBytes: 40 })).toThrow(/tensor "bad": data and shape differ/);
    expect(() => writeCheckpoint(folder, [], { maxShardBytes: 0 })).toThrow("maxShardBytes must be above 0, got 0");
    expect(readdirSync(folder)).toEqual(["model.safetensors"]);
    using checkpoint = openCheckpoint(folder);
    expect(checkpoint.names).toEqual(["t0", "t1"]);
  });
});

it("holds one generation of weights as a whole whenever the writer is killed", { timeout: 60_000 }, async () => {
  const module = new URL("./safetensors-shards.ts", import.meta.url).href;
  // One file, three shards, two shards, and again: 50,000 elements in each of six tensors, all equal to the generation's number.
  const script = `
    import { writeCheckpoint } from ${JSON.stringify(module)};
    for (let i = 0; ; i++) {
      const tensors = Array.from({ length: 6 }, (_, k) =>
        ["t" + k, { dtype: "float32", shape: [50_000], data: new Float32Array(50_000).fill(i) }]);
      writeCheckpoint(${JSON.stringify(folder)}, tensors, { maxShardBytes: [1e9, 4e5, 6e5][i % 3] });
      if (i === 0) console.log("ready");
    }`;
  for (let round = 0; round < 4; round++) {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: "pipe" });
    await once(child.stdout, "data");
    await setTimeout(Math.random() * 100);
    child.kill("SIGKILL");
    await once(child, "exit");
    using checkpoint = openCheckpoint(folder);
    expect(checkpoint.names.length).toBe(6);
    const values = checkpoint.names.flatMap((name) => [...new Set(checkpoint.read(name).data as Float32Array)]);
    expect(new Set(values).size).toBe(1);
  }
});

describe("reading", () => {
  it("prefers the single file, says where each tensor lies, and refuses unknown names", () => {
    writeCheckpoint(folder, tensors(1, 2), { maxShardBytes: 4 });
    writeSafetensors(join(folder, "model.safetensors"), [["only", filled(3)]]);
    using checkpoint = openCheckpoint(folder);
    expect(checkpoint.names).toEqual(["only"]);
    expect([checkpoint.has("only"), checkpoint.has("t0")]).toEqual([true, false]);
    const { path, byteOffset, byteLength, dtype, shape } = checkpoint.info("only");
    expect([path, dtype, shape]).toEqual([join(folder, "model.safetensors"), "float32", [3]]);
    expect(readFileSync(path).subarray(byteOffset, byteOffset + byteLength)).toEqual(
      Buffer.from(filled(3).data.buffer),
    );
    for (const act of [() => checkpoint.read("t0"), () => checkpoint.info("t0")])
      expect(act).toThrow(new TesseraError("checkpoint", `${folder}: the weights have no tensor "t0" (they have 1)`));
  });

  it("reads only what the index lists, in its order", () => {
    writeSafetensors(join(folder, "x.safetensors"), [
      ["b", filled(1)],
      ["a", filled(2)],
      ["unlisted", filled(3)],
    ]);
    writeIndex({ weight_map: { b: "x.safetensors", a: "x.safetensors" } });
    using checkpoint = openCheckpoint(folder);
    expect(checkpoint.names).toEqual(["b", "a"]);
    expect(checkpoint.info("b").path).toBe(join(folder, "x.safetensors"));
  });

  it.each<[unknown, string]>([
    ["", "not JSON, the file is empty"],
    ["{", "not JSON, expected a string, found the end"],
    [[], "expected a JSON object, found []"],
    [{}, "weight_map is not an object, found undefined"],
    [{ weight_map: ["a"] }, 'weight_map is not an object, found ["a"]'],
    [{ weight_map: {} }, "weight_map is empty"],
    [{ weight_map: { a: 1 } }, 'weight_map["a"] is not the name of a safetensors file beside it, 1'],
    [
      { weight_map: { a: "../x.safetensors" } },
      'weight_map["a"] is not the name of a safetensors file beside it, "../x.safetensors"',
    ],
    [{ weight_map: { a: "/etc/x.safetensors" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: "sub/x.safetensors" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: "..\\x.safetensors" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: "c:x.safetensors" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: "x.safetensors\0" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: "x.bin" } }, "is not the name of a safetensors file beside it"],
    [{ weight_map: { a: ".." } }, "is not the name of a safetensors file beside it"],
    [
      { weight_map: { a: "x.safetensors", b: "y.safetensors", c: "z.safetensors" } },
      "2 of 3 shards are missing, y.safetensors, z.safetensors",
    ],
    [
      { weight_map: { a: "x.safetensors", b: "x.safetensors", __proto_: "x.safetensors" } },
      '2 of 3 tensors are not in the shard that it names, "b" (x.safetensors), "__proto_" (x.safetensors)',
    ],
  ])("refuses a wrong index (%#)", (index, message) => {
    writeSafetensors(join(folder, "x.safetensors"), [["a", filled(1)]]);
    writeIndex(index);
    expect(() => openCheckpoint(folder)).toThrow(TesseraError);
    expect(() => openCheckpoint(folder)).toThrow(message);
    expect(() => openCheckpoint(folder)).toThrow(indexPath());
  });

  it("names the damaged shard", () => {
    writeCheckpoint(folder, tensors(1, 2), { maxShardBytes: 4 });
    const shard = join(folder, "model-00002-of-00002.safetensors");
    writeFileSync(shard, readFileSync(shard).subarray(0, -1));
    expect(() => openCheckpoint(folder)).toThrow(new RegExp(`^${shard}: the file is cut short`));
  });

  it("closes every file", () => {
    if (!existsSync("/proc/self/fd")) return;
    const open = () => readdirSync("/proc/self/fd").length;
    writeCheckpoint(folder, tensors(1, 2, 3), { maxShardBytes: 4 });
    const before = open();
    for (let i = 0; i < 20; i++) openCheckpoint(folder)[Symbol.dispose]();
    writeFileSync(join(folder, "model-00003-of-00003.safetensors"), "");
    for (let i = 0; i < 20; i++) expect(() => openCheckpoint(folder)).toThrow();
    expect(open()).toBe(before);
  });

  it("says what to do with weights in other formats, and without weights", () => {
    expect(() => openCheckpoint(join(folder, "none"))).toThrow(
      new TesseraError("io", `${folder}/none: no such folder`),
    );
    expect(() => openCheckpoint(folder)).toThrow(
      new TesseraError(
        "checkpoint",
        `${folder}: no weights, neither model.safetensors nor model.safetensors.index.json is there`,
      ),
    );
    for (const name of [
      "pytorch_model.bin",
      "pytorch_model-00001-of-00002.bin",
      "pytorch_model.bin.index.json",
      "tf_model.h5",
      "model.pth",
    ]) {
      const other = join(folder, name);
      writeFileSync(other, "");
      expect(() => openCheckpoint(folder)).toThrow(
        /: the weights are in .+save_pretrained\(\.\.\., safe_serialization=True\), or take a revision/,
      );
      expect(() => openCheckpoint(other)).toThrow(new TesseraError("io", `${other}: not a folder`));
      rmSync(other);
    }
    mkdirSync(join(folder, "model.safetensors"));
    expect(() => openCheckpoint(folder)).toThrow(/model\.safetensors: cannot be read, it is a folder/);
  });
});
