import { expect, it } from "vitest";
import { randomFrom } from "../../test/ops/check.js";
import { hostTensor, input } from "../core/index.js";
import { emitOnnx } from "../onnx/index.js";
import { nativeRuntime } from "../runtime/native.js";
import { gather, putAlong, scatterAdd } from "./index.js";

// Sums of whole numbers below 2²⁴ are exact in any order, so one that is lost shows.
for (const [count, rows, width] of [
  [20_000, 65, 48],
  [3_000, 3, 384],
  [400_000, 7, 1],
] as const)
  it(`adds every one of ${count} rows of ${width} to ${rows}, with several threads`, async () => {
    const random = randomFrom(`${count} ${rows} ${width}`);
    const at = Array.from({ length: count }, () => Math.floor(random() * rows));
    const ids = input("ids", [count], "int64");
    const updates = input("updates", [count, width]);
    const graph = { inputs: [ids, updates], outputs: [scatterAdd(ids, updates, rows)] };
    using session = await nativeRuntime().compile(emitOnnx(graph), { threads: 4 });
    const values = Float32Array.from({ length: count * width }, (_, i) => i % 5);
    const expected = new Float32Array(rows * width);
    at.forEach((row, i) => {
      for (let k = 0; k < width; k++) expected[row * width + k]! += values[i * width + k]!;
    });
    const inputs = { ids: hostTensor(at, [count], "int64"), updates: hostTensor(values, [count, width]) };
    for (let run = 0; run < 4; run++) expect((await session.run(inputs)).out0!.data).toEqual(expected);
  });

it("adds along an axis with several threads", async () => {
  const [ids, updates, x] = [input("ids", [2, 100_000], "int64"), input("updates", [2, 100_000]), input("x", [2, 3])];
  using session = await nativeRuntime().compile(
    emitOnnx({ inputs: [x, ids, updates], outputs: [putAlong(x, ids, updates)] }),
    { threads: 4 },
  );
  const { out0 } = await session.run({
    x: hostTensor([0, 0, 0, 1, 1, 1], [2, 3]),
    ids: hostTensor(
      Array.from({ length: 200_000 }, (_, i) => (i < 100_000 ? 2 : i % 2)),
      [2, 100_000],
      "int64",
    ),
    updates: hostTensor(new Float32Array(200_000).fill(1), [2, 100_000]),
  });
  expect(Array.from(out0!.data as Float32Array)).toEqual([0, 0, 100_000, 50_001, 50_001, 1]);
});

it("refuses an index outside the table when it runs", async () => {
  const [table, ids] = [input("table", [3, 2]), input("ids", [1], "int64")];
  using session = await nativeRuntime().compile(emitOnnx({ inputs: [table, ids], outputs: [gather(table, ids)] }), {
    threads: 1,
  });
  const run = session.run({ table: hostTensor([1, 2, 3, 4, 5, 6], [3, 2]), ids: hostTensor([3], [1], "int64") });
  await expect(run).rejects.toThrow(/indices element out of data bounds/);
});
