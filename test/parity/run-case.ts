import { existsSync } from "node:fs";
import { join } from "node:path";
import { TesseraError } from "../../src/core/errors.js";
import { readModel } from "../../src/pretrained/load-model.js";
import { attentionBlock } from "./attention-blocks.js";
import { runBlockCase } from "./block-case.js";
import { type GenerationResult, runGenerationCases } from "./generation.js";
import { type Comparison, readGolden } from "./golden.js";
import { runModelCase } from "./model-case.js";
import { withRecordedPositions, withRedrawnPositions } from "./recorded-positions.js";
import { recurrentBlock } from "./recurrent-blocks.js";

/** What a recorded case gave: compared tensors, and generated texts. */
export interface CaseResult {
  readonly comparisons: readonly Comparison[];
  readonly generations: readonly GenerationResult[];
  /** What could not be compared, and why. */
  readonly note?: string;
}

/**
 * Runs one recorded case of a model or a block.
 *
 * @throws TesseraError `unsupported` for a family, head or block that the library does not have
 */
export async function runCase(folder: string): Promise<CaseResult> {
  const golden = readGolden(folder);
  if (existsSync(join(folder, "config.json"))) {
    const model = withRedrawnPositions(golden, readModel(folder));
    const recorded = withRecordedPositions(golden, model);
    if (recorded) {
      const note =
        "the recording used positions that its checkpoint does not hold: they are read off its first hidden states, and generations, which need more of them, cannot be repeated";
      return { comparisons: await runModelCase(golden, recorded), generations: [], note };
    }
    return { comparisons: await runModelCase(golden, model), generations: await runGenerationCases(folder, model) };
  }
  const block = attentionBlock(golden) ?? recurrentBlock(golden);
  if (!block) throw new TesseraError("unsupported", `${folder}: a case of an unknown kind`);
  return { comparisons: await runBlockCase(golden, block), generations: [] };
}
