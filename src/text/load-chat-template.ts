import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { messageOf, TesseraError } from "../core/errors.js";
import { isRecord } from "./component.js";
import type { TokenizerConfig } from "./tokenizer-json.js";

/**
 * A tokenizer's configuration with the chat templates that lie beside it as files: `chat_template.jinja`, and others by name in
 * `additional_chat_templates/`. They go before those in tokenizer_config.json.
 *
 * @param folder of the model
 * @throws TesseraError `io` for a file that is there and cannot be read
 * @example const config = await loadChatTemplates(folder, tokenizer.config);
 */
export async function loadChatTemplates(folder: string, config: TokenizerConfig): Promise<TokenizerConfig> {
  const main = await ifThere(join(folder, "chat_template.jinja"), (file) => readFile(file, "utf8"));
  const more = join(folder, "additional_chat_templates");
  const names = ((await ifThere(more, (path) => readdir(path))) ?? []).filter((name) => name.endsWith(".jinja")).sort();
  if (main === undefined && names.length === 0) return config;
  const others = await Promise.all(
    names.map(async (name) => ({
      name: basename(name, ".jinja"),
      template: (await ifThere(join(more, name), (file) => readFile(file, "utf8")))!,
    })),
  );
  const { chat_template: given } = config;
  const kept = (Array.isArray(given) ? given : [{ name: "default", template: given }]).filter(
    (entry) => isRecord(entry) && typeof entry.template === "string" && !others.some(({ name }) => name === entry.name),
  );
  const before = main === undefined ? kept : kept.filter((entry) => isRecord(entry) && entry.name !== "default");
  return {
    ...config,
    chat_template: [...(main === undefined ? [] : [{ name: "default", template: main }]), ...before, ...others],
  };
}

/** What reading gives, or undefined where there is nothing of that name. */
async function ifThere<T>(path: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await read(path);
  } catch (cause) {
    if (isRecord(cause) && cause.code === "ENOENT") return undefined;
    throw new TesseraError("io", `${path}: cannot be read, ${messageOf(cause)}`, { cause });
  }
}
