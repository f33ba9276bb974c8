import { TesseraError } from "../core/errors.js";
import * as registered from "./families.js";
import type { AnyModelFamily, PresetSizes } from "./model.js";

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

/** The family of a `model_type`. @param others what else may be named there @throws TesseraError `unsupported` naming the known ones */
export function familyOf(modelType: string, where: string, others: readonly string[] = []): AnyModelFamily {
  const family = families.get(modelType);
  if (!family)
    throw new TesseraError(
      "unsupported",
      `${where}: model_type ${JSON.stringify(modelType)} is not supported (${[...families.keys(), ...others].join(", ")})`,
    );
  return family;
}

/** A configuration that a paper names. */
export interface Preset {
  readonly family: AnyModelFamily;
  /** The fields of config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The config.json of a fresh model of it. */
  fresh(sizes: PresetSizes): Readonly<Record<string, unknown>>;
}

const presets: ReadonlyMap<string, Preset> = new Map(
  [...families.values()].flatMap((family) =>
    Object.entries(family.presets?.configs ?? {}).map(([name, config]) => [
      `${family.modelType}-${name}`.toLowerCase(),
      { family, config, fresh: (sizes: PresetSizes) => family.presets!.fresh(config, sizes) },
    ]),
  ),
);

/** Every preset by its family and its paper's name: `gpt3-xl`. */
export const presetNames: readonly string[] = [...presets.keys()];

/** The preset of a name of {@link presetNames}, in whatever case; undefined where there is none. */
export const presetOf = (name: string): Preset | undefined => presets.get(name.toLowerCase());
