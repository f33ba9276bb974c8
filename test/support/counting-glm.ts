import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseTrainSettings, startRun, type TrainingRun } from "../../src/train/index.js";

/** A run of a small GLM in a folder, on a text that counts: ` one two three four five six one two …`. */
export function countingGlm(folder: string, steps: number): Promise<TrainingRun> {
  const data = join(folder, "counting.txt");
  writeFileSync(data, " one two three four five six".repeat(60));
  return startRun(
    parseTrainSettings({
      data: [data],
      out: join(folder, "glm"),
      model: "glm-2022",
      vocab_size: 300,
      layers: 1,
      heads: 2,
      d: 32,
      dropout: 0,
      context_length: 14,
      mask_rate: 0.3,
      mean_span: 2,
      end_of_text: false,
      validation: 0,
      steps,
      batch_size: 24,
      micro_batch_size: 24,
      learning_rate: 0.01,
      checkpoint_every: steps,
      threads: 1,
    }),
  );
}
