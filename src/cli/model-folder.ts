import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TesseraError } from "../core/errors.js";

/** The models that come with the package. */
const CHECKPOINTS = fileURLToPath(new URL("../../checkpoints", import.meta.url));

/**
 * The folder of a model: a path, or the name of a model that comes with the package.
 *
 * @throws TesseraError `io` naming the models there are
 */
export function modelFolder(name: string): string {
  if (existsSync(name)) return name;
  const known = existsSync(CHECKPOINTS)
    ? readdirSync(CHECKPOINTS, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []))
    : [];
  if (known.includes(name)) return join(CHECKPOINTS, name);
  throw new TesseraError("io", `${name}: no such folder, and no model of that name (${known.join(", ")})`);
}
