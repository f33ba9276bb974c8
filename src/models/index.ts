import { TesseraError } from "../core/errors.js";
import * as registered from "./families.js";
import type { AnyModelFamily } from "./model.js";

export * from "./families.js";
export * from "./model.js";

const isFamily = (value: unknown): value is AnyModelFamily =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "family";

/** Every family, by `model_type`. */
export const families: ReadonlyMap<string, AnyModelFamily> = new Map(
  Object.values<unknown>(registered)
    .filter(isFamily)
    .map((family) => [family.modelType, family]),
);

/** The family of a `model_type`. @throws TesseraError `unsupported` naming the known ones */
export function familyOf(modelType: string, where: string): AnyModelFamily {
  const family = families.get(modelType);
  if (!family)
    throw new TesseraError(
      "unsupported",
      `${where}: model_type ${JSON.stringify(modelType)} is not supported (${[...families.keys()].join(", ")})`,
    );
  return family;
}
