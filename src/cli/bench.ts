import { cpus } from "node:os";
import type { Command } from "commander";
import type { DecodeFlags, TrainFlags } from "./bench-flags.js";
import { modelFolder } from "./model-folder.js";
import { whole } from "./options.js";

interface Flags {
  readonly json?: boolean;
  readonly threads?: number;
}

/** `tessera bench train | decode | load`. */
export function addBench(program: Command): void {
  const bench = program.command("bench").description("measure this machine: training, decoding, loading");
  const threads = [
    "--threads <n>",
    "processor threads (default: one a core)",
    whole("--threads", { min: 1, max: 1024 }),
  ] as const;
  const positive = (flag: string, most = 1e6) => whole(flag, { min: 1, max: most });

  bench
    .command("train")
    .description("steps of a GPT-2 block's training, against the machine's matrix product")
    .option("--layers <n>", "blocks", positive("--layers"), 6)
    .option("--heads <n>", "attention heads", positive("--heads"), 6)
    .option("--d <n>", "model size", positive("--d"), 384)
    .option("--vocab <n>", "tokens known", positive("--vocab", 2 ** 24), 65)
    .option("--context <n>", "tokens a row", positive("--context"), 256)
    .option("--batch <n>", "rows a step", positive("--batch"), 12)
    .option(
      "--micro-batch <n>",
      "rows processed at a time (default: tries the divisors of the batch and takes the fastest)",
      positive("--micro-batch"),
    )
    .option("--steps <n>", "steps that are timed", positive("--steps"), 10)
    .option(...threads)
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  tessera bench train --steps 20 --json")
    .action(async (flags: Flags & TrainFlags) =>
      print(flags, await (await import("./bench-train.js")).benchTrain(flags)),
    );

  bench
    .command("decode")
    .description("single tokens of a large model with random weights, against the machine's memory")
    .option("--family <name>", "whose block: llama or gpt2 (12 layers, d 768)", "llama")
    .option("--vocab <n>", "tokens known", positive("--vocab", 2 ** 24), 32000)
    .option("--prompt <n>", "tokens before", positive("--prompt", 4096), 256)
    .option("--tokens <n>", "tokens that are timed", positive("--tokens", 4096), 100)
    .option(...threads)
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  tessera bench decode --family gpt2")
    .action(async (flags: Flags & DecodeFlags) =>
      print(flags, await (await import("./bench-decode.js")).benchDecode(flags)),
    );

  bench
    .command("load")
    .description("from process start to a model's first token, in processes of their own")
    .option("--model <name|folder>", "which model", "ishmael")
    .option("--runs <n>", "processes that are timed", positive("--runs", 1000), 5)
    .option("--json", "print one JSON object")
    .action(async (flags: Flags & { model: string; runs: number }) =>
      print(
        flags,
        await (await import("./bench-load.js")).benchLoad({ ...flags, model: await modelFolder(flags.model) }),
      ),
    );
}

function print({ json }: Flags, result: Readonly<Record<string, number | string>>): void {
  const all: Record<string, number | string> = { ...result, processor: cpus()[0]?.model.trim() ?? "unknown" };
  if (json) console.log(JSON.stringify(all));
  else
    for (const [name, value] of Object.entries(all))
      console.log(`${name.padEnd(30)}${typeof value === "number" ? Number(value.toPrecision(5)) : value}`);
}
