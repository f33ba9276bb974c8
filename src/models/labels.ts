import type { ConfigReader } from "../core/config-reader.js";

/** What a classifier tells apart, as config.json says it. */
export interface Labels {
  /** Their names; `LABEL_0`, `LABEL_1`, … where the configuration has none. */
  readonly names: readonly string[];
  /** One label of several, any number of them, or a number to estimate; undefined: as transformers, from labels and their count. */
  readonly problemType: ProblemType | undefined;
}

const problemTypes = ["regression", "single_label_classification", "multi_label_classification"] as const;
export type ProblemType = (typeof problemTypes)[number];

/** Reads `id2label`, `num_labels` and `problem_type`. Two labels unless the configuration says otherwise, as transformers has it. */
export function parseLabels(c: ConfigReader): Labels {
  const given = c.raw("id2label");
  const count = c.int("num_labels", { min: 1, default: null });
  const problemType = c.oneOf("problem_type", problemTypes, { default: null }) ?? undefined;
  const numbered = (n: number) => Array.from({ length: n }, (_, i) => `LABEL_${i}`);
  if (given === undefined || given === null) return { names: numbered(count ?? 2), problemType };
  const entries = typeof given === "object" ? Object.entries(given) : [];
  const names = numbered(entries.length).map((_, i) => (given as Readonly<Record<string, unknown>>)[i]);
  if (entries.length === 0 || !names.every((name) => typeof name === "string")) {
    c.problem("id2label must be an object of texts under 0, 1, 2, …");
    return { names: numbered(1), problemType };
  }
  if (count !== null && count !== names.length)
    c.problem(`id2label and num_labels disagree (${names.length} vs ${count})`);
  return { names, problemType };
}

/** The fields of config.json that say them. */
export function labelFields({ names, problemType }: Labels): Readonly<Record<string, unknown>> {
  return {
    id2label: Object.fromEntries(names.map((name, i) => [i, name])),
    label2id: Object.fromEntries(names.map((name, i) => [name, i])),
    ...(problemType ? { problem_type: problemType } : {}),
  };
}
