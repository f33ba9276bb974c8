// Decoding speed: weights read per second by single tokens of models at GPT-2-small size with random float32 weights, against plain
// reading of memory in the same process.
//   node bench/decode.mjs [--rounds 3]
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });
const cli = new URL("../dist/cli/main.js", import.meta.url).pathname;
const median = (xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

for (const family of ["llama", "gpt2"]) {
  const rounds = Array.from({ length: Number(values.rounds) }, () =>
    JSON.parse(
      execFileSync(process.execPath, [cli, "bench", "decode", "--family", family, "--json"], { encoding: "utf8" }),
    ),
  );
  const over = (key) => median(rounds.map((r) => r[key]));
  console.log(
    JSON.stringify({
      family,
      millisecondsPerToken: over("millisecondsPerToken"),
      gigabytesPerSecond: over("gigabytesPerSecond"),
      memoryReadGigabytesPerSecond: over("memoryReadGigabytesPerSecond"),
      shareOfBandwidth: over("shareOfBandwidth"),
    }),
  );
}
