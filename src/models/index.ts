import { TesseraError } from "../core/errors.js";
import { feedForwardLm } from "./feed-forward-lm.js";
import { gpt2 } from "./gpt2.js";
import { gpt3 } from "./gpt3.js";
import type { ModelFamily } from "./model.js";
import { rnnLm } from "./rnn-lm.js";

export * from "./feed-forward-lm.js";
export * from "./gpt2.js";
export * from "./gpt3.js";
export * from "./model.js";
export * from "./rnn-lm.js";

/** Every family, by `model_type`. */
// biome-ignore lint/suspicious/noExplicitAny: each family has a configuration of its own
export const families: ReadonlyMap<string, ModelFamily<any>> = new Map(
  [feedForwardLm, gpt2, gpt3, rnnLm].map((family) => [family.modelType, family as ModelFamily<any>]),
);

/** The family of a `model_type`. @throws TesseraError `unsupported` naming the known ones */
// biome-ignore lint/suspicious/noExplicitAny: each family has a configuration of its own
export function familyOf(modelType: string, where: string): ModelFamily<any> {
  const family = families.get(modelType);
  if (!family)
    throw new TesseraError("unsupported", `${where}: model_type ${JSON.stringify(modelType)} is not supported (${[...families.keys()].join(", ")})`);
  return family;
}
