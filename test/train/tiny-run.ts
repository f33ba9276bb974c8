import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomStream } from "../../src/core/random-stream.js";
import type { TrainSettingsInput } from "../../src/train/settings.js";

/** A temporary folder that goes when it is disposed. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "tessera-train-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Simple sentences, the same ones every time: a text that a tiny model can learn. */
export function tinyText(sentences = 400): string {
  const random = randomStream(1, "tiny text");
  const pick = (...words: string[]) => words[random.below(words.length)]!;
  return Array.from({ length: sentences }, () => {
    const [who, where] = [pick("The whale", "A sailor", "The captain"), pick("sea", "ship", "deck")];
    return `${who} ${pick("saw", "sang to", "feared")} the ${where}.`;
  }).join("\n");
}

/** Settings of a run that takes a second: a text in the folder, 24 steps, a checkpoint every 5. */
export function tinySettings(folder: string, changes: Partial<TrainSettingsInput> = {}): TrainSettingsInput {
  const data = join(folder, "text.txt");
  writeFileSync(data, tinyText());
  return {
    data: [data],
    out: join(folder, "run"),
    tokenizer: "characters",
    layers: 1,
    heads: 2,
    d: 16,
    context_length: 24,
    dropout: 0.1,
    steps: 24,
    batch_size: 6,
    micro_batch_size: 3,
    learning_rate: 0.01,
    log_every: 4,
    eval_every: 6,
    eval_windows: 9,
    checkpoint_every: 5,
    threads: 2,
    ...changes,
  };
}
