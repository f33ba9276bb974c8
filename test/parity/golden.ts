import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { HostTensor } from "../../src/core/host-tensor.js";
import { openSafetensors } from "../../src/hub/safetensors.js";

/** Where the recorded cases are; absent outside the project's own machines. */
export const PARITY = new URL("../../../shared/parity", import.meta.url).pathname;

/** One recorded case: a folder with a model's files and what the original answered. */
export interface Golden {
  readonly dir: string;
  readonly name: string;
  /** golden.json. */
  readonly json: Readonly<Record<string, unknown>>;
  /** golden.safetensors: `in.*`, `out.*`, `grad.*`, `genN.*`. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
}

/** One compared tensor. */
export interface Comparison {
  readonly name: string;
  readonly kind: "forward" | "gradient";
  /** Largest |Δ|; for gradients relative to the largest entry. Infinity where shapes differ or a value is not a number. */
  readonly error: number;
}

export const TOLERANCE = { forward: 1e-4, gradient: 1e-3 } as const;

/** Whether a comparison is within the tolerance of its kind. */
export function within({ kind, error }: Comparison): boolean {
  return error <= TOLERANCE[kind];
}

export function readGolden(dir: string): Golden {
  using file = openSafetensors(join(dir, "golden.safetensors"));
  const tensors = new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
  return { dir, name: basename(dir), json: JSON.parse(readFileSync(join(dir, "golden.json"), "utf8")), tensors };
}

/** The cases in a folder: the folder itself when it is one, else every case directly in it. */
export function caseFolders(dir: string): string[] {
  if (existsSync(join(dir, "golden.json"))) return [dir];
  return readdirSync(dir, { withFileTypes: true })
    .filter(
      (entry) => entry.isDirectory() && entry.name !== "tokenizers" && existsSync(join(dir, entry.name, "golden.json")),
    )
    .map((entry) => join(dir, entry.name))
    .sort();
}

/** @param floor least scale of a gradient's error: one that is zero by algebra, as a key bias's, consists of rounding alone */
export function compare(
  name: string,
  kind: Comparison["kind"],
  actual: HostTensor,
  expected: HostTensor,
  floor = 1e-12,
): Comparison {
  let worst = 0;
  let largest = 0;
  const [a, e] = [actual.data as Float32Array, expected.data as Float32Array];
  if (a.length !== e.length) return { name, kind, error: Number.POSITIVE_INFINITY };
  for (let i = 0; i < e.length; i++) {
    const difference = Math.abs(a[i]! - e[i]!);
    if (!(difference <= worst)) worst = difference; // NaN stays
    largest = Math.max(largest, Math.abs(e[i]!));
  }
  if (Number.isNaN(worst)) worst = Number.POSITIVE_INFINITY;
  return { name, kind, error: kind === "gradient" ? worst / Math.max(largest, floor) : worst };
}
