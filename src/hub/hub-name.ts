/** A model on a hub: `org/name`, or a bare name of the hub's early days such as `gpt2`. */
export interface ModelName {
  readonly id: string;
  /** Branch, tag or commit, where the text named one after `@`. */
  readonly revision?: string;
}

const part = /^(?!.*(?:--|\.\.))\w(?:[\w.-]{0,94}\w)?$/;
const path = /^(?!.*\.\.)\w[\w.+-]*(?:\/\w[\w.+-]*)*$/;

/**
 * Reads `org/name` or `org/name@revision` by the hub's own rules for names. They keep a name from reaching outside the cache.
 *
 * @returns undefined for anything else, such as `../x` or `a/b/c`
 */
export function parseModelName(text: string): ModelName | undefined {
  const at = text.indexOf("@");
  const id = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? undefined : text.slice(at + 1);
  const parts = id.split("/");
  if (parts.length > 2 || !parts.every((name) => part.test(name)) || id.endsWith(".git")) return undefined;
  if (revision === undefined) return { id };
  return isRevision(revision) ? { id, revision } : undefined;
}

/** Whether a text can be a branch, tag or commit, and the name of a file below `refs/`. */
export const isRevision = (text: string): boolean => path.test(text);

/** Whether a text is a full commit hash. */
export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);
