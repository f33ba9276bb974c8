// Training speed: one step of the README's workload (6 layers, 6 heads, d 384, FFN 4d GELU, vocabulary 65, context 256, batch 12, AdamW,
// float32) against the machine's matrix product, and, where asked, against PyTorch with the same workload, in turn within one run.
//   node bench/train.mjs [--rounds 3] [--steps 8] [--torch "python3 path/to/torch_train.py"]
// The PyTorch script prints one JSON object with median_ms (it takes --size T1 --steps N --threads N).
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    torch: { type: "string" },
  },
});
const cli = new URL("../dist/cli/main.js", import.meta.url).pathname;
const json = (command, ...args) =>
  JSON.parse(
    execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })
      .trim()
      .split("\n")
      .at(-1),
  );
const median = (xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

const rounds = [];
let micro;
for (let i = 0; i < Number(values.rounds); i++) {
  const ours = json(
    process.execPath,
    cli,
    "bench",
    "train",
    "--json",
    "--steps",
    values.steps,
    "--threads",
    values.threads,
    ...(micro ? ["--micro-batch", String(micro)] : []),
  );
  micro = ours.microBatch;
  const round = {
    ms: ours.millisecondsPerStep,
    gflops: ours.gflops,
    peak: ours.matmulPeakGflops,
    share: ours.shareOfPeak,
  };
  if (values.torch) {
    const [command, ...args] = values.torch.split(" ");
    round.torchMs = json(
      command,
      ...args,
      "--size",
      "T1",
      "--steps",
      values.steps,
      "--threads",
      values.threads,
    ).median_ms;
    round.timesTorch = round.torchMs / round.ms;
  }
  rounds.push(round);
  console.error(JSON.stringify(round));
}
const over = (key) => (rounds[0][key] === undefined ? undefined : median(rounds.map((r) => r[key])));
console.log(
  JSON.stringify({
    microBatch: micro,
    millisecondsPerStep: over("ms"),
    gflops: over("gflops"),
    matmulPeakGflops: over("peak"),
    shareOfPeak: over("share"),
    torchMillisecondsPerStep: over("torchMs"),
    timesTorch: over("timesTorch"),
  }),
);
